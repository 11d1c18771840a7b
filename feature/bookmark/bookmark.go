package bookmark

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// The two nodes.
const (
	Native = "urn:xmpp:bookmarks:1"
	Legacy = "storage:bookmarks"
)

// current is the id of the one item of the old node (XEP-0048 §3.2).
const current = "current"

// maxRooms bounds what one change of the old element means.
const maxRooms = 1000

var errTooMany = stanza.Fail("resource-constraint", "there are as many bookmarks as this server keeps; remove one first").WithType("cancel")

// Storage is the old element's name.
func Storage() elem.Name { return elem.Name{Space: Legacy, Local: "storage"} }

// Feature is bookmarks as data; the work is done by Convert and Private.
func Feature() im.Feature {
	return im.Feature{
		Name: "bookmark",
		Specs: []im.Spec{
			{ID: "XEP-0048", Version: "1.2", Status: "complete"},
			{ID: "XEP-0402", Version: "1.2.0", Status: "complete"},
			{ID: "XEP-0492", Version: "0.2.0", Status: "complete", Note: "kept with the bookmarks, also through clients that don't know it"},
		},
		// XEP-0402 §6
		AccountFeatures: []string{Native + "#compat", Native + "#compat-pep"},
	}
}

// Convert brings one form up to date after the other was changed.
func Convert(w *pubsub.Writing, node string) error {
	switch node {
	case Native:
		return collate(w)
	case Legacy:
		return divide(w)
	}
	return nil
}

// closed is a node if nobody but its owner reads it, else nil.
func closed(n *pubsub.Node) *pubsub.Node {
	if n == nil || n.Config.Access != pubsub.Whitelist || !n.Config.Persist {
		return nil
	}
	return n
}

// collate is XEP-0402 §5.3.1: the old element from the items.
func collate(w *pubsub.Writing) error {
	n, err := w.Node(Native)
	if err != nil {
		return err
	}
	var items []pubsub.Item
	if n != nil {
		if closed(n) == nil {
			return nil
		}
		if items, err = w.Items(n); err != nil {
			return err
		}
	}
	old, err := w.Ensure(Legacy)
	if err != nil || closed(old) == nil {
		return err
	}
	was, err := storage(w, old)
	if err != nil {
		return err
	}
	if len(items) > maxRooms {
		return errTooMany
	}
	now := elem.New(Legacy, "storage")
	var list []conference
	for i := range items {
		if c, ok := read(&items[i]); ok {
			list = append(list, c)
			now.Add(c.legacy())
		}
	}
	if was != nil && same(conferences(was), list) || was == nil && len(list) == 0 {
		return nil
	}
	if was != nil {
		for _, k := range was.Children { // web addresses, and whatever else is no room
			if k.Local != "conference" || k.Space != Legacy {
				now.Add(k)
			}
		}
	}
	_, err = w.Put(old, pubsub.Item{ID: current, Payload: now.AppendTo(nil, "")})
	return err
}

// storage is the old element, nil if there is none.
func storage(w *pubsub.Writing, old *pubsub.Node) (*elem.Element, error) {
	items, err := w.Items(old)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	e, err := elem.Parse(items[len(items)-1].Payload)
	if err != nil || e.Name != Storage() {
		return nil, nil // not what we know: left alone
	}
	return e, nil
}

// divide is XEP-0402 §5.3.2: items from the old element. What did not change is
// not published again.
func divide(w *pubsub.Writing) error {
	old, err := w.Node(Legacy)
	if err != nil || closed(old) == nil {
		return err
	}
	e, err := storage(w, old)
	if err != nil || e == nil {
		return err // taken away: the rooms stay
	}
	n, err := w.Ensure(Native)
	if err != nil || closed(n) == nil {
		return err
	}
	items, err := w.Items(n)
	if err != nil {
		return err
	}
	there := map[string]conference{}
	for i := range items {
		if c, ok := read(&items[i]); ok {
			there[c.room] = c
		}
	}
	list := conferences(e)
	if len(list) > maxRooms {
		return errTooMany
	}
	for _, c := range list {
		was, known := there[c.room]
		delete(there, c.room)
		if known && was.equal(&c) {
			continue
		}
		// What the old form has no room for stays (XEP-0402 §2, XEP-0492 §3).
		if known {
			c.extensions, c.id = was.extensions, was.id
		}
		if _, err := w.Put(n, pubsub.Item{ID: c.id, Payload: c.native().AppendTo(nil, "")}); err != nil {
			return err
		}
	}
	for _, gone := range there {
		if _, err := w.Retract(n, gone.id, true); err != nil {
			return err
		}
	}
	return nil
}

// Personal changes and reads an account's nodes; im/pep meets it.
type Personal interface {
	Do(ctx context.Context, account, by jid.JID, fn func(*pubsub.Writing) error) error
	Nodes() *pubsub.Store
}

// Private is the old element in private XML, for feature/private.
type Private struct{ Personal Personal }

// Read gives the old element.
func (p Private) Read(ctx context.Context, owner jid.JID) (*elem.Element, error) {
	v, err := p.Personal.Nodes().Root(ctx, owner)
	if err != nil {
		return nil, err
	}
	old := v.Node(Legacy)
	if old == nil {
		return nil, nil
	}
	it, ok, err := p.Personal.Nodes().Last(ctx, old)
	if err != nil || !ok {
		return nil, err
	}
	return elem.Parse(it.Payload)
}

// Write keeps it, and the rooms in it as items.
func (p Private) Write(ctx context.Context, owner, by jid.JID, e *elem.Element) error {
	return p.Personal.Do(ctx, owner, by, func(w *pubsub.Writing) error {
		old, err := w.Ensure(Legacy)
		if err != nil {
			return err
		}
		if closed(old) == nil {
			// Whoever uses private XML means private, however the node was made.
			if err := w.Configure(old, pubsub.Private()); err != nil {
				return err
			}
			if old, err = w.Node(Legacy); err != nil {
				return err
			}
		}
		_, err = w.Put(old, pubsub.Item{ID: current, Payload: e.AppendTo(nil, "")})
		return err
	})
}
