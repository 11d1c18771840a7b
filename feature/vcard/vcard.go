package vcard

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"

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
	sqlSome   = `SELECT owner, card FROM vcard WHERE owner >= $1 AND owner <= $2 AND substr(owner, length(owner) - length($3)) = '@' || $3`
	sqlForget = `DELETE FROM vcard WHERE owner = $1`
)

// Photos keeps the pictures that cards show (XEP-0153, XEP-0398); feature/avatar meets it.
type Photos interface {
	// Photo is the owner's picture in base64, "" if there is none the asker may see.
	Photo(ctx context.Context, owner, asker jid.JID) (typ, data string, err error)
	// SetPhoto keeps one, "" takes it away; ok is false if it is no picture.
	SetPhoto(ctx context.Context, owner, by jid.JID, data string) (ok bool, err error)
}

type cards struct {
	db     *store.DB
	photos Photos
}

// Feature is XEP-0054. photos may be nil: then a card is kept as it is written.
func Feature(db *store.DB, photos Photos) im.Feature {
	c := cards{db, photos}
	return im.Feature{
		Name: "vcard",
		Specs: []im.Spec{
			{ID: "XEP-0054", Version: "1.2", Status: "complete"},
			{ID: "XEP-0292", Version: "0.12.0", Status: "complete", Note: "the node urn:xmpp:vcard4; not converted from vcard-temp"},
		},
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
	owner := q.To.Bare()
	var card []byte
	err := c.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Row(sqlGet, owner.String()).Scan(&card)
	})
	found := !errors.Is(err, store.ErrNoRows)
	if err != nil && found {
		return nil, fmt.Errorf("vcard: get: %w", err)
	}
	out := elem.New(space, "vCard")
	if found {
		if out, err = elem.Parse(card); err != nil {
			return nil, err
		}
	}
	shows, err := c.show(ctx, out, owner, q.From)
	if err != nil {
		return nil, err
	}
	if !found && !shows && owner != q.From.Bare() {
		// XEP-0054 §3.3: as if there were no such person (RFC 6121 §8.5.1).
		return nil, stanza.Fail("service-unavailable", "nobody here answers this request")
	}
	return out, nil // XEP-0054 §3.1: one's own may be empty
}

// show puts the owner's picture into a card, in place of one in the card.
func (c cards) show(ctx context.Context, card *elem.Element, owner, asker jid.JID) (bool, error) {
	if c.photos == nil {
		return false, nil
	}
	typ, data, err := c.photos.Photo(ctx, owner, asker)
	if err != nil || data == "" {
		return false, err
	}
	card.Children = slices.DeleteFunc(card.Children, isPhoto)
	card.Add(elem.New(space, "PHOTO").Add(elem.New(space, "TYPE").SetText(typ), elem.New(space, "BINVAL").SetText(data)))
	return true, nil
}

func isPhoto(e *elem.Element) bool { return e.Space == space && e.Local == "PHOTO" }

func (c cards) set(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	card := q.Raw
	if c.photos != nil {
		var data string
		if p := q.Payload.Child(space, "PHOTO"); p != nil {
			data = p.ChildText("BINVAL")
		}
		ok, err := c.photos.SetPhoto(ctx, q.From.Bare(), q.From, data)
		if err != nil {
			return nil, err
		}
		if ok && data != "" {
			// It is kept once, elsewhere.
			rest := *q.Payload
			rest.Children = slices.DeleteFunc(slices.Clone(rest.Children), isPhoto)
			card = rest.AppendTo(nil, "")
		}
	}
	err := c.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(sqlSet, q.From.Bare().String(), card)
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
