package roster

import (
	"context"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Set makes or changes an item's name and groups (RFC 6121 §2.3, §2.4).
func (s *Store) Set(ctx context.Context, owner, contact jid.JID, name string, groups []string) error {
	if err := s.cfg.Limits.check(name, groups); err != nil {
		return err
	}
	own, err := s.Relations(ctx, owner)
	if err != nil {
		return err
	}
	if own.Of(contact)&Listed == 0 && own.Len() >= s.cfg.Limits.Items {
		return errFull
	}
	return s.commit(ctx, nil, func(c *change) error {
		sd, err := c.load(owner, contact)
		if err != nil {
			return err
		}
		sd.state |= Listed
		sd.item.Name, sd.item.Groups = name, groups
		return c.save(sd)
	})
}

// Remove takes a contact out of the roster and cancels the subscriptions both
// ways (RFC 6121 §2.5). local and do are as in Apply.
func (s *Store) Remove(ctx context.Context, owner, contact jid.JID, local bool, do func(Step)) error {
	return s.commit(ctx, do, func(c *change) error {
		own, err := c.load(owner, contact)
		if err != nil {
			return err
		}
		if own.state&Listed == 0 {
			// RFC 6121 §2.5.3: not in the roster.
			return stanza.Fail("item-not-found", "this contact is not in the contact list")
		}
		return c.sever(own, local)
	})
}

// sever ends both subscriptions and takes the item out.
func (c *change) sever(own *side, local bool) error {
	var theirs *side
	var err error
	if local {
		if theirs, err = c.load(own.contact, own.owner); err != nil {
			return err
		}
	}
	if own.state&(To|PendingOut) != 0 && theirs != nil {
		// RFC 6121 §2.5.2: the owner's subscription, asked for or granted, ends.
		if _, err := c.arrive(stanza.Unsubscribe, theirs, nil); err != nil {
			return err
		}
	}
	if own.state&From != 0 {
		c.steps = append(c.steps, Step{Do: Withdraw, Owner: own.owner, Other: own.contact})
	}
	if own.state&(From|PendingIn) != 0 && theirs != nil {
		// RFC 6121 §2.5.2: so does the contact's.
		if _, err := c.arrive(stanza.Unsubscribed, theirs, nil); err != nil {
			return err
		}
	}
	return c.remove(own)
}
