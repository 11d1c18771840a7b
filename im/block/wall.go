package block

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const (
	sqlWall      = `SELECT jid FROM wall WHERE list = $1 ORDER BY jid`
	sqlWallAdd   = `INSERT INTO wall (list, jid) VALUES ($1, $2) ON CONFLICT (list, jid) DO NOTHING`
	sqlWallClear = `DELETE FROM wall WHERE list = $1`
)

// Side is one of the two lists of a Wall.
type Side string

// The lists of XEP-0133 §4.11 and §4.12.
const (
	Black Side = "black" // no communication with these, in either direction
	White Side = "white" // not empty: from elsewhere, only these
)

// Wall is whom the whole server does not talk to. Entries match like those of a
// block list (XEP-0191 §6). It is asked for every stanza and answers from memory.
type Wall struct {
	db           *store.DB
	local        func(domain string) bool
	black, white atomic.Pointer[List]
}

// OpenWall reads the lists.
func OpenWall(ctx context.Context, db *store.DB, local func(domain string) bool) (*Wall, error) {
	w := &Wall{db: db, local: local}
	for _, side := range []Side{Black, White} {
		jids, err := w.List(ctx, side)
		if err != nil {
			return nil, err
		}
		w.set(side, jids)
	}
	return w, nil
}

func (w *Wall) set(side Side, jids []jid.JID) {
	l := newList(jids)
	if len(jids) == 0 {
		l = nil // the ordinary case costs one load
	}
	if side == Black {
		w.black.Store(l)
	} else {
		w.white.Store(l)
	}
}

// List is one list, from the database.
func (w *Wall) List(ctx context.Context, side Side) (out []jid.JID, err error) {
	err = w.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Each(func(r store.RowScanner) error {
			var text string
			if err := r.Scan(&text); err != nil {
				return err
			}
			j, err := jid.Parse(text)
			out = append(out, j)
			return err
		}, sqlWall, string(side))
	})
	if err != nil {
		return nil, fmt.Errorf("block: wall: %w", err)
	}
	return out, nil
}

// Set replaces one list; it holds from the next stanza on.
func (w *Wall) Set(ctx context.Context, side Side, jids []jid.JID) error {
	err := w.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(sqlWallClear, string(side)); err != nil {
			return err
		}
		for _, j := range jids {
			if _, err := tx.Exec(sqlWallAdd, string(side), j.String()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("block: wall: %w", err)
	}
	w.set(side, jids)
	return nil
}

// Verdict judges one stanza between two entities, as Store.Verdict does. What
// one says to one's own account or to the server itself is let through: who is
// on the list can still log in and read.
func (w *Wall) Verdict(from, to jid.JID, kind stanza.Kind, typ stanza.Type) (refuse *stanza.Error, drop bool) {
	if to.IsZero() || from.Bare() == to.Bare() || w.passes(from, to) {
		return nil, false
	}
	switch {
	case typ == stanza.Error_ || kind == stanza.IQ && typ != stanza.Get && typ != stanza.Set:
		return nil, true // RFC 6120 §8.3.1
	case kind == stanza.Presence:
		return nil, true
	}
	return stanza.Fail("policy-violation", "this server does not allow communication between these addresses").WithType("cancel"), false
}

func (w *Wall) passes(from, to jid.JID) bool {
	if black := w.black.Load(); black != nil {
		// Not the server itself: it must be able to say why.
		ours := func(j jid.JID) bool { return j.IsDomain() && w.local(j.Domain()) }
		if black.Matches(from) && !ours(to) || black.Matches(to) && !ours(from) {
			return false
		}
	}
	if white := w.white.Load(); white != nil {
		// Our own people need no entry: whom they may talk to elsewhere is what it says.
		if !w.local(from.Domain()) && !white.Matches(from) || !w.local(to.Domain()) && !white.Matches(to) {
			return false
		}
	}
	return true
}
