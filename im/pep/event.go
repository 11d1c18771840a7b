package pep

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// event is one notification on its way to its sessions.
type event struct {
	node *pubsub.Node
	body *elem.Element // the child of <event/>
	// publisher is the account's own resource an item came from, zero if it is none.
	publisher jid.JID
	// at is when the item was published, if it is sent later (microseconds).
	at int64

	id      string
	content [2][]byte // without and with the publisher's address
	got     map[*session.Session]struct{}
}

// changed is the event of a change (XEP-0060 §4.3).
func changed(c *pubsub.Change, l pubsub.Limits) event {
	ev := event{node: c.Node}
	switch c.Kind {
	case pubsub.Published: // XEP-0060 §7.1.2
		ev.item(&c.Item)
	case pubsub.Retracted: // XEP-0060 §7.2.2.1
		ev.body = elem.New(pubsub.EventSpace, "items", "node", c.Node.Name).Add(elem.New(pubsub.EventSpace, "retract", "id", c.Item.ID))
	case pubsub.Purged: // XEP-0060 §8.5.2
		ev.body = elem.New(pubsub.EventSpace, "purge", "node", c.Node.Name)
	case pubsub.Deleted: // XEP-0060 §8.4.2
		ev.body = elem.New(pubsub.EventSpace, "delete", "node", c.Node.Name)
		if c.Redirect != "" {
			ev.body.Add(elem.New(pubsub.EventSpace, "redirect", "uri", c.Redirect))
		}
	case pubsub.Configured: // XEP-0060 §8.2.5.3
		ev.body = elem.New(pubsub.EventSpace, "configuration", "node", c.Node.Name)
		if c.Node.Config.Payloads {
			ev.body.Add(c.Node.Config.Form("result", l).Element())
		}
	}
	return ev
}

// item makes it the event of an item.
func (ev *event) item(it *pubsub.Item) {
	ev.body = elem.New(pubsub.EventSpace, "items", "node", ev.node.Name)
	if it.Publisher.Bare() == ev.node.Service && it.Publisher.IsFull() {
		ev.publisher = it.Publisher
	}
	if it.ID != "" { // else: that something happened (XEP-0060 §7.1.2.2)
		ev.body.Add(ev.node.Element(it, pubsub.EventSpace, ev.node.Config.Payloads))
	}
}

// last is the event of an item that was published before.
func last(n *pubsub.Node, it *pubsub.Item) event {
	ev := event{node: n, at: it.At}
	ev.item(it)
	return ev
}

func freshID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// replyTo is the namespace of XEP-0033.
const replyTo = "http://jabber.org/protocol/address"

// frame encodes it for one session. reply adds the publishing resource, for those
// who see the account's presence (XEP-0163 §4.3.1).
func (ev *event) frame(to jid.JID, reply bool) *session.Frame {
	if ev.id == "" {
		ev.id = freshID()
	}
	which := 0
	if reply && !ev.publisher.IsZero() {
		which = 1
	}
	if ev.content[which] == nil {
		b := elem.New(pubsub.EventSpace, "event").Add(ev.body).AppendTo(nil, stanza.Space)
		if which == 1 {
			b = elem.New(replyTo, "addresses").Add(elem.New(replyTo, "address", "type", "replyto", "jid", ev.publisher.String())).AppendTo(b, stanza.Space)
		}
		if ev.at != 0 { // XEP-0163 §4.3.4
			b = elem.New("urn:xmpp:delay", "delay", "stamp", time.UnixMicro(ev.at).UTC().Format("2006-01-02T15:04:05.000000Z")).AppendTo(b, stanza.Space)
		}
		ev.content[which] = b
	}
	st := stanza.Stanza{Kind: stanza.Message, Type: stanza.Headline, From: ev.node.Service, To: to, ID: ev.id, Content: ev.content[which]}
	if ev.node.Config.Normal {
		st.Type = stanza.Normal
	}
	f := route.Encode(&st)
	if ev.node.Config.MaxItems == 1 {
		// XEP-0352 §5: of a node that holds one item, an inactive client needs the newest only.
		f.Replaces = "pep " + ev.node.Service.String() + " " + ev.node.Name
	}
	return f
}
