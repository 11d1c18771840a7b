package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

const (
	sqlAccount  = `SELECT jid, name, disabled, admin, created FROM account WHERE jid = $1`
	sqlAccounts = `SELECT jid, name, disabled, admin, created FROM account WHERE jid > $1 ORDER BY jid LIMIT $2`
	sqlCount    = `SELECT count(*) FROM account`
	sqlKeys     = `SELECT mechanism, salt, iterations, stored_key, server_key FROM account_key WHERE jid = $1`
)

func scanAccount(row store.RowScanner) (Account, error) {
	var a Account
	var text string
	var created int64
	if err := row.Scan(&text, &a.Name, &a.Disabled, &a.Admin, &created); err != nil {
		return a, err
	}
	var err error
	a.JID, err = jid.Parse(text)
	a.Created = time.UnixMicro(created).UTC()
	return a, err
}

// Get reads one account; ErrNotFound if there is none.
func (s *Store) Get(ctx context.Context, who jid.JID) (a Account, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		a, err = scanAccount(tx.Row(sqlAccount, who.Bare().String()))
		return err
	})
	if errors.Is(err, store.ErrNoRows) {
		return Account{}, ErrNotFound
	}
	if err != nil {
		return Account{}, fmt.Errorf("account: get: %w", err)
	}
	return a, nil
}

// List reads up to n accounts in the order of their addresses, beginning after
// the address `after` ("" for the first page).
func (s *Store) List(ctx context.Context, after string, n int) (list []Account, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(sqlAccounts, after, n)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			a, err := scanAccount(rows)
			if err != nil {
				return err
			}
			list = append(list, a)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("account: list: %w", err)
	}
	return list, nil
}

// Count is the number of accounts.
func (s *Store) Count(ctx context.Context) (n int, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error { return tx.Row(sqlCount).Scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("account: count: %w", err)
	}
	return n, nil
}

// Exists says whether there is such an account, disabled or not. The path asks
// for every message, so the answer mostly comes from memory.
func (s *Store) Exists(ctx context.Context, who jid.JID) (bool, error) {
	if s.conf.Guests.Is(who) {
		return true, nil
	}
	r, err := s.lookup(ctx, who.Bare())
	if err != nil {
		return false, err
	}
	return r.exists, nil
}

// Active says whether the account exists and is not disabled.
func (s *Store) Active(ctx context.Context, who jid.JID) (bool, error) {
	r, err := s.lookup(ctx, who.Bare())
	if err != nil {
		return false, err
	}
	return r.exists && !r.disabled, nil
}

// record is what a login needs of an account; shared and never changed.
type record struct {
	exists   bool
	disabled bool
	admin    bool
	keys     map[sasl.Hash]sasl.Keys
}

// lookup reads a record through the cache. There is one for accounts that do
// not exist too, so that both kinds of login take the same way (HARDENING A6).
func (s *Store) lookup(ctx context.Context, who jid.JID) (*record, error) {
	r, generation := s.cache.get(who)
	if r != nil {
		return r, nil
	}
	r = &record{keys: map[sasl.Hash]sasl.Keys{}}
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		a, err := scanAccount(tx.Row(sqlAccount, who.String()))
		switch {
		case err == nil:
			r.exists, r.disabled, r.admin = true, a.Disabled, a.Admin
		case !errors.Is(err, store.ErrNoRows):
			return err
		}
		return readKeys(tx, who, r)
	})
	if err != nil {
		return nil, fmt.Errorf("account: look up: %w", err)
	}
	s.cache.put(who, r, generation)
	return r, nil
}

func readKeys(tx *store.Tx, who jid.JID, r *record) error {
	rows, err := tx.Query(sqlKeys, who.String())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var mech string
		k := sasl.Keys{Known: true}
		if err := rows.Scan(&mech, &k.Salt, &k.Iterations, &k.StoredKey, &k.ServerKey); err != nil {
			return err
		}
		r.keys[sasl.Hash(mech)] = k
	}
	return rows.Err()
}
