package pubsub

import (
	"context"
	"slices"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const (
	// AuthorizeForm is the FORM_TYPE of approvals (XEP-0060 §16.4.1).
	AuthorizeForm = Space + "#subscribe_authorization"
	// GetPending is the command that asks for them (XEP-0060 §8.7).
	GetPending = Space + "#get-pending"
	// CommandSpace is the namespace of ad-hoc commands (XEP-0050 §6).
	CommandSpace = "http://jabber.org/protocol/commands"
)

// Authorization asks an owner whether somebody may subscribe (XEP-0060 §8.6).
func Authorization(n *Node, who jid.JID) *form.Form {
	f := form.New("form", AuthorizeForm)
	f.Title = "Subscription request"
	f.Instructions = "Allow this address to see what is published here, or refuse."
	f.Add("text-single", "pubsub#node", "Node", n.Name)
	f.Add("jid-single", "pubsub#subscriber_jid", "Subscriber", who.String())
	return f.Add("boolean", "pubsub#allow", "Allow it", "0")
}

// IsDecision says that a form answers an Authorization.
func IsDecision(f *form.Form) bool {
	return f != nil && f.Kind() == AuthorizeForm && (f.Type == "submit" || f.Type == "cancel")
}

// Decide takes an owner's answer (XEP-0060 §8.6). The first one counts.
func (s *Store) Decide(ctx context.Context, service, by jid.JID, f *form.Form) error {
	name, _ := f.Value("pubsub#node")
	text, _ := f.Value("pubsub#subscriber_jid")
	allow, _ := f.Value("pubsub#allow")
	if f.Type == "cancel" {
		return nil // XEP-0060 §8.6: it goes on waiting
	}
	who, err := jid.Parse(text)
	if err != nil || name == "" || !isTrue(allow) && allow != "0" && allow != "false" {
		return stanza.Fail("bad-request", "an approval names node, subscriber and whether it is allowed")
	}
	return s.Do(ctx, service, by, func(w *Writing) error {
		n, err := w.Node(name)
		if err != nil {
			return err
		}
		// Whoever is no owner learns nothing, not even whether there is such a node.
		if n == nil || !n.Manages(by) {
			return errForbidden
		}
		switch n.Subscription(who) {
		case Subscribed:
			if isTrue(allow) {
				return nil
			}
			return fail("unexpected-request", "", "this subscription was approved already").WithType("cancel")
		case Unsubscribed:
			return fail("unexpected-request", "not-subscribed", "nobody waits for this answer any more").WithType("cancel")
		}
		if isTrue(allow) {
			return w.Approve(n, who)
		}
		w.Move(n, who, Unsubscribed)
		return w.Unsubscribe(n, who)
	})
}

// Command answers ad-hoc commands to an account: the one there is asks for the
// approvals that wait (XEP-0060 §8.7). It keeps no session: its second step says all.
func (r *Requests) Command(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	if q.Payload.Attr("node") != GetPending {
		return nil, stanza.Fail("item-not-found", "there is no such command")
	}
	who, service := q.From, q.To.Bare()
	v, err := r.Store.Root(ctx, service)
	if err != nil {
		return nil, err
	}
	var mine []string // nodes with requests that wait
	for _, n := range v.Nodes() {
		if n.Manages(who) && n.pending() {
			mine = append(mine, n.Name)
		}
	}
	if who.Bare() != service && !slices.ContainsFunc(v.Nodes(), func(n *Node) bool { return n.Manages(who) }) {
		return nil, errForbidden // XEP-0060 §8.7.3.3
	}
	session := q.Payload.Attr("sessionid")
	answer := func(status string) *elem.Element {
		return elem.New(CommandSpace, "command", "node", GetPending, "sessionid", session, "status", status)
	}
	x := form.Read(q.Payload.Child(form.Space, "x"))
	switch action := q.Payload.Attr("action"); {
	case action == "cancel" || x != nil && x.Type == "cancel":
		return answer("canceled"), nil
	case action != "" && action != "execute" && action != "complete" && action != "next":
		return nil, stanza.Fail("bad-request", "this action is not possible here")
	case x == nil && session == "":
		session = freshID()
		return answer("executing").Add(elem.New(CommandSpace, "actions", "execute", "complete").Add(elem.New(CommandSpace, "complete")),
			choose(mine).Element()), nil
	}
	name := ""
	if x != nil {
		name, _ = x.Value("pubsub#node")
	}
	if name == "" {
		return nil, stanza.Fail("bad-request", "name a node")
	}
	return answer("completed"), r.remind(ctx, service, who, name)
}

// choose is the form of the first step (XEP-0060 §8.7.2).
func choose(nodes []string) *form.Form {
	f := form.New("form", AuthorizeForm)
	f.Add("list-single", "pubsub#node", "Node")
	at := &f.Fields[len(f.Fields)-1]
	for _, name := range nodes {
		at.Options = append(at.Options, form.Option{Value: name})
	}
	return f
}

// remind sends an owner's session what waits for approval (XEP-0060 §8.7.4).
func (r *Requests) remind(ctx context.Context, service, who jid.JID, name string) error {
	return r.Store.Do(ctx, service, who, func(w *Writing) error {
		n, err := w.Node(name)
		if err != nil {
			return err
		}
		if n == nil {
			if who.Bare() != service {
				return errForbidden
			}
			return errNoNode // XEP-0060 §8.7.3.4
		}
		if !n.Manages(who) {
			return errForbidden
		}
		for _, s := range n.subs {
			if s.State == Pending {
				w.tell(Change{Kind: Asked, Node: n, Whom: s.JID, To: who})
			}
		}
		return nil
	})
}

// Pending are the subscriptions that wait for an account's approval, of all its nodes.
func (v *Root) Pending() (out []Change) {
	for _, n := range v.Nodes() {
		for _, s := range n.Subscriptions() {
			if s.State == Pending {
				out = append(out, Change{Kind: Asked, Node: n, Whom: s.JID})
			}
		}
	}
	return out
}
