package pubsub

import (
	"context"
	"slices"
	"strconv"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/rsm"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// People says how an entity stands to an account, now. im/pep meets it from the roster.
type People interface {
	Relation(ctx context.Context, owner, who jid.JID) (Relation, error)
}

// Requests answers XEP-0060 for the services of accounts.
type Requests struct {
	Store  *Store
	People People
}

// request is one IQ that is being answered.
type request struct {
	*Requests
	ctx     context.Context
	iq      *im.IQ
	service jid.JID
	who     jid.JID
	rel     Relation
	el      *elem.Element // the element that says what is wanted
	more    *elem.Element // the one that goes with it
	all     []*elem.Element
}

// begin takes a <pubsub/> apart.
func (r *Requests) begin(ctx context.Context, q *im.IQ) (*request, error) {
	kids := q.Payload.Children
	kids = slices.DeleteFunc(slices.Clone(kids), func(e *elem.Element) bool { return e.Space != q.Payload.Space })
	if len(kids) == 0 {
		return nil, stanza.Fail("bad-request", "the request says nothing")
	}
	rq := &request{Requests: r, ctx: ctx, iq: q, service: q.To.Bare(), who: q.From, el: kids[0], all: kids}
	if len(kids) > 1 {
		rq.more = kids[1]
	}
	if rq.who.Bare() == rq.service {
		return rq, nil
	}
	var err error
	rq.rel, err = r.People.Relation(ctx, rq.service, rq.who.Bare())
	return rq, err
}

// Get answers <pubsub/> of type get.
func (r *Requests) Get(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	rq, err := r.begin(ctx, q)
	if err != nil {
		return nil, err
	}
	switch rq.el.Local {
	case "items":
		return rq.items()
	case "subscriptions":
		return rq.subscriptions()
	case "affiliations":
		return rq.affiliations()
	case "default":
		return rq.defaultOptions()
	case "options":
		return rq.options()
	}
	return nil, stanza.Fail("feature-not-implemented", "there is no such request")
}

// Set answers <pubsub/> of type set.
func (r *Requests) Set(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	rq, err := r.begin(ctx, q)
	if err != nil {
		return nil, err
	}
	switch rq.el.Local {
	case "publish":
		return rq.publish()
	case "retract":
		return nil, rq.retract()
	case "create":
		return rq.create()
	case "subscribe":
		return rq.subscribe()
	case "unsubscribe":
		return nil, rq.unsubscribe()
	case "options":
		return nil, rq.setOptions()
	}
	return nil, stanza.Fail("feature-not-implemented", "there is no such request")
}

// node is the node the request names, as it is in memory.
func (rq *request) node() (*Node, error) {
	name := rq.el.Attr("node")
	if name == "" {
		return nil, errNodeID
	}
	s, err := rq.Store.Root(rq.ctx, rq.service)
	if err != nil {
		return nil, err
	}
	n := s.Node(name)
	if n == nil {
		return nil, errNoNode
	}
	return n, nil
}

// pageBytes is how much of a node goes into one answer: what a session can hold.
const pageBytes = 256 << 10

// items is XEP-0060 §6.5.
func (rq *request) items() (*elem.Element, error) {
	n, err := rq.node()
	if err != nil {
		return nil, err
	}
	if refusal := n.Reads(rq.who, rq.rel); refusal != nil {
		return nil, refusal
	}
	if !n.Config.Persist {
		return nil, unsupported("persistent-items", "this node keeps no items") // XEP-0060 §6.5.9.4
	}
	out := elem.New(Space, "items", "node", n.Name)
	answer := elem.New(Space, "pubsub").Add(out)
	var ids []string
	for _, c := range rq.el.Children {
		if c.Local == "item" && c.Space == Space {
			ids = append(ids, c.Attr("id"))
		}
	}
	if len(ids) > 0 {
		return answer, rq.some(n, ids, out)
	}
	q, set, err := rq.query()
	if err != nil {
		return nil, err
	}
	if set && q.Max == 0 { // XEP-0059 §2.7: only how many
		ids, err := rq.Store.IDs(rq.ctx, n)
		return answer.Add(rsm.Page{Count: len(ids)}.Element()), err
	}
	p, err := rq.Store.Items(rq.ctx, n, q)
	if err != nil {
		return nil, err
	}
	for i := range p.Items {
		out.Add(n.Element(&p.Items[i], Space, true))
	}
	// XEP-0060 §6.5.4: it is said that there are more.
	if set || !p.Complete {
		page := rsm.Page{Count: p.Total}
		if n := len(p.Items); n > 0 {
			page.First, page.Last = p.Items[0].ID, p.Items[n-1].ID
		}
		answer.Add(page.Element())
	}
	return answer, nil
}

// query reads which items are wanted; set says that a page was asked for.
func (rq *request) query() (q Query, set bool, err error) {
	q.Bytes = pageBytes
	if m, ok := rq.el.Lookup("max_items"); ok { // XEP-0060 §6.5.7
		n, err := strconv.ParseUint(m, 10, 31)
		if err != nil || n == 0 {
			return q, false, stanza.Fail("bad-request", "max_items is a number of items")
		}
		q.Max, q.Newest = int(n), true
	}
	e := rq.iq.Payload.Child(rsm.Space, "set")
	if e == nil {
		return q, false, nil
	}
	r, err := rsm.Read(e)
	if err != nil {
		return q, true, err
	}
	if r.Max >= 0 {
		q.Max = r.Max
	} else if q.Max == 0 {
		q.Max = rq.Store.cfg.Limits.Items
	}
	q.After, q.Before = r.After, r.Before
	q.Newest = q.Newest || r.Backwards
	return q, true, nil
}

// some is XEP-0060 §6.5.8: items by their ids; those that are not there are left out.
func (rq *request) some(n *Node, ids []string, out *elem.Element) error {
	left := pageBytes
	for _, id := range ids {
		it, ok, err := rq.Store.Item(rq.ctx, n, id)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if left -= len(it.Payload); left < 0 && len(out.Children) > 0 {
			return stanza.Fail("policy-violation", "these items do not fit one answer; ask for fewer")
		}
		out.Add(n.Element(&it, Space, true))
	}
	if len(out.Children) == 0 {
		return errNoItem // XEP-0060 §6.5.9.12
	}
	return nil
}

// Element is the item as an <item/> of a namespace.
func (n *Node) Element(it *Item, space string, payload bool) *elem.Element {
	e := elem.New(space, "item", "id", it.ID)
	// XEP-0060 §7.1.2.3: an item of somebody else never passes for the account's.
	if by := it.Publisher.Bare(); !by.IsZero() && (by != n.Service || n.Config.Reply == ReplyPublisher) {
		e.Set("publisher", by.String())
	}
	if payload && it.Payload != nil {
		e.Verbatim = it.Payload
	}
	return e
}

// publish is XEP-0060 §7.1.
func (rq *request) publish() (*elem.Element, error) {
	name := rq.el.Attr("node")
	if name == "" {
		return nil, errNodeID
	}
	items, err := published(rq)
	if err != nil {
		return nil, err
	}
	var options *form.Form
	if o := rq.iq.Payload.Child(Space, "publish-options"); o != nil {
		if options = form.Read(o.Child(form.Space, "x")); options == nil {
			return nil, stanza.Fail("bad-request", "publish-options hold a form")
		}
	}
	err = rq.Store.Do(rq.ctx, rq.service, rq.who, func(w *Writing) error {
		n, err := rq.target(w, name, options)
		if err != nil {
			return err
		}
		if err := n.conforms(items, most(w, n)); err != nil {
			return err
		}
		if len(items) == 0 { // XEP-0060 §4.3: that something happened is all there is to say
			w.tell(Change{Kind: Published, Node: n, Item: Item{Publisher: w.By}})
		}
		for i := range items { // XEP-0060 §12.11: all of them or none
			if items[i], err = w.Put(n, items[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// XEP-0060 §7.1.2: the ids, which the service may have made up.
	out := elem.New(Space, "publish", "node", name)
	for i := range items {
		out.Add(elem.New(Space, "item", "id", items[i].ID))
	}
	return elem.New(Space, "pubsub").Add(out), nil
}

// published reads the items to publish.
func published(rq *request) (items []Item, err error) {
	for _, c := range rq.el.Children {
		if c.Local != "item" || c.Space != Space {
			continue
		}
		it := Item{ID: c.Attr("id")}
		switch len(c.Children) {
		case 0:
		case 1:
			it.Payload = c.Children[0].AppendTo(nil, "")
		default: // XEP-0060 §7.1.3.6
			return nil, fail("bad-request", "invalid-payload", "an item has one payload")
		}
		items = append(items, it)
	}
	return items, nil
}

// conforms is XEP-0060 §7.1.3.6: whether items are what the node's kind of event
// (XEP-0060 §4.3) has, and §12.11: whether there is room for all.
func (n *Node) conforms(items []Item, most int) error {
	c := &n.Config
	switch {
	case !c.Persist && !c.Payloads && len(items) > 0:
		return fail("bad-request", "item-forbidden", "this node says that something happened, and has no items")
	case len(items) == 0 && (c.Persist || c.Payloads):
		return fail("bad-request", "item-required", "there is nothing to publish")
	case c.Payloads && slices.ContainsFunc(items, func(it Item) bool { return it.Payload == nil }):
		return fail("bad-request", "payload-required", "the item has no payload")
	case c.Persist && len(items) > most:
		return fail("not-allowed", "max-items-exceeded", "the node holds fewer items than these")
	}
	return nil
}

// target is the node to publish to, made if need be, if the request may.
func (rq *request) target(w *Writing, name string, options *form.Form) (*Node, error) {
	n, err := w.Node(name)
	if err != nil {
		return nil, err
	}
	l := rq.Store.cfg.Limits
	if n == nil {
		// XEP-0163 §3, XEP-0060 §7.1.4: made by publishing, by the owner alone.
		if rq.who.Bare() != rq.service {
			return nil, errNoNode
		}
		c := rq.Store.cfg.Initial(name)
		if options != nil {
			if refusal := c.Apply(options, l); refusal != nil {
				return nil, refusal
			}
		}
		return w.Create(name, c)
	}
	if !n.Publishes(rq.who) {
		return nil, errForbidden
	}
	if options != nil {
		if refusal := n.Config.Meets(options, l); refusal != nil { // XEP-0060 §7.1.5
			return nil, refusal
		}
	}
	return n, nil
}

// retract is XEP-0060 §7.2.
func (rq *request) retract() error {
	name := rq.el.Attr("node")
	if name == "" {
		return errNodeID
	}
	var ids []string
	for _, c := range rq.el.Children {
		if c.Local == "item" && c.Space == Space {
			ids = append(ids, c.Attr("id"))
		}
	}
	if len(ids) == 0 || slices.Contains(ids, "") { // XEP-0060 §7.2.3.4
		return fail("bad-request", "item-required", "the request names no item")
	}
	loud := isTrue(rq.el.Attr("notify"))
	return rq.Store.Do(rq.ctx, rq.service, rq.who, func(w *Writing) error {
		n, err := w.Node(name)
		if err != nil {
			return err
		}
		if n == nil {
			return errNoNode
		}
		for _, id := range ids { // XEP-0060 §12.11: all of them or none
			if err := takeBack(rq, w, n, id, loud); err != nil {
				return err
			}
		}
		return nil
	})
}

func takeBack(rq *request, w *Writing, n *Node, id string, loud bool) error {
	it, ok, err := w.Item(n, id)
	if err != nil {
		return err
	}
	if !n.Publishes(rq.who) || ok && !n.Retracts(rq.who, &it) {
		return errForbidden
	}
	if !n.Config.Persist { // XEP-0060 §7.2.3.5
		return unsupported("persistent-items", "this node keeps no items")
	}
	if !ok {
		return errNoItem
	}
	_, err = w.Retract(n, it.ID, loud)
	return err
}

func isTrue(s string) bool { return s == "1" || s == "true" }

// create is XEP-0060 §8.1. Only the account itself makes nodes of its service.
func (rq *request) create() (*elem.Element, error) {
	if rq.who.Bare() != rq.service {
		return nil, errForbidden
	}
	name := rq.el.Attr("node")
	instant := name == ""
	if instant {
		name = freshID() // XEP-0060 §8.1.2: an instant node
	}
	c := rq.Store.cfg.Initial(name)
	if conf := rq.iq.Payload.Child(Space, "configure"); conf != nil {
		if x := form.Read(conf.Child(form.Space, "x")); x != nil {
			if refusal := c.Read(x, rq.Store.cfg.Limits); refusal != nil {
				return nil, refusal
			}
		}
	}
	err := rq.Store.Do(rq.ctx, rq.service, rq.who, func(w *Writing) error {
		n, err := w.Node(name)
		if err != nil {
			return err
		}
		if n != nil {
			return stanza.Fail("conflict", "there is a node of that name already") // XEP-0060 §8.1.2
		}
		_, err = w.Create(name, c)
		return err
	})
	if err != nil || !instant {
		return nil, err
	}
	return elem.New(Space, "pubsub").Add(elem.New(Space, "create", "node", name)), nil
}
