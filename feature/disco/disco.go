package disco

import (
	"context"
	"errors"
	"slices"

	"github.com/parlance-im/parlance/im"
	vocab "github.com/parlance-im/parlance/xmpp/disco"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Node is the software's name in capabilities (XEP-0115 §4).
const Node = "https://parlance.im"

// Config is what the feature answers from.
type Config struct {
	Name     string // of the server, shown to people
	Features []im.Feature
	Items    []jid.JID    // services of the domain
	Forms    []*form.Form // XEP-0128 extensions of the server, such as contact addresses (XEP-0157)
	// MaySee says whether one account may see that another exists.
	MaySee func(ctx context.Context, owner, asker jid.JID) (bool, error)
	// Guest says whether somebody is here without an account; nil: nobody is.
	Guest func(who jid.JID) bool
	// Nodes knows the host's nodes beside that of its capabilities; nil: there are none.
	Nodes Nodes
	// Personal answers for what an account has below itself; nil: nothing.
	Personal Personal
	// Shared says that the host has such nodes too.
	Shared bool
	// Of finds what a hosted domain says of itself; where it gives nil, and
	// without it, what stands above is said.
	Of func(domain string) *Host
}

// Host is what one hosted domain says of itself. It never changes.
type Host struct {
	info  vocab.Info
	items []jid.JID
}

// Host makes a domain's answers: what the features announce and what only it has, with its own name, forms and services.
func (d *Disco) Host(name string, forms []*form.Form, items []jid.JID, features ...string) *Host {
	h := &Host{info: d.host, items: items}
	h.info.Identities = slices.Clone(d.host.Identities)
	h.info.Identities[0].Name = name
	h.info.Forms = forms
	h.info.Features = sorted(append(slices.Clone(h.info.Features), features...))
	return h
}

// Caps are the capabilities of a domain, for its stream features (XEP-0115 §6.3).
func (h *Host) Caps() *elem.Element { return caps(h.info) }

func caps(i vocab.Info) *elem.Element {
	return elem.New(vocab.CapsSpace, "c", "hash", "sha-1", "node", Node, "ver", i.Hash())
}

// at gives the domain a request is for.
func (d *Disco) at(q *im.IQ) *Host {
	if d.of != nil {
		if h := d.of(q.To.Domain()); h != nil {
			return h
		}
	}
	return &Host{d.host, d.items}
}

// Nodes answers for nodes of the host; ok is false if it does not know one. An
// account's own holder finds those that Owns names at the account too.
type Nodes interface {
	Owns(node string) bool
	NodeInfo(ctx context.Context, q *im.IQ, node string) (info vocab.Info, ok bool, err error)
	NodeItems(ctx context.Context, q *im.IQ, node string) (items []*elem.Element, ok bool, err error)
}

// Personal is accounts' pubsub nodes (XEP-0060 §5); im/pubsub meets it.
type Personal interface {
	NodeInfo(ctx context.Context, owner, asker jid.JID, node string) (*elem.Element, error)
	// NodeItems lists the nodes with node "".
	NodeItems(ctx context.Context, owner, asker jid.JID, node string) (*elem.Element, error)
}

// Disco holds the answers.
type Disco struct {
	host, account vocab.Info
	items         []jid.JID
	maySee        func(ctx context.Context, owner, asker jid.JID) (bool, error)
	nodes         Nodes
	guest         func(who jid.JID) bool
	personal      Personal
	shared        Personal // nil: the host has no nodes of that kind
	of            func(domain string) *Host
}

// New collects what the features announce.
func New(c Config) *Disco {
	d := &Disco{items: c.Items, maySee: c.MaySee, nodes: c.Nodes, personal: c.Personal, guest: c.Guest, of: c.Of}
	if c.Shared {
		d.shared = c.Personal
	}
	d.host.Identities = []vocab.Identity{{Category: "server", Type: "im", Name: c.Name}}
	d.host.Forms = c.Forms
	d.account.Identities = []vocab.Identity{{Category: "account", Type: "registered"}}
	basic := []string{vocab.InfoSpace, vocab.ItemsSpace}
	d.host.Features = append(slices.Clone(basic), vocab.CapsSpace)
	d.account.Features = slices.Clone(basic)
	for _, f := range c.Features {
		d.host.Features = append(d.host.Features, f.HostFeatures...)
		d.account.Features = append(d.account.Features, f.AccountFeatures...)
		for _, id := range f.Identities {
			d.host.Identities = append(d.host.Identities, vocab.Identity{Category: id.Category, Type: id.Type, Name: id.Name})
		}
		for _, id := range f.AccountIdentities {
			d.account.Identities = append(d.account.Identities, vocab.Identity{Category: id.Category, Type: id.Type, Name: id.Name})
		}
	}
	d.host.Features = sorted(d.host.Features)
	d.account.Features = sorted(d.account.Features)
	return d
}

func sorted(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}

// Caps is the <c/> element for stream features (XEP-0115 §6.3).
func (d *Disco) Caps() *elem.Element {
	return caps(d.host)
}

// Feature is XEP-0030 and XEP-0115.
func (d *Disco) Feature() im.Feature {
	return im.Feature{
		Name: "disco",
		Specs: []im.Spec{
			{ID: "XEP-0030", Version: "2.5.0", Status: "complete"},
			{ID: "XEP-0115", Version: "1.6.0", Status: "complete"},
			{ID: "XEP-0128", Version: "1.0.1", Status: "complete"},
		},
		IQ: []im.Route{
			{Scope: im.ToHost, Type: stanza.Get, Space: vocab.InfoSpace, Local: "query", Handle: d.hostInfo},
			{Scope: im.ToHost, Type: stanza.Get, Space: vocab.ItemsSpace, Local: "query", Handle: d.hostItems},
			{Scope: im.ToSelf | im.ToAccount, Type: stanza.Get, Space: vocab.InfoSpace, Local: "query", Handle: d.accountInfo},
			{Scope: im.ToSelf | im.ToAccount, Type: stanza.Get, Space: vocab.ItemsSpace, Local: "query", Handle: d.accountItems},
		},
	}
}

func (d *Disco) hostInfo(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	node := q.Payload.Attr("node")
	// XEP-0115 §6.2: the node of our own capabilities gives the same answer.
	if node == "" || node == Node+"#"+d.at(q).info.Hash() {
		return d.at(q).info.Element(node), nil
	}
	if d.nodes != nil {
		if info, ok, err := d.nodes.NodeInfo(ctx, q, node); ok || err != nil {
			return info.Element(node), err
		}
	}
	if d.shared != nil {
		return d.shared.NodeInfo(ctx, q.To, q.From.Bare(), node)
	}
	return nil, stanza.Fail("item-not-found", "there is no such node")
}

func (d *Disco) hostItems(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	if node := q.Payload.Attr("node"); node != "" {
		return d.nodeItems(ctx, q, node)
	}
	out := elem.New(vocab.ItemsSpace, "query")
	for _, j := range d.at(q).items {
		out.Add(elem.New(vocab.ItemsSpace, "item", "jid", j.String()))
	}
	if d.shared != nil {
		nodes, err := d.shared.NodeItems(ctx, q.To, q.From.Bare(), "")
		if err != nil {
			return nil, err
		}
		out.Add(nodes.Children...)
	}
	return out, nil
}

func (d *Disco) nodeItems(ctx context.Context, q *im.IQ, node string) (*elem.Element, error) {
	if d.nodes != nil {
		if items, ok, err := d.nodes.NodeItems(ctx, q, node); err != nil {
			return nil, err
		} else if ok {
			return elem.New(vocab.ItemsSpace, "query", "node", node).Add(items...), nil
		}
	}
	if d.shared != nil && q.To.IsDomain() {
		return d.shared.NodeItems(ctx, q.To, q.From.Bare(), node)
	}
	return nil, stanza.Fail("item-not-found", "there is no such node")
}

// visible is XEP-0030 §8: whoever may not see an account's presence does not
// learn from discovery that it exists.
func (d *Disco) visible(ctx context.Context, q *im.IQ) error {
	owner, asker := q.To.Bare(), q.From.Bare()
	if owner == asker {
		return nil
	}
	may, err := d.maySee(ctx, owner, asker)
	if err != nil {
		return err
	}
	if !may {
		return stanza.Fail("service-unavailable", "nobody here answers this request")
	}
	return nil
}

func (d *Disco) accountInfo(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	if err := d.visible(ctx, q); err != nil {
		return nil, err
	}
	if node := q.Payload.Attr("node"); node != "" {
		if d.nodes != nil && d.nodes.Owns(node) && q.To.Bare() == q.From.Bare() {
			info, _, err := d.nodes.NodeInfo(ctx, q, node)
			return info.Element(node), err
		}
		if d.personal == nil {
			return nil, stanza.Fail("item-not-found", "there is no such node")
		}
		return d.personal.NodeInfo(ctx, q.To.Bare(), q.From.Bare(), node)
	}
	if d.guest != nil && d.guest(q.To.Bare()) {
		info := d.account
		info.Identities = []vocab.Identity{{Category: "account", Type: "anonymous"}} // XEP-0175 §5
		return info.Element(""), nil
	}
	return d.account.Element(""), nil
}

// hidden is an error of visible, not one of finding out.
func hidden(err error) bool {
	var e *stanza.Error
	return errors.As(err, &e)
}

func (d *Disco) accountItems(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	node := q.Payload.Attr("node")
	if err := d.visible(ctx, q); hidden(err) {
		// XEP-0030 §8: an empty list, as from somebody who does not exist.
		out := elem.New(vocab.ItemsSpace, "query")
		if node != "" {
			out.Set("node", node)
		}
		return out, nil
	} else if err != nil {
		return nil, err
	}
	if d.nodes != nil && d.nodes.Owns(node) && q.To.Bare() == q.From.Bare() {
		out, err := d.nodeItems(ctx, q, node)
		if err == nil && d.personal != nil {
			if more, err := d.personal.NodeItems(ctx, q.To.Bare(), q.From.Bare(), node); err == nil {
				out.Add(more.Children...)
			}
		}
		return out, err
	}
	if d.personal != nil {
		return d.personal.NodeItems(ctx, q.To.Bare(), q.From.Bare(), node)
	}
	if node != "" {
		return nil, stanza.Fail("item-not-found", "there is no such node")
	}
	return elem.New(vocab.ItemsSpace, "query"), nil
}
