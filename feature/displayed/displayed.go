package displayed

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Node is the account's node and the namespace of what lies in it (XEP-0490 §4.1).
const Node = "urn:xmpp:mds:displayed:0"

// Personal is the personal services; im/pep meets it.
type Personal interface {
	Do(ctx context.Context, account, by jid.JID, fn func(*pubsub.Writing) error) error
}

// Feature is the assistance as data.
func Feature() im.Feature {
	return im.Feature{
		Name:            "displayed",
		Specs:           []im.Spec{{ID: "XEP-0490", Version: "1.0.1", Status: "complete"}},
		AccountFeatures: []string{"urn:xmpp:mds:server-assist:0"}, // XEP-0490 §4.5.2
	}
}

// Take keeps what a message says of how far its sender has read, and returns the
// message without it: nobody else is to see it (XEP-0490 §4.5.3, §5.2). A message
// that says nothing of it comes back as it is.
func Take(ctx context.Context, p Personal, from jid.JID, st *stanza.Stanza) (*stanza.Stanza, error) {
	k, ok := st.Child(Node, "displayed")
	if !ok {
		return st, nil
	}
	e, err := st.Element(k)
	if err != nil {
		return nil, stanza.Fail("bad-request", "what was displayed can't be read")
	}
	if e.Child("urn:xmpp:sid:0", "stanza-id") == nil { // XEP-0490 §4.1
		return nil, stanza.Fail("bad-request", "what was displayed is told by a stanza-id")
	}
	err = p.Do(ctx, from.Bare(), from, func(w *pubsub.Writing) error {
		n, err := w.Ensure(Node) // private if it is new: XEP-0490 §5.2
		if err != nil {
			return err
		}
		_, err = w.Put(n, pubsub.Item{ID: st.To.String(), Payload: e.AppendTo(nil, "")})
		return err
	})
	if err != nil {
		return nil, err
	}
	return st.Without(Node, "displayed"), nil
}
