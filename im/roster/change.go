package roster

import (
	"errors"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Action is what a Step asks for.
type Action uint8

const (
	// Push sends Item to the owner's interested resources (RFC 6121 §2.1.6). The
	// store does it itself.
	Push Action = iota + 1
	// Deliver gives the owner's resources a subscription stanza of type Type from
	// Other: a request to the available ones (RFC 6121 §3.1.3), the rest to the
	// interested ones (RFC 6121 §3.1.6, §3.2.3, §3.3.3).
	Deliver
	// Announce sends the owner's present presence to Other (RFC 6121 §3.1.5).
	Announce
	// Withdraw sends unavailable presence of the owner's resources to Other
	// (RFC 6121 §3.2.2, §3.3.3).
	Withdraw
)

// Step is one effect of a change, carried out after its commit.
type Step struct {
	Do           Action
	Owner, Other jid.JID
	Type         stanza.Type // Deliver
	Item         Item        // Push
	Ver          int64       // Push: the roster's version with this item
}

// change is what one transaction does to rosters.
type change struct {
	tx    *store.Tx
	now   int64 // microseconds
	steps []Step
	sides []*side
}

// side is one owner's relation to one contact.
type side struct {
	owner, contact jid.JID
	item           Item
	state          State
	seq            int64 // of its last change; 0 if it did not change
}

func (c *change) load(owner, contact jid.JID) (*side, error) {
	it, listed, err := readItem(c.tx, owner, contact)
	if err != nil {
		return nil, err
	}
	sd := &side{owner: owner, contact: contact, item: it}
	if listed {
		sd.state = it.state()
	}
	var one int
	switch err := c.tx.Row(sqlHasPending, owner.String(), contact.String()).Scan(&one); {
	case err == nil:
		sd.state |= PendingIn
	case !errors.Is(err, store.ErrNoRows):
		return nil, err
	}
	c.sides = append(c.sides, sd)
	return sd, nil
}

// move takes a side to another state and adds the push it causes. request is
// kept while PendingIn is set.
func (c *change) move(sd *side, next State, request []byte) error {
	if next == sd.state {
		return nil
	}
	was := sd.state
	sd.state = next
	switch {
	case next&PendingIn != 0 && was&PendingIn == 0:
		if _, err := c.tx.Exec(sqlPutPending, sd.owner.String(), sd.contact.String(), request, c.now); err != nil {
			return err
		}
	case next&PendingIn == 0 && was&PendingIn != 0:
		if _, err := c.tx.Exec(sqlDropPending, sd.owner.String(), sd.contact.String()); err != nil {
			return err
		}
	}
	// RFC 6121 §3.1.3: a pending request is no roster item and nothing to push.
	if (was^next)&^PendingIn == 0 {
		return c.bump(sd, false)
	}
	sd.item.setState(next)
	return c.save(sd)
}

// save writes the item of a side and adds its push.
func (c *change) save(sd *side) error {
	it := &sd.item
	_, err := c.tx.Exec(sqlPutItem, sd.owner.String(), sd.contact.String(), it.Name, encodeGroups(it.Groups),
		it.Subscription, it.Ask, it.Approved)
	if err != nil {
		return err
	}
	return c.push(sd)
}

// remove takes the item out of the owner's roster.
func (c *change) remove(sd *side) error {
	if _, err := c.tx.Exec(sqlDropItem, sd.owner.String(), sd.contact.String()); err != nil {
		return err
	}
	if _, err := c.tx.Exec(sqlDropPending, sd.owner.String(), sd.contact.String()); err != nil {
		return err
	}
	sd.state = None
	sd.item = Item{JID: sd.contact, Subscription: "remove"}
	return c.push(sd)
}

func (c *change) push(sd *side) error {
	if err := c.bump(sd, true); err != nil {
		return err
	}
	c.steps = append(c.steps, Step{Do: Push, Owner: sd.owner, Other: sd.contact, Item: sd.item, Ver: sd.seq})
	return nil
}

func (c *change) bump(sd *side, visible bool) error {
	ver := c.now
	if !visible {
		ver = 0
	}
	return c.tx.Row(sqlBump, sd.owner.String(), c.now, ver).Scan(&sd.seq)
}

// arrive is a contact's stanza reaching the owner of sd. The answer in the
// owner's name comes back, "" for none.
func (c *change) arrive(typ stanza.Type, sd *side, request []byte) (reply stanza.Type, err error) {
	next, deliver, reply := Inbound(typ, sd.state)
	lost := sd.state&From != 0 && next&From == 0
	if deliver {
		c.steps = append(c.steps, Step{Do: Deliver, Owner: sd.owner, Other: sd.contact, Type: typ})
	}
	if err := c.move(sd, next, request); err != nil {
		return "", err
	}
	if lost { // RFC 6121 §3.3.3: after the stanza and the push
		c.steps = append(c.steps, Step{Do: Withdraw, Owner: sd.owner, Other: sd.contact})
	}
	return reply, nil
}
