package roster

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Followers carries out what the removal of a contact means for presence and
// subscriptions; im/presence meets it.
type Followers interface {
	// Local says whether a contact is an account of ours.
	Local(ctx context.Context, contact jid.JID) (bool, error)
	// Carry does a step other than Push, with stanzas in the owners' names.
	Carry(Step)
}

// Feature is roster management as data.
func Feature(s *Store, f Followers) im.Feature {
	h := handlers{s, f}
	return im.Feature{
		Name: "roster",
		Specs: []im.Spec{
			{ID: "RFC 6121", Version: "2011-03", Status: "complete", Note: "§2-§4: rosters, subscriptions, presence"},
			{ID: "XEP-0237", Version: "1.3", Status: "complete", Note: "roster versioning, as in RFC 6121 §2.6"},
		},
		IQ: []im.Route{
			{Scope: im.ToSelf, Type: stanza.Get, Space: Space, Local: "query", Handle: h.get},
			{Scope: im.ToSelf, Type: stanza.Set, Space: Space, Local: "query", Handle: h.set},
			{Scope: im.ToAccount, Type: stanza.Set, Space: Space, Local: "query", Handle: foreign},
		},
		Migrations: Migrations().FS,
	}
}

type handlers struct {
	store     *Store
	followers Followers
}

// get is RFC 6121 §2.2: the whole roster, or nothing if the client's copy is
// the present one (RFC 6121 §2.6.3). The session counts as interested from here
// on, before the roster is read, so that no change falls between the two.
func (h handlers) get(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	owner := q.To.Bare()
	if q.Session != nil {
		q.Session.Switch(func(f *session.Flags) { f.Interested = true })
	}
	has, versioned := q.Payload.Lookup("ver")
	if versioned && has != "" {
		ver, err := h.store.Version(ctx, owner)
		if err != nil {
			return nil, err
		}
		if ver == has {
			return nil, nil
		}
	}
	items, ver, err := h.store.current(ctx, owner)
	if err != nil {
		return nil, err
	}
	query := elem.New(Space, "query")
	if versioned {
		query.Set("ver", ver) // RFC 6121 §2.6.2: only for clients that know it
	}
	for i := range items {
		query.Add(items[i].Element())
	}
	return query, nil
}

// currentTries bounds how often a roster that is being changed is read again.
const currentTries = 5

// current reads a roster that is no older than any push sent so far, so that a
// client does not replace what a push told it by something older.
func (s *Store) current(ctx context.Context, owner jid.JID) (items []Item, ver string, err error) {
	for range currentTries {
		var seq int64
		if items, ver, seq, err = s.read(ctx, owner); err != nil {
			return nil, "", err
		}
		if r := s.Peek(owner); r == nil || r.seq <= seq {
			break
		}
	}
	return items, ver, nil
}

// set is RFC 6121 §2.3 to §2.5.
func (h handlers) set(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	owner := q.To.Bare()
	var item *elem.Element
	for _, c := range q.Payload.Children {
		if c.Space != Space || c.Local != "item" {
			continue
		}
		if item != nil {
			return nil, stanza.Fail("bad-request", "one contact at a time") // RFC 6121 §2.3.3
		}
		item = c
	}
	if item == nil {
		return nil, stanza.Fail("bad-request", "no contact given")
	}
	contact, err := contactOf(item, owner)
	if err != nil {
		return nil, err
	}
	// RFC 6121 §2.1.2.5: any other subscription a client sends is ignored.
	if item.Attr("subscription") == "remove" {
		local, err := h.followers.Local(ctx, contact)
		if err != nil {
			return nil, err
		}
		return nil, h.store.Remove(ctx, owner, contact, local, h.followers.Carry)
	}
	var groups []string
	for _, c := range item.Children {
		if c.Space == Space && c.Local == "group" {
			groups = append(groups, c.Text)
		}
	}
	return nil, h.store.Set(ctx, owner, contact, item.Attr("name"), groups)
}

// foreign is RFC 6121 §2.3.3: only its owner changes a roster.
func foreign(context.Context, *im.IQ) (*elem.Element, error) {
	return nil, stanza.Fail("forbidden", "this is somebody else's contact list")
}

// contactOf reads an item's address. Subscriptions are between bare JIDs (RFC
// 6121 §3), so that is what is listed.
func contactOf(item *elem.Element, owner jid.JID) (jid.JID, error) {
	addr, ok := item.Lookup("jid")
	if !ok {
		return jid.JID{}, stanza.Fail("bad-request", "the contact has no address")
	}
	contact, err := jid.Parse(addr)
	if err != nil {
		return jid.JID{}, stanza.Fail("jid-malformed", "the contact's address is not a valid JID")
	}
	contact = contact.Bare()
	if contact == owner {
		// RFC 6121 §4.2.2: everybody is subscribed to oneself already.
		return jid.JID{}, stanza.Fail("not-allowed", "you can't be your own contact")
	}
	return contact, nil
}
