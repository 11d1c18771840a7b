package roster

import (
	"context"
	"fmt"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Pair are two people who get each other as contacts, both subscribed.
type Pair struct {
	A, B         jid.JID
	NameA, NameB string   // what the other calls them: NameB stands in A's roster
	Groups       []string // in both rosters
}

// seedChunk is how many pairs one transaction takes.
const seedChunk = 200

// Seed makes pairs of contacts, for a sample company and for imports. Sessions
// bound meanwhile get roster pushes, but no presence of each other.
func (s *Store) Seed(ctx context.Context, pairs []Pair) error {
	for _, p := range pairs {
		if err := s.cfg.Limits.check(p.NameA, p.Groups); err != nil {
			return err
		}
		if err := s.cfg.Limits.check(p.NameB, p.Groups); err != nil {
			return err
		}
	}
	for len(pairs) > 0 {
		chunk := pairs[:min(seedChunk, len(pairs))]
		pairs = pairs[len(chunk):]
		err := s.commit(ctx, nil, func(c *change) error {
			for _, p := range chunk {
				if err := c.befriend(p.A, p.B, p.NameB, p.Groups); err != nil {
					return err
				}
				if err := c.befriend(p.B, p.A, p.NameA, p.Groups); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Befriend is Seed for one pair.
func (s *Store) Befriend(ctx context.Context, a, b jid.JID, nameA, nameB string, groups ...string) error {
	return s.Seed(ctx, []Pair{{A: a, B: b, NameA: nameA, NameB: nameB, Groups: groups}})
}

func (c *change) befriend(owner, contact jid.JID, name string, groups []string) error {
	sd, err := c.load(owner, contact)
	if err != nil {
		return err
	}
	if sd.state&PendingIn != 0 {
		if _, err := c.tx.Exec(sqlDropPending, owner.String(), contact.String()); err != nil {
			return err
		}
	}
	sd.state = To | From | Listed | sd.state&Approved
	sd.item.setState(sd.state)
	sd.item.Name, sd.item.Groups = name, groups
	return c.save(sd)
}

// Waiting is an inbound request that was not answered yet.
type Waiting struct {
	From   jid.JID
	Stanza []byte // the complete presence stanza in jabber:client
}

// Pending are the requests waiting for the owner's answer, oldest first (RFC 6121 §3.1.3).
func (s *Store) Pending(ctx context.Context, owner jid.JID) ([]Waiting, error) {
	var out []Waiting
	err := s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(sqlPending, owner.String())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var from string
			var w Waiting
			if err := rows.Scan(&from, &w.Stanza); err != nil {
				return err
			}
			if w.From, err = jid.Parse(from); err != nil {
				return err
			}
			out = append(out, w)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("roster: requests to %s: %w", owner, err)
	}
	return out, nil
}

// Forget deletes an account within a transaction of the caller: its rows, and
// the subscriptions others have to it or it to them. After the commit the caller
// calls Forgotten.
func (s *Store) Forget(tx *store.Tx, owner jid.JID) error {
	c := &change{tx: tx, now: s.cfg.Now().UnixMicro()}
	if err := c.dissolve(owner); err != nil {
		return fmt.Errorf("roster: forget %s: %w", owner, err)
	}
	for _, q := range []string{sqlForgetItems, sqlForgetPending, sqlForgetVersion} {
		if _, err := tx.Exec(q, owner.String()); err != nil {
			return fmt.Errorf("roster: forget %s: %w", owner, err)
		}
	}
	s.mu.Lock()
	s.gone[owner] = c
	s.mu.Unlock()
	return nil
}

// dissolve removes every contact of an account.
func (c *change) dissolve(owner jid.JID) error {
	states, err := readStates(c.tx, owner)
	if err != nil {
		return err
	}
	if err := addPending(c.tx, owner, states); err != nil {
		return err
	}
	for contact := range states {
		sd, err := c.load(owner, contact)
		if err != nil {
			return err
		}
		// Contacts elsewhere have no rows here, so nothing of theirs changes.
		if err := c.sever(sd, true); err != nil {
			return err
		}
	}
	return nil
}

// Forgotten tells memory and sessions what Forget did, after its commit; without
// a committed Forget before it, it tells nobody anything. do is as in Apply.
func (s *Store) Forgotten(ctx context.Context, owner jid.JID, do func(Step)) error {
	s.mu.Lock()
	c := s.gone[owner]
	delete(s.gone, owner)
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	s.cache.Drop(owner)
	for _, sd := range c.sides {
		s.cache.Drop(sd.owner)
	}
	var seq int64
	err := s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		var err error
		_, seq, err = readVersion(tx, owner)
		return err
	})
	if err != nil {
		return fmt.Errorf("roster: forgotten %s: %w", owner, err)
	}
	if seq == 0 { // else it was undone: the account has a roster still
		s.publish(c, do)
	}
	return nil
}
