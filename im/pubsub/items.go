package pubsub

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Query asks for items of a node, oldest first.
type Query struct {
	After, Before string // item ids, exclusive
	Newest        bool   // the last Max instead of the first
	Max           int    // 0: no limit
	Bytes         int    // cut off here, but one item at least; 0: no limit
}

// Page is part of a node's items, oldest first.
type Page struct {
	Items    []Item
	Total    int  // of the node
	Complete bool // these are all that was asked for
}

// Items reads items of a node. An id to page from that is not there is an error.
func (s *Store) Items(ctx context.Context, n *Node, q Query) (p Page, err error) {
	err = s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		p, err = s.page(tx, n, q)
		return err
	})
	return p, wrap("items", err)
}

// Item is one item by its id; ok is false if it is not there.
func (s *Store) Item(ctx context.Context, n *Node, id string) (it Item, ok bool, err error) {
	err = s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		it, ok, err = s.item(tx, n, id)
		return err
	})
	return it, ok, wrap("item", err)
}

// lasts are the newest items of an account's nodes that are small enough to keep in
// memory: whoever comes online is sent those of all contacts. It is immutable.
type lasts struct {
	of    map[string]Item
	bytes int
}

// lastBytes bounds what is kept of one node, lastUnit is what weighs as much as a node.
const (
	lastBytes = 2048
	lastUnit  = 256
)

func (s *Store) loadLasts(ctx context.Context, account jid.JID) (*lasts, error) {
	v := &lasts{of: map[string]Item{}}
	err := s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(sqlLasts, account.String(), lastBytes)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var it Item
			var node, publisher string
			if err := rows.Scan(&node, &it.ID, &it.seq, &publisher, &it.At, &it.Payload); err != nil {
				return err
			}
			if it.Publisher, err = jid.Parse(publisher); err != nil {
				return err
			}
			if len(it.Payload) == 0 {
				it.Payload = nil
			}
			v.of[node] = it
			v.bytes += lastUnit + len(it.Payload)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, wrap("last items", err)
	}
	return v, nil
}

// Last is the newest item, from memory where it is small; ok is false if there is none.
func (s *Store) Last(ctx context.Context, n *Node) (it Item, ok bool, err error) {
	v, err := s.lasts.Get(ctx, n.Service)
	if err != nil {
		return it, false, err
	}
	if it, ok = v.of[n.Name]; ok {
		if it.At <= s.since(&n.Config) {
			return Item{}, false, nil // the newest has expired: so have all
		}
		return it, true, nil
	}
	p, err := s.Items(ctx, n, Query{Newest: true, Max: 1})
	if err != nil || len(p.Items) == 0 {
		return Item{}, false, err
	}
	return p.Items[0], true, nil
}

// IDs are the ids of all items, oldest first.
func (s *Store) IDs(ctx context.Context, n *Node) (ids []string, err error) {
	err = s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		ids, err = itemIDs(tx, n, s.since(&n.Config))
		return err
	})
	return ids, wrap("ids", err)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("pubsub: %s: %w", what, err)
}

func itemIDs(tx *store.Tx, n *Node, since int64) (ids []string, err error) {
	rows, err := tx.Query(sqlItemIDs, n.Service.String(), n.Name, since)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func (s *Store) page(tx *store.Tx, n *Node, q Query) (p Page, err error) {
	since := s.since(&n.Config)
	if err := tx.Row(sqlItemCount, n.Service.String(), n.Name, since).Scan(&p.Total); err != nil {
		return p, err
	}
	low, high := int64(0), int64(math.MaxInt64)
	for _, b := range []struct {
		id string
		at *int64
	}{{q.After, &low}, {q.Before, &high}} {
		if b.id == "" {
			continue
		}
		it, ok, err := s.item(tx, n, b.id)
		if err != nil {
			return p, err
		}
		if !ok {
			return p, errNoItem // XEP-0059 §2.2: the item to page from is gone
		}
		*b.at = it.seq
	}
	limit := int64(math.MaxInt64)
	if q.Max > 0 {
		limit = int64(q.Max) + 1
	}
	order := "ASC LIMIT $6"
	if q.Newest {
		order = "DESC LIMIT $6"
	}
	p.Complete = true
	bytes := 0
	err = scan(tx, func(it Item) bool {
		bytes += len(it.Payload)
		if q.Max > 0 && len(p.Items) == q.Max || q.Bytes > 0 && len(p.Items) > 0 && bytes > q.Bytes {
			p.Complete = false
			return false
		}
		p.Items = append(p.Items, it)
		return true
	}, sqlItems+order, n.Service.String(), n.Name, since, low, high, limit)
	if q.Newest {
		slices.Reverse(p.Items)
	}
	return p, err
}

func (s *Store) item(tx *store.Tx, n *Node, id string) (it Item, ok bool, err error) {
	err = scan(tx, func(got Item) bool {
		it, ok = got, true
		return false
	}, sqlItem, n.Service.String(), n.Name, s.since(&n.Config), id)
	return it, ok, err
}

// scan reads items until take answers false.
func scan(tx *store.Tx, take func(Item) bool, q string, args ...any) error {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var it Item
		var publisher string
		if err := rows.Scan(&it.ID, &it.seq, &publisher, &it.At, &it.Payload); err != nil {
			return err
		}
		if it.Publisher, err = jid.Parse(publisher); err != nil {
			return err
		}
		if len(it.Payload) == 0 {
			it.Payload = nil
		}
		if !take(it) {
			return errors.Join(rows.Err(), rows.Close())
		}
	}
	return rows.Err()
}
