package roster

import (
	"context"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Restore puts an account's items, and the requests it has not answered, into its
// roster as they were elsewhere. Only the owner's side is written: the other's
// comes with the other's account. Sessions bound meanwhile get pushes.
func (s *Store) Restore(ctx context.Context, owner jid.JID, items []Item, pending []Waiting) error {
	for i := range items {
		if err := s.cfg.Limits.check(items[i].Name, items[i].Groups); err != nil {
			return err
		}
	}
	return s.commit(ctx, nil, func(c *change) error {
		for i := range items {
			sd, err := c.load(owner, items[i].JID)
			if err != nil {
				return err
			}
			sd.item = items[i]
			sd.state = items[i].state() | sd.state&PendingIn
			sd.item.setState(sd.state)
			if err := c.save(sd); err != nil {
				return err
			}
		}
		return c.ask(owner, pending)
	})
}

// ask notes requests that wait for the owner's answer.
func (c *change) ask(owner jid.JID, pending []Waiting) error {
	for _, w := range pending {
		sd, err := c.load(owner, w.From)
		if err != nil {
			return err
		}
		if sd.state&(From|PendingIn) != 0 {
			continue // answered, or known
		}
		if err := c.move(sd, sd.state|PendingIn, w.Stanza); err != nil {
			return err
		}
	}
	return nil
}
