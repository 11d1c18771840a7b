package vcard

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const space = "vcard-temp"

//go:embed migrations/*.sql
var migrations embed.FS

const (
	sqlGet    = `SELECT card FROM vcard WHERE owner = $1`
	sqlSet    = `INSERT INTO vcard (owner, card) VALUES ($1, $2) ON CONFLICT (owner) DO UPDATE SET card = excluded.card`
	sqlForget = `DELETE FROM vcard WHERE owner = $1`
)

type cards struct{ db *store.DB }

// Feature is XEP-0054.
func Feature(db *store.DB) im.Feature {
	c := cards{db}
	return im.Feature{
		Name:            "vcard",
		Specs:           []im.Spec{{ID: "XEP-0054", Version: "1.2", Status: "complete"}},
		HostFeatures:    []string{space},
		AccountFeatures: []string{space},
		Migrations:      Migrations().FS,
		IQ: []im.Route{
			{Scope: im.ToSelf | im.ToAccount, Type: stanza.Get, Space: space, Local: "vCard", Handle: c.get},
			{Scope: im.ToSelf, Type: stanza.Set, Space: space, Local: "vCard", Handle: c.set},
			{Scope: im.ToAccount, Type: stanza.Set, Space: space, Local: "vCard", Handle: foreign},
		},
	}
}

// Migrations are the tables of this package.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		sub = migrations // the directory is embedded above: can't happen
	}
	return store.Migrations{Name: "vcard", FS: sub}
}

// Forget removes an account's card with the account.
func Forget(tx *store.Tx, owner jid.JID) error {
	_, err := tx.Exec(sqlForget, owner.String())
	return err
}

func (c cards) get(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	var card []byte
	err := c.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Row(sqlGet, q.To.Bare().String()).Scan(&card)
	})
	if errors.Is(err, store.ErrNoRows) {
		if q.To.Bare() == q.From.Bare() {
			return elem.New(space, "vCard"), nil // XEP-0054 §3.1
		}
		// XEP-0054 §3.3: as if there were no such person (RFC 6121 §8.5.1).
		return nil, stanza.Fail("service-unavailable", "nobody here answers this request")
	}
	if err != nil {
		return nil, fmt.Errorf("vcard: get: %w", err)
	}
	return elem.Parse(card)
}

func (c cards) set(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	err := c.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(sqlSet, q.From.Bare().String(), q.Raw)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("vcard: set: %w", err)
	}
	return nil, nil
}

// foreign is XEP-0054 §3.2: nobody writes another's card.
func foreign(context.Context, *im.IQ) (*elem.Element, error) {
	return nil, stanza.Fail("forbidden", "you can only change your own card")
}
