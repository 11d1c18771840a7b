package roster

import (
	"context"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Request is one subscription stanza of a local user.
type Request struct {
	Type          stanza.Type // subscribe, subscribed, unsubscribe or unsubscribed
	User, Contact jid.JID     // bare
	// Local says that the contact is an account of ours, whose roster changes too.
	Local bool
	// Deaf says that the contact takes no requests from the user (it has blocked
	// the user): the user's own side changes as if nothing were wrong.
	Deaf bool
	// Stanza is the complete request as the contact is to see it, kept until it
	// is answered (RFC 6121 §3.1.3).
	Stanza []byte
}

// Apply changes the rosters of both sides in one transaction. do is called,
// after the commit and in its order, for every step but Push, which the store
// does itself; it must not block and must not call the store's writing methods.
func (s *Store) Apply(ctx context.Context, r Request, do func(Step)) error {
	if r.Type == stanza.Subscribe {
		if err := s.admit(ctx, r); err != nil {
			return err
		}
	}
	return s.commit(ctx, do, func(c *change) error {
		user, err := c.load(r.User, r.Contact)
		if err != nil {
			return err
		}
		var contact *side
		if r.Local && (r.Type != stanza.Subscribe || !r.Deaf) {
			if contact, err = c.load(r.Contact, r.User); err != nil {
				return err
			}
		}
		return c.apply(r, user, contact)
	})
}

func (c *change) apply(r Request, user, contact *side) error {
	next, route := Outbound(r.Type, user.state)
	if !route {
		contact = nil
	}
	switch r.Type {
	case stanza.Subscribe:
		return c.subscribe(r, next, user, contact)
	case stanza.Subscribed:
		gained := next&From != 0 && user.state&From == 0
		if contact != nil {
			if _, err := c.arrive(r.Type, contact, nil); err != nil {
				return err
			}
		}
		if err := c.move(user, next, nil); err != nil {
			return err
		}
		if gained { // RFC 6121 §3.1.5: after the approval
			c.steps = append(c.steps, Step{Do: Announce, Owner: r.User, Other: r.Contact})
		}
		return nil
	}
	if user.state&From != 0 && next&From == 0 {
		// RFC 6121 §3.2.2: unavailable presence goes before the cancellation.
		c.steps = append(c.steps, Step{Do: Withdraw, Owner: r.User, Other: r.Contact})
	}
	if contact != nil {
		if _, err := c.arrive(r.Type, contact, nil); err != nil {
			return err
		}
	}
	return c.move(user, next, nil)
}

// subscribe is RFC 6121 §3.1.2 and §3.1.3 in one go, with the answer the
// contact's server may give at once.
func (c *change) subscribe(r Request, next State, user, contact *side) error {
	if err := c.move(user, next, nil); err != nil {
		return err
	}
	if contact == nil {
		return nil
	}
	reply, err := c.arrive(r.Type, contact, r.Stanza)
	if err != nil || reply == "" {
		return err
	}
	if _, err := c.arrive(reply, user, nil); err != nil {
		return err
	}
	c.steps = append(c.steps, Step{Do: Announce, Owner: r.Contact, Other: r.User})
	return nil
}

// admit refuses requests that would make a list too long (HARDENING: bounded
// storage per account). It looks before the transaction, so that the bound may be
// passed by as many requests as come at the same moment.
func (s *Store) admit(ctx context.Context, r Request) error {
	own, err := s.Relations(ctx, r.User)
	if err != nil {
		return err
	}
	if own.Of(r.Contact)&Listed == 0 && own.Len() >= s.cfg.Limits.Items {
		return errFull
	}
	if !r.Local || r.Deaf {
		return nil
	}
	theirs, err := s.Relations(ctx, r.Contact)
	if err != nil {
		return err
	}
	if theirs.Of(r.User) == None && theirs.Waiting() >= s.cfg.Limits.Pending {
		return stanza.Fail("resource-constraint", "too many requests wait for this contact's answer")
	}
	return nil
}

// errFull is returned for one contact more than a roster may hold.
var errFull = stanza.Fail("resource-constraint", "the contact list is full; remove a contact first").WithType("cancel")
