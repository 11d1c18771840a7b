package block

import (
	"context"
	"errors"
	"fmt"

	"github.com/parlance-im/parlance/im/cache"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Change is what a command did to a list.
type Change struct{ Before, After *List }

// Added says whether j is blocked now and was not before; Freed the opposite.
func (c Change) Added(j jid.JID) bool { return c.After.Matches(j) && !c.Before.Matches(j) }

// Freed says whether j was blocked before and is not now.
func (c Change) Freed(j jid.JID) bool { return c.Before.Matches(j) && !c.After.Matches(j) }

// Block adds entries to an account's list (XEP-0191 §3.3).
// after runs following the commit, in the order of the commits; it must not block.
func (s *Store) Block(ctx context.Context, owner jid.JID, jids []jid.JID, after func(Change)) error {
	return s.blockAndReport(ctx, owner, jids, nil, after)
}

// blockAndReport keeps what was said of the blocked in the same transaction (XEP-0377 §6).
func (s *Store) blockAndReport(ctx context.Context, owner jid.JID, jids []jid.JID, reports []*Report, after func(Change)) error {
	change := func(l *List) *List { return l.changed(jids, nil) }
	return s.commit(ctx, owner, change, after, func(tx *store.Tx) error {
		if err := keepReports(tx, owner, reports, s.cfg.Now()); err != nil {
			return err
		}
		now := s.cfg.Now().UnixMicro()
		for i, j := range jids {
			if _, err := tx.Exec(sqlAdd, owner.String(), j.String(), now+int64(i)); err != nil {
				return err
			}
		}
		var n int
		if err := tx.Row(sqlCount, owner.String()).Scan(&n); err != nil {
			return err
		}
		if n > s.cfg.Max {
			return stanza.Fail("resource-constraint", "the block list is full; unblock somebody first").WithType("cancel")
		}
		return nil
	})
}

// Unblock takes entries out of the list (XEP-0191 §3.4).
func (s *Store) Unblock(ctx context.Context, owner jid.JID, jids []jid.JID, after func(Change)) error {
	change := func(l *List) *List { return l.changed(nil, jids) }
	return s.commit(ctx, owner, change, after, func(tx *store.Tx) error {
		for _, j := range jids {
			if _, err := tx.Exec(sqlRemove, owner.String(), j.String()); err != nil {
				return err
			}
		}
		return nil
	})
}

// UnblockAll empties the list (XEP-0191 §3.5).
func (s *Store) UnblockAll(ctx context.Context, owner jid.JID, after func(Change)) error {
	change := func(*List) *List { return newList(nil) }
	return s.commit(ctx, owner, change, after, func(tx *store.Tx) error { return s.Forget(tx, owner) })
}

func (s *Store) commit(ctx context.Context, owner jid.JID, change func(*List) *List, after func(Change),
	write func(*store.Tx) error) error {
	if err := s.Load(ctx, owner); err != nil { // so that the effect knows what was before
		return err
	}
	var turn cache.Turn
	err := s.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		if err := write(tx); err != nil {
			return err
		}
		s.order.Join(&turn)
		return nil
	})
	if err != nil {
		s.order.Leave(&turn, nil)
		if store.IsAmbiguous(err) {
			s.cache.Drop(owner)
		}
		var refused *stanza.Error
		if errors.As(err, &refused) {
			return refused
		}
		return fmt.Errorf("block: write: %w", err)
	}
	s.order.Leave(&turn, func() {
		c := Change{newList(nil), change(newList(nil))}
		s.cache.Update(owner, func(old *List) *List {
			c = Change{old, change(old)}
			return c.After
		})
		if after != nil {
			after(c)
		}
	})
	return nil
}
