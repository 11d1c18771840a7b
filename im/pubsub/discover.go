package pubsub

import (
	"context"
	"slices"
	"strconv"
	"time"

	vocab "github.com/parlance-im/parlance/xmpp/disco"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// readable is a node an entity may read; errNoNode hides what it may not.
func (r *Requests) readable(ctx context.Context, owner, asker jid.JID, node string) (*Node, error) {
	v, err := r.Store.Root(ctx, owner)
	if err != nil {
		return nil, err
	}
	n := v.Node(node)
	if n == nil {
		return nil, errNoNode
	}
	rel, err := r.People.Relation(ctx, owner, asker)
	if err != nil {
		return nil, err
	}
	if n.Reads(asker, rel) != nil {
		return nil, errNoNode
	}
	return n, nil
}

// NodeInfo answers discovery of a node (XEP-0060 §5.3, §5.4).
func (r *Requests) NodeInfo(ctx context.Context, owner, asker jid.JID, node string) (*elem.Element, error) {
	if e := commandInfo(node); e != nil {
		return e, nil
	}
	n, err := r.readable(ctx, owner, asker, node)
	if err != nil {
		return nil, err
	}
	meta := n.metadata(r.Store.Limits())
	info := vocab.Info{Identities: []vocab.Identity{{Category: "pubsub", Type: "leaf"}}, Features: []string{Space}, Forms: []*form.Form{meta}}
	return info.Element(node), nil
}

// metadata is XEP-0060 §16.4.4: what is of use to readers, not who else reads.
func (n *Node) metadata(l Limits) *form.Form {
	meta := form.New("result", MetaForm)
	for _, fd := range n.Config.Form("result", l).Fields {
		switch fd.Var {
		case "pubsub#title", "pubsub#description", "pubsub#type", "pubsub#language", "pubsub#contact", "pubsub#access_model",
			"pubsub#publish_model", "pubsub#max_items":
			meta.Fields = append(meta.Fields, fd)
		}
	}
	meta.Add("", "pubsub#creation_date", "", stanza.Stamp(time.UnixMicro(n.Created)))
	count := 0
	for _, s := range n.Subscriptions() {
		if s.State == Subscribed {
			count++
		}
	}
	meta.Add("", "pubsub#num_subscribers", "", strconv.Itoa(count))
	owners := []string{}
	for _, o := range n.Owners() {
		owners = append(owners, o.String())
	}
	slices.Sort(owners)
	return meta.Add("", "pubsub#owner", "", owners...)
}

// commandInfo is XEP-0050 §2.2 and §2.3 for the one command of an account, nil for another node.
func commandInfo(node string) *elem.Element {
	switch node {
	case CommandSpace:
		info := vocab.Info{Identities: []vocab.Identity{{Category: "automation", Type: "command-list", Name: "Commands"}}, Features: []string{CommandSpace}}
		return info.Element(node)
	case GetPending:
		info := vocab.Info{Identities: []vocab.Identity{{Category: "automation", Type: "command-node", Name: pendingName}}, Features: []string{CommandSpace, form.Space}}
		return info.Element(node)
	}
	return nil
}

const pendingName = "Subscriptions that wait for approval"

// NodeItems answers discovery of the nodes of an account (node is "") or of the
// items of a node (XEP-0060 §5.2, §5.5; XEP-0163 §6.2: only what the asker may read).
func (r *Requests) NodeItems(ctx context.Context, owner, asker jid.JID, node string) (*elem.Element, error) {
	out := elem.New(vocab.ItemsSpace, "query")
	if node == CommandSpace { // XEP-0050 §2.2: for whom there is something to run
		if out.Set("node", node); owner == asker {
			out.Add(elem.New(vocab.ItemsSpace, "item", "jid", owner.String(), "node", GetPending, "name", pendingName))
		}
		return out, nil
	}
	if node != "" {
		n, err := r.readable(ctx, owner, asker, node)
		if err != nil {
			return nil, err
		}
		out.Set("node", node)
		ids, err := r.Store.IDs(ctx, n)
		for _, id := range ids {
			out.Add(elem.New(vocab.ItemsSpace, "item", "jid", owner.String(), "name", id))
		}
		return out, err
	}
	v, err := r.Store.Root(ctx, owner)
	if err != nil {
		return nil, err
	}
	rel, err := r.People.Relation(ctx, owner, asker)
	if err != nil {
		return nil, err
	}
	for _, n := range v.Nodes() {
		if n.Reads(asker, rel) != nil {
			continue
		}
		e := elem.New(vocab.ItemsSpace, "item", "jid", owner.String(), "node", n.Name)
		if n.Config.Title != "" {
			e.Set("name", n.Config.Title)
		}
		out.Add(e)
	}
	return out, nil
}
