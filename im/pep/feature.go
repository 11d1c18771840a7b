package pep

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// offered are the features of XEP-0060 §10 an account's service has.
var offered = []string{
	"access-authorize", "access-open", "access-presence", "access-roster", "access-whitelist", "auto-create",
	"auto-subscribe", "config-node", "config-node-max", "create-and-configure", "create-nodes", "delete-items",
	"delete-nodes", "filtered-notifications", "get-pending", "instant-nodes", "item-ids", "last-published", "leased-subscription",
	"manage-subscriptions", "member-affiliation", "meta-data", "modify-affiliations", "multi-items", "outcast-affiliation",
	"persistent-items", "presence-notifications", "presence-subscribe", "publish", "publish-node-full", "publish-only-affiliation",
	"publish-options", "publisher-affiliation", "purge-nodes", "retract-items", "retrieve-affiliations", "retrieve-default",
	"retrieve-default-sub", "retrieve-items", "retrieve-subscriptions", "rsm", "subscribe", "subscription-notifications",
	"subscription-options",
}

// Feature is personal eventing as data.
func Feature(s *Flow) im.Feature {
	r := s.Requests()
	features := []string{pubsub.Space, pubsub.CommandSpace}
	for _, f := range offered {
		features = append(features, pubsub.Space+"#"+f)
	}
	const everybody = im.ToSelf | im.ToAccount
	return im.Feature{
		Name: "pep",
		Specs: []im.Spec{
			{ID: "XEP-0060", Version: "1.30.0", Status: "complete",
				Note: "on accounts; every feature of §10 but multi-subscribe; no bodies made of payloads, no collections (XEP-0248)"},
			{ID: "XEP-0163", Version: "1.2.2", Status: "complete"},
			{ID: "XEP-0172", Version: "1.1", Status: "complete"},
			{ID: "XEP-0223", Version: "1.1.1", Status: "complete"},
		},
		AccountFeatures: features,
		// XEP-0163 §6.1
		AccountIdentities: []im.Identity{{Category: "pubsub", Type: "pep"}},
		IQ: []im.Route{
			{Scope: everybody, Type: stanza.Get, Space: pubsub.Space, Local: "pubsub", Handle: r.Get},
			{Scope: everybody, Type: stanza.Set, Space: pubsub.Space, Local: "pubsub", Handle: settled(s, r.Set)},
			{Scope: everybody, Type: stanza.Get, Space: pubsub.OwnerSpace, Local: "pubsub", Handle: r.OwnerGet},
			{Scope: everybody, Type: stanza.Set, Space: pubsub.OwnerSpace, Local: "pubsub", Handle: settled(s, r.OwnerSet)},
			// One's own: feature/adhoc, which passes on what it does not know to Command.
			{Scope: im.ToAccount, Type: stanza.Set, Space: pubsub.CommandSpace, Local: "command", Handle: Command(s)},
		},
		Migrations: pubsub.Migrations().FS,
	}
}

// Command is the ad-hoc command of an account's service (XEP-0060 §8.7).
func Command(s *Flow) im.Handler { return settled(s, s.Requests().Command) }

// settled makes a handler return when those who are to hear of what it did have
// it in their queues.
func settled(s *Flow, h im.Handler) im.Handler {
	return func(ctx context.Context, q *im.IQ) (*elem.Element, error) {
		e, err := h(ctx, q)
		if err == nil {
			s.Settle(ctx)
		}
		return e, err
	}
}
