package account

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Accounts of a domain: what stands behind the last @.
const (
	sqlInDomain    = `substr(jid, length(jid) - length($1)) = '@' || $1`
	sqlAdmins      = `SELECT jid, name, disabled, admin, created FROM account WHERE admin <> 0 AND ` + sqlInDomain + ` ORDER BY jid`
	sqlAdminsNone  = `UPDATE account SET admin = 0 WHERE admin <> 0 AND ` + sqlInDomain
	sqlTally       = `SELECT count(*), COALESCE(sum(disabled), 0) FROM account WHERE ` + sqlInDomain
	sqlInDomainAll = `SELECT jid, name, disabled, admin, created FROM account WHERE ` + sqlInDomain + ` AND jid > $2 ORDER BY jid LIMIT $3`
	sqlInDomainOff = `SELECT jid, name, disabled, admin, created FROM account WHERE ` + sqlInDomain + ` AND jid > $2 AND disabled <> 0 ORDER BY jid LIMIT $3`
)

// ErrNoAdmin says that a change would leave a domain without an administrator.
var ErrNoAdmin = errors.New("account: somebody must be left who can administer the server")

// Domain is the accounts of one domain, for whoever administers it.
type Domain struct {
	s    *Store
	name string
}

// Of gives a domain's.
func Of(s *Store, domain string) Domain { return Domain{s, domain} }

// IsAdmin says whether an account administers the domain (HARDENING I10): it is
// one of it and an administrator, or an operator of all of them, and not disabled.
func (d Domain) IsAdmin(ctx context.Context, who jid.JID) (bool, error) {
	s := d.s
	operates := slices.Contains(s.conf.Operators, who.Bare())
	if !operates && who.Domain() != d.name || who.Local() == "" {
		return false, nil
	}
	r, err := s.lookup(ctx, who.Bare())
	if err != nil {
		return false, err
	}
	return r.exists && (r.admin || operates) && !r.disabled, nil
}

// Admins are its administrators, disabled ones included.
func (d Domain) Admins(ctx context.Context) ([]Account, error) {
	return d.some(ctx, "admins", sqlAdmins, d.name)
}

// SetAdmins makes these accounts, and no others, the administrators,
// in one transaction. One that does not exist is ErrNotFound; nobody, or only
// disabled ones, is ErrNoAdmin.
func (d Domain) SetAdmins(ctx context.Context, list []jid.JID) error {
	before, err := d.Admins(ctx)
	if err != nil {
		return err
	}
	err = d.s.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(sqlAdminsNone, d.name); err != nil {
			return err
		}
		able := false
		for _, who := range list {
			a, err := scanAccount(tx.Row(sqlAccount, who.String()))
			if err != nil {
				return err
			}
			able = able || !a.Disabled
			if err := one(tx.Exec(sqlAccountAdmin, who.String(), true)); err != nil {
				return err
			}
		}
		if !able {
			return ErrNoAdmin
		}
		return nil
	})
	if err != nil {
		if errors.Is(err, ErrNoAdmin) {
			return ErrNoAdmin
		}
		return wrap("set admins", err)
	}
	changed := append([]jid.JID(nil), list...)
	for _, a := range before {
		changed = append(changed, a.JID)
	}
	d.s.cache.drop(changed...)
	return nil
}

// Tally counts its accounts, and those of them that are disabled.
func (d Domain) Tally(ctx context.Context) (all, disabled int, err error) {
	err = d.s.db.Read(ctx, func(tx *store.Tx) error { return tx.Row(sqlTally, d.name).Scan(&all, &disabled) })
	if err != nil {
		return 0, 0, fmt.Errorf("account: tally: %w", err)
	}
	return all, disabled, nil
}

// List reads up to n of its accounts behind an address, or only of the disabled ones.
func (d Domain) List(ctx context.Context, after string, n int, disabled bool) ([]Account, error) {
	q := sqlInDomainAll
	if disabled {
		q = sqlInDomainOff
	}
	return d.some(ctx, "list", q, d.name, after, n)
}

func (d Domain) some(ctx context.Context, what, query string, args ...any) (list []Account, err error) {
	err = d.s.db.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(query, args...)
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
		return nil, fmt.Errorf("account: %s: %w", what, err)
	}
	return list, nil
}
