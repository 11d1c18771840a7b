package pubsub

import (
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// subscriber is the address a request wants subscribed, which must be the
// requester's own (XEP-0060 §6.1.3.1).
func (rq *request) subscriber() (jid.JID, error) {
	text := rq.el.Attr("jid")
	if text == "" {
		return jid.JID{}, fail("bad-request", "jid-required", "the request names no subscriber")
	}
	j, err := jid.Parse(text)
	if err != nil || j.Bare() != rq.who.Bare() {
		return jid.JID{}, fail("bad-request", "invalid-jid", "only oneself can be subscribed")
	}
	return j, nil
}

// subscribe is XEP-0060 §6.1.
func (rq *request) subscribe() (*elem.Element, error) {
	name := rq.el.Attr("node")
	if name == "" {
		return nil, errNodeID
	}
	who, err := rq.subscriber()
	if err != nil {
		return nil, err
	}
	asked, err := asked(rq)
	if err != nil {
		return nil, err
	}
	var is Subscription
	err = rq.Store.Do(rq.ctx, rq.service, rq.who, func(w *Writing) error {
		n, err := w.Node(name)
		if err != nil {
			return err
		}
		if n == nil {
			return errNoNode // XEP-0060 §6.1.3.12
		}
		if err := enlist(rq, w, n, who); err != nil {
			return err
		}
		if asked != nil {
			var o Options
			if refusal := o.Read(asked, w.st.cfg.Now()); refusal != nil {
				return refusal
			}
			if err := w.SetOptions(n, who, o); err != nil {
				return err
			}
		}
		is = *n.find(who)
		return nil
	})
	if err != nil {
		return nil, err
	}
	answer := elem.New(Space, "pubsub").Add(subscription(Space, name, &is))
	if asked != nil { // XEP-0060 §6.3.7: what the options are now
		answer.Add(elem.New(Space, "options").Add(is.Options.Form("result").Element()))
	}
	return answer, nil
}

// enlist gives an address the subscription it may have. There is one for an
// address: XEP-0060 §6.1.6 is not offered, so there are no subscription ids.
func enlist(rq *request, w *Writing, n *Node, who jid.JID) error {
	state, refusal := n.Subscribes(who, rq.rel)
	if refusal != nil {
		return refusal
	}
	if n.Config.NoSubscribe && who.Bare() != n.Service { // XEP-0060 §6.1.3.10
		return unsupported("subscribe", "this node is not subscribed to")
	}
	switch n.Subscription(who) {
	case Pending:
		if state == Pending { // XEP-0060 §6.1.3.7
			return fail("not-authorized", "pending-subscription", "the owner has not answered yet")
		}
	case Subscribed:
		return nil // XEP-0060 §6.1.6: the one there is
	}
	if err := w.Subscribe(n, who, state); err != nil {
		return err
	}
	if state == Subscribed {
		w.join(n, who)
	} else { // XEP-0060 §6.1.4: the owners are asked
		w.tell(Change{Kind: Asked, Node: n, Whom: who})
	}
	return nil
}

func subscription(space, node string, s *Subscription) *elem.Element {
	e := elem.New(space, "subscription")
	if node != "" {
		e.Set("node", node)
	}
	return e.Set("jid", s.JID.String()).Set("subscription", string(s.State))
}

// unsubscribe is XEP-0060 §6.2.
func (rq *request) unsubscribe() error {
	name := rq.el.Attr("node")
	if name == "" {
		return errNodeID
	}
	text := rq.el.Attr("jid")
	who, err := jid.Parse(text)
	if err != nil {
		return fail("bad-request", "jid-required", "the request names no subscriber")
	}
	if who.Bare() != rq.who.Bare() { // XEP-0060 §6.2.3.3
		return errForbidden
	}
	return rq.Store.Do(rq.ctx, rq.service, rq.who, func(w *Writing) error {
		n, err := w.Node(name)
		if err != nil {
			return err
		}
		if n == nil {
			return errNoNode // XEP-0060 §6.2.3.4
		}
		if n.Subscription(who) == Unsubscribed { // XEP-0060 §6.2.3.2
			return fail("unexpected-request", "not-subscribed", "there is no such subscription").WithType("cancel")
		}
		w.altered = true
		w.tell(Change{Kind: Left, Node: n, Whom: who, State: Unsubscribed})
		_, err = w.tx.Exec(sqlDropSub, w.service.String(), n.Name, who.String())
		return err
	})
}

// subscriptions is XEP-0060 §5.6: the requester's own, of one node or of all.
func (rq *request) subscriptions() (*elem.Element, error) {
	s, err := rq.Store.Root(rq.ctx, rq.service)
	if err != nil {
		return nil, err
	}
	out := elem.New(Space, "subscriptions")
	only := rq.el.Attr("node")
	if only != "" {
		out.Set("node", only)
	}
	for _, n := range s.Nodes() {
		if only != "" && n.Name != only {
			continue
		}
		for _, sub := range n.Subscriptions() {
			if sub.JID.Bare() == rq.who.Bare() {
				out.Add(subscription(Space, n.Name, &sub))
			}
		}
	}
	return elem.New(Space, "pubsub").Add(out), nil
}

// affiliations is XEP-0060 §5.7: the requester's own.
func (rq *request) affiliations() (*elem.Element, error) {
	s, err := rq.Store.Root(rq.ctx, rq.service)
	if err != nil {
		return nil, err
	}
	out := elem.New(Space, "affiliations")
	only := rq.el.Attr("node")
	if only != "" {
		out.Set("node", only)
	}
	for _, n := range s.Nodes() {
		a := n.Affiliation(rq.who)
		if a != NoneAtAll && (only == "" || n.Name == only) {
			out.Add(elem.New(Space, "affiliation", "node", n.Name, "affiliation", string(a)))
		}
	}
	return elem.New(Space, "pubsub").Add(out), nil
}
