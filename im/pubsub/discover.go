package pubsub

import (
	"context"

	vocab "github.com/parlance-im/parlance/xmpp/disco"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
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
	n, err := r.readable(ctx, owner, asker, node)
	if err != nil {
		return nil, err
	}
	meta := n.Config.Form("result", r.Store.Limits())
	meta.Fields[0].Values = []string{MetaForm}
	meta.Add("", "pubsub#owner", "", owner.String())
	info := vocab.Info{Identities: []vocab.Identity{{Category: "pubsub", Type: "leaf"}}, Features: []string{Space}, Forms: []*form.Form{meta}}
	return info.Element(node), nil
}

// NodeItems answers discovery of the nodes of an account (node is "") or of the
// items of a node (XEP-0060 §5.2, §5.5; XEP-0163 §6.2: only what the asker may read).
func (r *Requests) NodeItems(ctx context.Context, owner, asker jid.JID, node string) (*elem.Element, error) {
	out := elem.New(vocab.ItemsSpace, "query")
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
