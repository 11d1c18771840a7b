package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Options of a new account.
type Options struct {
	Name  string
	Admin bool
}

const (
	sqlAccountAdd     = `INSERT INTO account (jid, name, disabled, admin, created) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (jid) DO NOTHING`
	sqlAccountDisable = `UPDATE account SET disabled = $2 WHERE jid = $1`
	sqlAccountAdmin   = `UPDATE account SET admin = $2 WHERE jid = $1`
	sqlAccountName    = `UPDATE account SET name = $2 WHERE jid = $1`
	sqlAccountRemove  = `DELETE FROM account WHERE jid = $1`
	sqlKeysRemove     = `DELETE FROM account_key WHERE jid = $1`
	sqlKeyUpgrade     = sqlKeyAdd + ` ON CONFLICT (jid, mechanism) DO NOTHING`
	sqlKeyAdd         = `INSERT INTO account_key (jid, mechanism, salt, iterations, stored_key, server_key) VALUES ($1, $2, $3, $4, $5, $6)`
)

// hashes are those keys are made for (XEP-0438 §6.2: one set for each). SHA-1 is
// for clients that know no better.
func hashes() []sasl.Hash { return []sasl.Hash{sasl.SHA512, sasl.SHA256, sasl.SHA1} }

// Create adds an account. The error is ErrExists, ErrName, a *Refused password
// or name, or the store's.
func (s *Store) Create(ctx context.Context, who jid.JID, password string, o Options) error {
	if err := checkName(who); err != nil {
		return err
	}
	if err := checkDisplayName(o.Name); err != nil {
		return err
	}
	prepared, err := s.rules.check(who, password)
	if err != nil {
		return err
	}
	keys, err := derive(prepared, s.conf.Iterations)
	if err != nil {
		return err
	}
	a := Account{JID: who, Name: o.Name, Admin: o.Admin, Created: s.now()}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		added, err := insert(tx, a, keys)
		if err == nil && !added {
			err = ErrExists
		}
		return err
	})
	if err != nil {
		return wrap("create", err)
	}
	s.cache.drop(who)
	return nil
}

// derive makes a password's keys for every hash, each with a salt of its own.
func derive(prepared string, iterations int) (map[sasl.Hash]sasl.Keys, error) {
	keys := map[sasl.Hash]sasl.Keys{}
	for _, h := range hashes() {
		salt := make([]byte, 16)
		rand.Read(salt) // never fails
		k, err := sasl.Derive(h, prepared, salt, iterations)
		if err != nil {
			return nil, err
		}
		keys[h] = k
	}
	return keys, nil
}

func insert(tx *store.Tx, a Account, keys map[sasl.Hash]sasl.Keys) (added bool, err error) {
	n, err := tx.Exec(sqlAccountAdd, a.JID.String(), a.Name, a.Disabled, a.Admin, a.Created.UnixMicro())
	if err != nil || n == 0 {
		return false, err
	}
	return true, insertKeys(tx, a.JID, keys)
}

func insertKeys(tx *store.Tx, who jid.JID, keys map[sasl.Hash]sasl.Keys) error {
	for h, k := range keys {
		if _, err := tx.Exec(sqlKeyAdd, who.String(), string(h), k.Salt, k.Iterations, k.StoredKey, k.ServerKey); err != nil {
			return err
		}
	}
	return nil
}

// SetPassword replaces the keys; every token dies and every session is told to
// (HARDENING A12).
func (s *Store) SetPassword(ctx context.Context, who jid.JID, password string) error {
	prepared, err := s.rules.check(who, password)
	if err != nil {
		return err
	}
	keys, err := derive(prepared, s.conf.Iterations)
	if err != nil {
		return err
	}
	return s.revoking(ctx, "set password", who, func(tx *store.Tx) error {
		var there int
		if err := tx.Row(`SELECT 1 FROM account WHERE jid = $1`, who.String()).Scan(&there); err != nil {
			return err
		}
		if _, err := tx.Exec(sqlKeysRemove, who.String()); err != nil {
			return err
		}
		return insertKeys(tx, who, keys)
	})
}

// Disable locks an account out or lets it in again; what it owns stays.
func (s *Store) Disable(ctx context.Context, who jid.JID, disabled bool) error {
	change := func(tx *store.Tx) error { return one(tx.Exec(sqlAccountDisable, who.String(), disabled)) }
	if !disabled {
		if err := s.change(ctx, "enable", who, change); err != nil {
			return err
		}
		return s.lacking.read(ctx, s.db)
	}
	return s.revoking(ctx, "disable", who, change)
}

// SetAdmin gives or takes the right to administer the server.
func (s *Store) SetAdmin(ctx context.Context, who jid.JID, admin bool) error {
	return s.change(ctx, "set admin", who, func(tx *store.Tx) error {
		return one(tx.Exec(sqlAccountAdmin, who.String(), admin))
	})
}

// SetName changes how the person is called.
func (s *Store) SetName(ctx context.Context, who jid.JID, name string) error {
	if err := checkDisplayName(name); err != nil {
		return err
	}
	return s.change(ctx, "set name", who, func(tx *store.Tx) error {
		return one(tx.Exec(sqlAccountName, who.String(), name))
	})
}

// Remove deletes an account with its keys and tokens, and what the callbacks of
// OnRemove delete, all in one transaction. The archive is not touched.
func (s *Store) Remove(ctx context.Context, who jid.JID) error {
	s.mu.Lock()
	callbacks := s.onRemove
	s.mu.Unlock()
	return s.revoking(ctx, "remove", who, func(tx *store.Tx) error {
		for _, f := range callbacks {
			if err := f(ctx, tx, who); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(sqlKeysRemove, who.String()); err != nil {
			return err
		}
		return one(tx.Exec(sqlAccountRemove, who.String()))
	})
}

// OnRemove registers what else goes with an account: roster, block list, vCard.
// It runs in the transaction of Remove; an error undoes all. Call it before the
// server starts.
func (s *Store) OnRemove(f func(context.Context, *store.Tx, jid.JID) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onRemove = append(s.onRemove[:len(s.onRemove):len(s.onRemove)], f)
}

// OnRevoke registers who must end the sessions of an account whose password
// changed or that was disabled or removed. It is called after the commit, in
// the caller's goroutine, and must be quick.
func (s *Store) OnRevoke(f func(jid.JID)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onRevoke = append(s.onRevoke[:len(s.onRevoke):len(s.onRevoke)], f)
}

// revokedFor is how long Revoked remembers: longer than a login may take.
const revokedFor = 5 * time.Minute

// Revoked says whether who's logins were revoked at or after since. A session
// that binds asks with the time its login began: the revocation may have come
// in between, when there was no session to end.
func (s *Store) Revoked(who jid.JID, since time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.revoked[who.Bare()]
	return ok && !at.Before(since)
}

// change commits what does not end sessions.
func (s *Store) change(ctx context.Context, what string, who jid.JID, f func(*store.Tx) error) error {
	if err := s.db.Write(ctx, f); err != nil {
		return wrap(what, err)
	}
	s.cache.drop(who)
	s.lacking.look(ctx, s.db)
	return nil
}

// revoking commits a change after which no older login counts.
func (s *Store) revoking(ctx context.Context, what string, who jid.JID, f func(*store.Tx) error) error {
	err := s.change(ctx, what, who, func(tx *store.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		// Before the commit: what the same login asks for behind it, a token or
		// other keys, is refused in its own transaction.
		markRevoked(s, who)
		if _, err := tx.Exec(sqlFastForget, who.String()); err != nil {
			return err
		}
		_, err := tx.Exec(sqlTokensRemove, who.String())
		return err
	})
	if err != nil {
		return err
	}
	callbacks := markRevoked(s, who)
	for _, f := range callbacks {
		f(who)
	}
	return nil
}

// markRevoked notes that logins of who that began until now do not count, and
// gives whom that is to be told.
func markRevoked(s *Store, who jid.JID) []func(jid.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for j, at := range s.revoked {
		if now.Sub(at) > revokedFor {
			delete(s.revoked, j)
		}
	}
	s.revoked[who] = now
	return s.onRevoke
}

// one turns "no row changed" into ErrNotFound.
func one(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// checkDisplayName refuses what would confuse a list or a terminal.
func checkDisplayName(name string) error {
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > 200 {
		return &Refused{"a name has at most 200 characters"}
	}
	for _, r := range name {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return &Refused{"a name has no control characters"}
		}
	}
	return nil
}

// wrap says what failed, and leaves the errors callers ask for as they are.
func wrap(what string, err error) error {
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrExists):
		return err
	case isNoRows(err):
		return ErrNotFound
	}
	return fmt.Errorf("account: %s: %w", what, err)
}
