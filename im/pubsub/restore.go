package pubsub

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// ExportSpace is the namespace of what XEP-0227 has no place for: the attributes
// created, at and publisher, in microseconds and as an address.
const ExportSpace = "https://parlance.im/protocol/export"

func kept(name, value string) elem.TreeAttr {
	return elem.TreeAttr{Name: elem.Name{Space: ExportSpace, Local: name}, Value: value}
}

// attribute is one of ExportSpace.
func attribute(e *elem.Element, name string) string {
	for _, a := range e.Attrs {
		if a.Space == ExportSpace && a.Local == name {
			return a.Value
		}
	}
	return ""
}

// Save is a node without its items as XEP-0227 §4.10.1 has it.
func (n *Node) Save(l Limits) []*elem.Element {
	conf := elem.New(OwnerSpace, "configure", "node", n.Name)
	conf.Attrs = append(conf.Attrs, kept("created", strconv.FormatInt(n.Created, 10)))
	out := []*elem.Element{conf.Add(n.Config.Form("submit", l).Element())}
	if len(n.affiliations) > 0 {
		e := elem.New(OwnerSpace, "affiliations", "node", n.Name)
		for who, a := range n.affiliations {
			e.Add(affiliation(who, a))
		}
		slices.SortFunc(e.Children, func(a, b *elem.Element) int { return strings.Compare(a.Attr("jid"), b.Attr("jid")) })
		out = append(out, e)
	}
	if len(n.subs) > 0 {
		e := elem.New(OwnerSpace, "subscriptions", "node", n.Name)
		for i := range n.subs {
			s := subscription(OwnerSpace, "", &n.subs[i])
			if o := &n.subs[i].Options; !o.isZero() { // where prosody has them, too
				s.Add(elem.New(OwnerSpace, "options").Add(o.Form("submit").Element()))
			}
			e.Add(s)
		}
		out = append(out, e)
	}
	return out
}

// Save is the item as XEP-0227 §4.10.2 has it.
func (it *Item) Save() *elem.Element {
	e := elem.New(Space, "item", "id", it.ID)
	e.Attrs = append(e.Attrs, kept("at", strconv.FormatInt(it.At, 10)), kept("publisher", it.Publisher.String()))
	e.Verbatim = it.Payload
	return e
}

// Piece is a part of a node: what Save gives, or what another server exported.
type Piece struct {
	Node string
	Part *elem.Element // configure, affiliations, subscriptions, or item
}

// Restore adds pieces to an account's nodes, in one transaction, and tells nobody.
// What is there stays as it is: a node's configuration unless the import made the
// node (fresh notes that), an item of the same id. So it can be repeated. left
// is what could not be kept, and why.
func (s *Store) Restore(ctx context.Context, service jid.JID, pieces []Piece, fresh map[string]bool) (left []string, err error) {
	err = s.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		left = nil
		r := restoring{Writing: Writing{By: service, tx: tx, st: s, service: service, now: s.cfg.Now().UnixMicro()}, fresh: fresh, nodes: map[string]*Node{}}
		if err := tx.Row(sqlSize, service.String()).Scan(&r.bytes); err != nil {
			return err
		}
		for i := range pieces {
			why, err := r.piece(&pieces[i])
			if err != nil {
				return err
			}
			if why != "" {
				left = append(left, why)
			}
		}
		return nil
	})
	s.Drop(service)
	return left, wrap("restore "+service.String(), err)
}

// Derive brings what is derived from nodes up to date after a Restore of another
// server's data.
func (s *Store) Derive(ctx context.Context, service jid.JID, nodes ...string) error {
	return s.Do(ctx, service, service, func(w *Writing) error {
		for _, n := range nodes {
			w.touch(n)
		}
		return nil
	})
}

// restoring is one transaction of Restore.
type restoring struct {
	Writing
	fresh map[string]bool
	nodes map[string]*Node
	bytes int64
}

func (r *restoring) piece(p *Piece) (why string, err error) {
	n := r.nodes[p.Node]
	if n == nil {
		if n, err = r.Node(p.Node); err != nil {
			return "", err
		}
	}
	if n == nil {
		if n, why, err = r.node(p); n == nil {
			return why, err
		}
	} else if p.Part.Local == "configure" && r.fresh[p.Node] {
		n.Config = imported(p.Part, n.Config, r.Limits())
		if err := r.Configure(n, n.Config); err != nil {
			return "", err
		}
	}
	r.nodes[p.Node] = n
	switch p.Part.Local {
	case "affiliations":
		return "", r.affiliations(n, p.Part)
	case "subscriptions":
		return "", r.subscriptions(n, p.Part)
	case "item":
		return r.item(n, p.Part)
	}
	return "", nil
}

// node makes one that is not there.
func (r *restoring) node(p *Piece) (n *Node, why string, err error) {
	c, now := r.st.cfg.Initial(p.Node), r.now
	if p.Part.Local == "configure" {
		c = imported(p.Part, c, r.Limits())
		if at, err := strconv.ParseInt(attribute(p.Part, "created"), 10, 64); err == nil {
			r.now = at
		}
	}
	n, err = r.Create(p.Node, c)
	r.now = now
	if why := refused(err); why != "" {
		return nil, "nodes: " + why, nil
	}
	if err == nil {
		r.fresh[p.Node] = true
	}
	return n, "", err
}

// refused is why something can't be kept, "" if that is not the error.
func refused(err error) string {
	if se, ok := errors.AsType[*stanza.Error](err); ok {
		return se.Text
	}
	return ""
}

// imported is a configuration as another server has it. XEP-0227 §4.10.1: options
// that are not known are passed over; whom it is open to is not guessed.
func imported(part *elem.Element, c Config, l Limits) Config {
	f := form.Read(part.Child(form.Space, "x"))
	if f == nil {
		return c
	}
	for _, fd := range fields() {
		for i := range f.Fields {
			if f.Fields[i].Var != fd.name {
				continue
			}
			next := c
			if fd.set(&next, f.Fields[i].Values, l) {
				c = next
			} else if fd.name == "pubsub#access_model" {
				c.Access = Whitelist
			}
		}
	}
	return c
}

func (r *restoring) affiliations(n *Node, part *elem.Element) error {
	for _, c := range part.Children {
		who, err := jid.Parse(c.Attr("jid"))
		a := Affiliation(c.Attr("affiliation"))
		if err != nil || c.Local != "affiliation" || !a.known() || n.Affiliation(who) != NoneAtAll {
			continue
		}
		if err := r.Affiliate(n, who, a); err != nil && refused(err) == "" {
			return err
		}
	}
	return nil
}

func (r *restoring) subscriptions(n *Node, part *elem.Element) error {
	for _, c := range part.Children {
		who, err := jid.Parse(c.Attr("jid"))
		st := State(c.Attr("subscription"))
		if st == "" {
			st = State(c.Attr("subscribed")) // prosody's slip
		}
		if err != nil || c.Local != "subscription" || st != Subscribed && st != Pending || n.Subscription(who) != Unsubscribed {
			continue
		}
		r.now++ // they are listed in this order
		if err := r.Subscribe(n, who, st); err != nil {
			if refused(err) == "" {
				return err
			}
			continue
		}
		o := Options{}
		if e := c.Child(c.Space, "options"); e != nil {
			if f := form.Read(e.Child(form.Space, "x")); f != nil {
				for i := range f.Fields {
					_ = o.set(&f.Fields[i], r.st.cfg.Now()) // what can't be is left out
				}
			}
		}
		if err := r.SetOptions(n, who, o); err != nil {
			return err
		}
	}
	return nil
}

// item puts an item behind those that are there, if none has its id.
func (r *restoring) item(n *Node, e *elem.Element) (why string, err error) {
	it := Item{ID: e.Attr("id"), At: r.now, Publisher: n.Service}
	if at, err := strconv.ParseInt(attribute(e, "at"), 10, 64); err == nil {
		it.At = at
	}
	for _, text := range []string{e.Attr("publisher"), attribute(e, "publisher")} {
		if j, err := jid.Parse(text); err == nil && text != "" {
			it.Publisher = j
		}
	}
	if len(e.Children) > 0 {
		it.Payload = e.Children[0].AppendTo(nil, "")
	}
	size, l := int64(len(it.Payload)+len(it.ID)), r.Limits()
	switch {
	case !n.Config.Persist:
		return "items of nodes that keep none", nil
	case it.ID == "" || l.name(it.ID) != nil || len(it.Payload) > l.Payload || r.bytes+size > l.Bytes:
		return "items larger than an account may keep", nil
	}
	var has, most int64
	if err := r.tx.Row(sqlHas, r.service.String(), n.Name, it.ID).Scan(&has); err != nil || has > 0 {
		return "", err
	}
	if err := r.tx.Row(sqlItemCount, r.service.String(), n.Name, int64(math.MinInt64)).Scan(&most); err != nil {
		return "", err
	}
	if most >= int64(l.Items) {
		return "items beyond what a node may hold", nil
	}
	if err := r.tx.Row(sqlNextSeq, r.service.String(), n.Name).Scan(&it.seq); err != nil {
		return "", err
	}
	r.bytes += size
	payload := it.Payload
	if payload == nil {
		payload = []byte{}
	}
	_, err = r.tx.Exec(sqlPut, r.service.String(), n.Name, it.ID, it.seq, it.Publisher.String(), it.At, size, payload)
	return "", err
}
