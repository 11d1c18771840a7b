package pubsub

import (
	"context"
	"net/url"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// OwnerGet answers <pubsub/> of the owner's namespace, type get (XEP-0060 §8).
func (r *Requests) OwnerGet(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	rq, err := r.begin(ctx, q)
	if err != nil {
		return nil, err
	}
	if rq.el.Local == "default" { // XEP-0060 §8.3
		if rq.who.Bare() != rq.service {
			return nil, errForbidden
		}
		c := r.Store.cfg.Initial("")
		return rq.ownerAnswer(elem.New(OwnerSpace, "default").Add(c.Form("form", r.Store.cfg.Limits).Element())), nil
	}
	n, err := rq.managed()
	if err != nil {
		return nil, err
	}
	switch rq.el.Local {
	case "configure": // XEP-0060 §8.2.2
		return rq.ownerAnswer(elem.New(OwnerSpace, "configure", "node", n.Name).Add(n.Config.Form("form", r.Store.cfg.Limits).Element())), nil
	case "affiliations": // XEP-0060 §8.9.1
		out := elem.New(OwnerSpace, "affiliations", "node", n.Name)
		out.Add(affiliation(n.Service, Owner))
		for who, a := range n.affiliations {
			out.Add(affiliation(who, a))
		}
		return rq.ownerAnswer(out), nil
	case "subscriptions": // XEP-0060 §8.8.1
		out := elem.New(OwnerSpace, "subscriptions", "node", n.Name)
		for _, s := range n.Subscriptions() {
			out.Add(subscription(OwnerSpace, "", &s))
		}
		return rq.ownerAnswer(out), nil
	}
	return nil, stanza.Fail("feature-not-implemented", "there is no such request")
}

func (rq *request) ownerAnswer(e *elem.Element) *elem.Element {
	return elem.New(OwnerSpace, "pubsub").Add(e)
}

func affiliation(who jid.JID, a Affiliation) *elem.Element {
	return elem.New(OwnerSpace, "affiliation", "jid", who.String(), "affiliation", string(a))
}

// managed is the node the request names, if who asks is an owner of it.
func (rq *request) managed() (*Node, error) {
	n, err := rq.node()
	if err != nil {
		return nil, err
	}
	if !n.Manages(rq.who) {
		return nil, errForbidden
	}
	return n, nil
}

// OwnerSet answers the same of type set.
func (r *Requests) OwnerSet(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	rq, err := r.begin(ctx, q)
	if err != nil {
		return nil, err
	}
	do := map[string]func(*Writing, *Node) error{
		"configure": rq.configure, "delete": rq.delete, "purge": rq.purge,
		"affiliations": rq.affiliate, "subscriptions": rq.subscribeOthers,
	}[rq.el.Local]
	if do == nil {
		return nil, stanza.Fail("feature-not-implemented", "there is no such request")
	}
	name := rq.el.Attr("node")
	if name == "" {
		return nil, errNodeID // XEP-0060 §8.2.3.3
	}
	return nil, r.Store.Do(ctx, rq.service, rq.who, func(w *Writing) error {
		n, err := w.Node(name)
		if err != nil {
			return err
		}
		if n == nil {
			return errNoNode
		}
		// Within the transaction: nobody manages who has ceased to be an owner.
		if !n.Manages(rq.who) {
			return errForbidden
		}
		return do(w, n)
	})
}

// configure is XEP-0060 §8.2.4.
func (rq *request) configure(w *Writing, n *Node) error {
	x := form.Read(rq.el.Child(form.Space, "x"))
	if x != nil && x.Type == "cancel" {
		return nil
	}
	c := n.Config
	if refusal := c.Read(x, w.Limits()); refusal != nil {
		return refusal
	}
	return w.Configure(n, c)
}

// delete is XEP-0060 §8.4; the owner may say where to look instead.
func (rq *request) delete(w *Writing, n *Node) error {
	r := rq.el.Child(OwnerSpace, "redirect")
	if r == nil {
		return w.Delete(n)
	}
	uri := r.Attr("uri")
	if u, err := url.Parse(uri); err != nil || u.Scheme == "" || len(uri) > w.Limits().Text {
		return stanza.Fail("bad-request", "a redirection names the address of a node, xmpp:…")
	}
	return w.Redirect(n, uri)
}

// purge is XEP-0060 §8.5.
func (rq *request) purge(w *Writing, n *Node) error {
	if !n.Config.Persist { // XEP-0060 §8.5.3.3
		return unsupported("persistent-items", "this node keeps no items")
	}
	return w.Purge(n)
}

// affiliate is XEP-0060 §8.9.2: all of the changes or none.
func (rq *request) affiliate(w *Writing, n *Node) error {
	for _, c := range rq.el.Children {
		if c.Local != "affiliation" || c.Space != OwnerSpace {
			continue
		}
		who, err := jid.Parse(c.Attr("jid"))
		if err != nil {
			return stanza.Fail("jid-malformed", "an address is not a valid JID")
		}
		text, given := c.Lookup("affiliation")
		if !given {
			continue // XEP-0060 §8.9.2.1: left as it is
		}
		a := Affiliation(text)
		if !a.known() {
			return stanza.Fail("bad-request", "there is no such affiliation")
		}
		if who.Bare() == n.Service {
			if a == Owner {
				continue
			}
			// XEP-0163 §2.2: the account owns its nodes.
			return stanza.Fail("not-acceptable", "an account stays the owner of its nodes")
		}
		if err := w.Affiliate(n, who, a); err != nil {
			return err
		}
	}
	return nil
}

// subscribeOthers is XEP-0060 §8.8.2: approving, refusing and ending subscriptions.
func (rq *request) subscribeOthers(w *Writing, n *Node) error {
	for _, c := range rq.el.Children {
		if c.Local != "subscription" || c.Space != OwnerSpace {
			continue
		}
		who, err := jid.Parse(c.Attr("jid"))
		if err != nil {
			return stanza.Fail("jid-malformed", "an address is not a valid JID")
		}
		was := n.Subscription(who)
		switch st := State(c.Attr("subscription")); st {
		case "", was:
		case Subscribed:
			if err := w.Approve(n, who); err != nil {
				return err
			}
		case Unsubscribed:
			if err := w.Unsubscribe(n, who); err != nil {
				return err
			}
			w.Move(n, who, Unsubscribed)
		default:
			return stanza.Fail("not-acceptable", "a subscription is set to subscribed or none")
		}
	}
	return nil
}
