package private

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

const space = "jabber:iq:private"

// What one account may keep.
const (
	maxElements = 200
	maxBytes    = 192 << 10 // of an element
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	sqlGet   = `SELECT payload FROM private_xml WHERE owner = $1 AND space = $2 AND local = $3`
	sqlCount = `SELECT count(*) FROM private_xml WHERE owner = $1`
	sqlSet   = `INSERT INTO private_xml (owner, space, local, payload) VALUES ($1, $2, $3, $4)
ON CONFLICT (owner, space, local) DO UPDATE SET payload = excluded.payload`
	sqlForget = `DELETE FROM private_xml WHERE owner = $1`
)

// Mount is an element that is kept elsewhere.
type Mount interface {
	// Read gives an account's element, nil if there is none.
	Read(ctx context.Context, owner jid.JID) (*elem.Element, error)
	// Write keeps it; by is the resource that wrote it.
	Write(ctx context.Context, owner, by jid.JID, e *elem.Element) error
}

type storage struct {
	db     *store.DB
	mounts map[elem.Name]Mount
}

// Feature is XEP-0049.
func Feature(db *store.DB, mounts map[elem.Name]Mount) im.Feature {
	s := storage{db, mounts}
	return im.Feature{
		Name:            "private",
		Specs:           []im.Spec{{ID: "XEP-0049", Version: "1.2", Status: "complete"}},
		HostFeatures:    []string{space},
		AccountFeatures: []string{space},
		Migrations:      Migrations().FS,
		IQ: []im.Route{
			{Scope: im.ToSelf, Type: stanza.Get, Space: space, Local: "query", Handle: s.get},
			{Scope: im.ToSelf, Type: stanza.Set, Space: space, Local: "query", Handle: s.set},
			{Scope: im.ToAccount, Space: space, Local: "query", Handle: foreign},
		},
	}
}

// Migrations are the tables of this package.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		sub = migrations // the directory is embedded above: can't happen
	}
	return store.Migrations{Name: "private", FS: sub}
}

// Forget removes what an account kept, with the account.
func Forget(tx *store.Tx, owner jid.JID) error {
	_, err := tx.Exec(sqlForget, owner.String())
	return err
}

// foreign is XEP-0049 §2.3: nobody reads or writes another's.
func foreign(context.Context, *im.IQ) (*elem.Element, error) {
	return nil, stanza.Fail("forbidden", "this is for its owner alone")
}

// name is the element asked for; XEP-0049 §2.3: exactly one, of a namespace of its own.
func name(q *im.IQ) (elem.Name, error) {
	kids := q.Payload.Children
	if len(kids) != 1 {
		return elem.Name{}, stanza.Fail("not-acceptable", "ask for exactly one element")
	}
	return kids[0].Name, own(kids[0].Name)
}

// own refuses the namespaces the protocol itself uses (XEP-0049 §3).
func own(n elem.Name) error {
	if n.Space == "" || n.Space == space || n.Space == stanza.Space || n.Space == "vcard-temp" {
		return stanza.Fail("not-acceptable", "the element needs a namespace of its own")
	}
	return nil
}

func (s storage) get(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	n, err := name(q)
	if err != nil {
		return nil, err
	}
	owner := q.From.Bare()
	out := elem.New(space, "query")
	if m := s.mounts[n]; m != nil {
		e, err := m.Read(ctx, owner)
		if err != nil {
			return nil, err
		}
		if e == nil {
			e = elem.New(n.Space, n.Local)
		}
		return out.Add(e), nil
	}
	var payload []byte
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Row(sqlGet, owner.String(), n.Space, n.Local).Scan(&payload)
	})
	switch {
	case errors.Is(err, store.ErrNoRows):
		return out.Add(elem.New(n.Space, n.Local)), nil // XEP-0049 §2.2: there is nothing
	case err != nil:
		return nil, fmt.Errorf("private: get: %w", err)
	}
	out.Verbatim = payload
	return out, nil
}

func (s storage) set(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	kids := q.Payload.Children
	if len(kids) == 0 {
		return nil, stanza.Fail("not-acceptable", "there is nothing to keep")
	}
	for _, k := range kids {
		if err := own(k.Name); err != nil {
			return nil, err
		}
	}
	owner := q.From.Bare()
	var rest []*elem.Element
	for _, k := range kids {
		m := s.mounts[k.Name]
		if m == nil {
			rest = append(rest, k)
			continue
		}
		if err := m.Write(ctx, owner, q.From, k); err != nil {
			return nil, err
		}
	}
	if len(rest) == 0 {
		return nil, nil
	}
	return nil, s.keep(ctx, owner, rest)
}

func (s storage) keep(ctx context.Context, owner jid.JID, kids []*elem.Element) error {
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		for _, k := range kids {
			payload := k.AppendTo(nil, "")
			if len(payload) > maxBytes {
				return stanza.Fail("not-acceptable", "the element is larger than this server keeps")
			}
			if _, err := tx.Exec(sqlSet, owner.String(), k.Space, k.Local, payload); err != nil {
				return err
			}
		}
		var count int
		if err := tx.Row(sqlCount, owner.String()).Scan(&count); err != nil {
			return err
		}
		if count > maxElements {
			return stanza.Fail("resource-constraint", "this account keeps as many elements as it may").WithType("cancel")
		}
		return nil
	})
	var se *stanza.Error
	if err != nil && !errors.As(err, &se) {
		return fmt.Errorf("private: set: %w", err)
	}
	return err
}
