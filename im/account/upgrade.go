package account

import (
	"context"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Upgrades are keys of more hash functions for accounts that have some (XEP-0480).
type Upgrades struct{ s *Store }

// lacking knows for which hash functions some account has no keys: who was made
// before the server knew the function, or came with an import. A SCRAM mechanism
// nobody is shut out of is offered; see docs/decisions/0010.
type lacking struct {
	some atomic.Uint32 // a bit per hash of hashes()
}

// A disabled account can't log in, so that it does not count; one without any
// keys logs in without a password.
const sqlLacking = `SELECT count(*) FROM (SELECT 1 FROM account a WHERE a.disabled = 0
	AND EXISTS (SELECT 1 FROM account_key k WHERE k.jid = a.jid)
	AND NOT EXISTS (SELECT 1 FROM account_key k WHERE k.jid = a.jid AND k.mechanism = $1) LIMIT 1) t`

// read asks the data set about every hash.
func (l *lacking) read(ctx context.Context, db *store.DB) error {
	return db.Read(ctx, func(tx *store.Tx) error {
		var some uint32
		for i, h := range hashes() {
			var n int
			if err := tx.Row(sqlLacking, string(h)).Scan(&n); err != nil {
				return err
			}
			if n > 0 {
				some |= 1 << i
			}
		}
		l.some.Store(some)
		return nil
	})
}

// found notes what an account that was added has no keys of. The data set is not
// asked: that looks at all accounts, and an import adds them one by one.
func (l *lacking) found(keys map[sasl.Hash]sasl.Keys) {
	for i, h := range hashes() {
		if _, has := keys[h]; !has && len(keys) > 0 {
			l.some.Or(1 << i)
		}
	}
}

// look is read after a change that can end a lack; while there is none, nothing
// but an import or an account that is let in again begins one.
func (l *lacking) look(ctx context.Context, db *store.DB) {
	if l.some.Load() != 0 {
		_ = l.read(ctx, db) // a trouble leaves it as it was: a mechanism less
	}
}

// Lacking lists the hash functions for which not every account that may log in
// has keys.
func (u *Upgrades) Lacking() (out []sasl.Hash) {
	some := u.s.lacking.some.Load()
	for i, h := range hashes() {
		if some&(1<<i) != 0 {
			out = append(out, h)
		}
	}
	return out
}

// Salt gives what new keys are to be made with (XEP-0480 §3).
func (u *Upgrades) Salt() (salt []byte, iterations int) {
	salt = make([]byte, 16) // XEP-0438 §6.2
	rand.Read(salt)         // never fails
	return salt, u.s.conf.Iterations
}

// Lacks says whether an account has keys, but none for h.
func (u *Upgrades) Lacks(ctx context.Context, who jid.JID, h sasl.Hash) (bool, error) {
	r, err := u.s.lookup(ctx, who)
	if err != nil {
		return false, err
	}
	_, ok := r.keys[h]
	return !ok && len(r.keys) > 0, nil
}

// ErrRevoked says that the login somebody asks for more with does not count any more.
var ErrRevoked = errors.New("account: the account was changed since this login began")

// Add takes the keys of a hash an account has none for, made of the password
// a login that began at since has proven. Keys that are there stay.
func (u *Upgrades) Add(ctx context.Context, who jid.JID, h sasl.Hash, k sasl.Keys, since time.Time) error {
	return u.s.change(ctx, "upgrade", who, func(tx *store.Tx) error {
		if u.s.Revoked(who, since) {
			return ErrRevoked
		}
		if err := active(tx, who); err != nil {
			return err
		}
		_, err := tx.Exec(sqlKeyUpgrade, who.String(), string(h), k.Salt, k.Iterations, k.StoredKey, k.ServerKey)
		return err
	})
}

// refresh makes the keys an account lacks of a password it has just proven to know.
func (l *Login) refresh(ctx context.Context, who jid.JID, r *record, prepared string, since time.Time) {
	for _, h := range hashes() {
		if _, ok := r.keys[h]; ok {
			continue
		}
		salt, iterations := l.s.Upgrades.Salt()
		k, err := sasl.Derive(h, prepared, salt, iterations)
		if err == nil {
			err = l.s.Upgrades.Add(ctx, who, h, k, since)
		}
		if err != nil {
			return // the login stands all the same, and the next one tries again
		}
	}
}
