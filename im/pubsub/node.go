package pubsub

import (
	"slices"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Access is a node's access model (XEP-0060 §4.5).
type Access string

// The access models, in the order of openness.
const (
	Open      Access = "open"
	Presence  Access = "presence"
	Roster    Access = "roster"
	Authorize Access = "authorize"
	Whitelist Access = "whitelist"
)

// PublishModel says who may publish beside those the owner named (XEP-0060 §16.4.3).
type PublishModel string

// The publish models.
const (
	Publishers  PublishModel = "publishers"
	Subscribers PublishModel = "subscribers"
	Anyone      PublishModel = "open"
)

// SendLast says when the last item is sent without being asked for (XEP-0060 §6.1.7).
type SendLast string

// The values of pubsub#send_last_published_item.
const (
	Never            SendLast = "never"
	OnSub            SendLast = "on_sub"
	OnSubAndPresence SendLast = "on_sub_and_presence"
)

// Affiliation is what an owner made of an entity (XEP-0060 §4.1).
type Affiliation string

// The affiliations.
const (
	Owner       Affiliation = "owner"
	Publisher   Affiliation = "publisher"
	PublishOnly Affiliation = "publish-only"
	Member      Affiliation = "member"
	Outcast     Affiliation = "outcast"
	NoneAtAll   Affiliation = "none"
)

// known says whether it is an affiliation somebody can be given.
func (a Affiliation) known() bool {
	switch a {
	case Owner, Publisher, PublishOnly, Member, Outcast, NoneAtAll:
		return true
	}
	return false
}

// State is that of a subscription (XEP-0060 §4.2).
type State string

// The states.
const (
	Subscribed   State = "subscribed"
	Pending      State = "pending"
	Unsubscribed State = "none"
)

// Config is a node's configuration (XEP-0060 §16.4.3).
type Config struct {
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Type is the namespace of the payloads, "" if not said.
	Type    string       `json:"type,omitempty"`
	Access  Access       `json:"access"`
	Groups  []string     `json:"groups,omitempty"` // roster groups that may read, with Access Roster
	Publish PublishModel `json:"publish"`
	Persist bool         `json:"persist"`
	// MaxItems is how many items are kept; 0: as many as the service allows ("max").
	MaxItems int `json:"max_items"`
	// Expire is after how many seconds an item goes; 0: never ("max").
	Expire        int64    `json:"expire,omitempty"`
	Deliver       bool     `json:"deliver"`
	Payloads      bool     `json:"payloads"`
	NotifyConfig  bool     `json:"notify_config,omitempty"`
	NotifyDelete  bool     `json:"notify_delete,omitempty"`
	NotifyRetract bool     `json:"notify_retract,omitempty"`
	SendLast      SendLast `json:"send_last"`
	// Normal makes notifications messages of type normal instead of headline.
	Normal bool `json:"normal,omitempty"`

	Language string   `json:"language,omitempty"`
	Contacts []string `json:"contacts,omitempty"` // whom to ask about the node
	// Reply makes every item say who published it, not only those of others than
	// the account (XEP-0060 §12.17).
	Reply ItemReply `json:"reply,omitempty"`
	// NotifySub tells owners who subscribes and unsubscribes.
	NotifySub bool `json:"notify_sub,omitempty"`
	// Full is what an item does for which there is no room.
	Full NodeFull `json:"full,omitempty"`
	// PurgeOffline deletes all items when the account goes offline.
	PurgeOffline bool `json:"purge_offline,omitempty"`
	// NoSubscribe leaves the items to those who ask for them.
	NoSubscribe bool `json:"no_subscribe,omitempty"`
	// TempSub makes every subscription end with the subscriber's presence (XEP-0060 §12.5).
	TempSub bool `json:"tempsub,omitempty"`
}

// ItemReply is pubsub#itemreply; "" is none.
type ItemReply string

// The values of pubsub#itemreply; "owner" is not offered: the account's own
// address is what notifications come from.
const (
	ReplyNone      ItemReply = "none"
	ReplyPublisher ItemReply = "publisher"
)

// NodeFull is pubsub#publish_node_full (XEP-0060 §7.1.2.5); "" is retract-oldest.
type NodeFull string

// The values of pubsub#publish_node_full.
const (
	RetractOldest NodeFull = "retract-oldest"
	DiscardOldest NodeFull = "discard-oldest"
	RejectNew     NodeFull = "reject"
)

// Default is what XEP-0163 §5 wants of a node of a personal service: seen by
// those who see the owner's presence, one item, sent to whoever comes online.
func Default() Config {
	return Config{Access: Presence, Publish: Publishers, Persist: true, MaxItems: 1, Deliver: true, Payloads: true,
		NotifyDelete: true, NotifyRetract: true, SendLast: OnSubAndPresence}
}

// Private is XEP-0223 §5: for the owner alone, as many items as there is room for.
func Private() Config {
	c := Default()
	c.Access, c.MaxItems, c.SendLast = Whitelist, 0, Never
	return c
}

// Subscription is an explicit one.
type Subscription struct {
	JID     jid.JID // as asked for: bare or full
	State   State
	Options Options
}

// Node is a node without its items. It is immutable once it is read.
type Node struct {
	Service jid.JID
	Name    string
	Config  Config
	Created int64 // microseconds

	affiliations map[jid.JID]Affiliation
	subs         []Subscription
	now          func() time.Time
}

// Affiliation of an entity. The account whose service it is owns every node.
func (n *Node) Affiliation(who jid.JID) Affiliation {
	bare := who.Bare()
	if bare == n.Service {
		return Owner
	}
	if a, ok := n.affiliations[bare]; ok {
		return a
	}
	return NoneAtAll
}

// Owners are the account and whom it made an owner.
func (n *Node) Owners() []jid.JID {
	out := []jid.JID{n.Service}
	for who, a := range n.affiliations {
		if a == Owner {
			out = append(out, who)
		}
	}
	return out
}

// Subscriptions are the explicit ones, pending ones included, without those
// whose lease has ended.
func (n *Node) Subscriptions() []Subscription {
	if !slices.ContainsFunc(n.subs, n.over) {
		return n.subs
	}
	return slices.DeleteFunc(slices.Clone(n.subs), n.over)
}

func (n *Node) over(s Subscription) bool { return s.Options.Until > 0 && s.Options.over(n.now()) }

// find is an address's subscription, nil if there is none.
func (n *Node) find(who jid.JID) *Subscription {
	for i := range n.subs {
		if n.subs[i].JID == who && !n.over(n.subs[i]) {
			return &n.subs[i]
		}
	}
	return nil
}

// Governs is the subscription whose options a resource's notifications follow: its
// own, or that of its account; nil if there is neither.
func (n *Node) Governs(full jid.JID) *Subscription {
	if s := n.find(full); s != nil {
		return s
	}
	return n.find(full.Bare())
}

// pending says whether somebody waits for an owner's approval.
func (n *Node) pending() bool {
	return slices.ContainsFunc(n.subs, func(s Subscription) bool { return s.State == Pending && !n.over(s) })
}

// Subscription is that of an address, Unsubscribed if there is none.
func (n *Node) Subscription(who jid.JID) State {
	if s := n.find(who); s != nil {
		return s.State
	}
	return Unsubscribed
}

// approved says whether an entity has a subscription that is in force, by
// whichever of its addresses.
func (n *Node) approved(who jid.JID) bool {
	return slices.ContainsFunc(n.subs, func(s Subscription) bool {
		return s.State == Subscribed && s.JID.Bare() == who.Bare() && !n.over(s)
	})
}

// Item is one item of a node.
type Item struct {
	ID        string
	Publisher jid.JID // the full JID it was published with
	At        int64   // microseconds
	// Payload is one element valid on its own, nil if the item has none.
	Payload []byte

	seq int64
}
