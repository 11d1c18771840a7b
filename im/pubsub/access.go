package pubsub

import (
	"slices"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Relation is how an entity stands to a service's owner outside of pubsub, at
// the moment it is asked about.
type Relation struct {
	Presence bool     // it is subscribed to the owner's presence ("from" or "both" in the owner's roster)
	Groups   []string // the groups of the owner's roster it is in
}

// Space and its kin are the namespaces of XEP-0060 §14.1.
const (
	Space       = "http://jabber.org/protocol/pubsub"
	EventSpace  = Space + "#event"
	OwnerSpace  = Space + "#owner"
	ErrorSpace  = Space + "#errors"
	ConfigForm  = Space + "#node_config"
	OptionsForm = Space + "#publish-options"
	MetaForm    = Space + "#meta-data"
)

// fail makes an error with a pubsub condition (XEP-0060 §14.1).
func fail(condition, app, text string) *stanza.Error {
	e := stanza.Fail(condition, text)
	if app != "" {
		e.App = elem.New(ErrorSpace, app)
	}
	return e
}

// unsupported names a feature that is not there.
func unsupported(feature, text string) *stanza.Error {
	e := fail("feature-not-implemented", "unsupported", text)
	e.App.Set("feature", feature)
	return e
}

// Errors of XEP-0060 §6.1.3, §6.5.9, §7.1.3 and §8.1.
var (
	errForbidden    = stanza.Fail("forbidden", "the owner of this node does not allow that")
	errNoNode       = stanza.Fail("item-not-found", "there is no such node")
	errNoItem       = stanza.Fail("item-not-found", "there is no such item")
	errNodeID       = fail("bad-request", "nodeid-required", "the request names no node")
	errPresence     = fail("not-authorized", "presence-subscription-required", "only those who may see the owner's presence can read this")
	errNotInGroup   = fail("not-authorized", "not-in-roster-group", "only some of the owner's contacts can read this")
	errNotApproved  = fail("not-authorized", "not-subscribed", "the owner has to approve a subscription first")
	errClosed       = fail("not-allowed", "closed-node", "only those the owner has named can read this")
	errPrecondition = fail("conflict", "precondition-not-met", "the node exists and is configured otherwise")
)

// Reads says whether an entity may read a node: get its items, subscribe, be
// notified. nil is yes; the error is what whoever asks is told. It is the one
// authorisation, asked for each of them at the moment it happens.
func (n *Node) Reads(who jid.JID, r Relation) *stanza.Error {
	switch n.Affiliation(who) {
	case Owner, Publisher, Member: // XEP-0060 §4.1, table 1
		return nil
	case PublishOnly, Outcast: // XEP-0060 §6.1.3.8, §6.5.9.10
		return errForbidden
	}
	switch n.Config.Access { // XEP-0060 §4.5
	case Open:
		return nil
	case Presence:
		if r.Presence {
			return nil
		}
		return errPresence // XEP-0060 §6.1.3.2, §6.5.9.6
	case Roster:
		for _, g := range r.Groups {
			if slices.Contains(n.Config.Groups, g) {
				return nil
			}
		}
		return errNotInGroup // XEP-0060 §6.1.3.3, §6.5.9.7
	case Authorize:
		if n.approved(who) {
			return nil
		}
		return errNotApproved // XEP-0060 §6.5.9.3
	}
	return errClosed // XEP-0060 §6.1.3.4, §6.5.9.8
}

// Subscribes says in what state a subscription of an entity begins.
func (n *Node) Subscribes(who jid.JID, r Relation) (State, *stanza.Error) {
	refusal := n.Reads(who, r)
	switch {
	case refusal == nil:
		return Subscribed, nil
	case refusal == errNotApproved:
		return Pending, nil // XEP-0060 §6.1.4
	}
	return Unsubscribed, refusal
}

// Publishes says whether an entity may publish to a node (XEP-0060 §4.1, §7.1.3.1).
func (n *Node) Publishes(who jid.JID) bool {
	switch n.Affiliation(who) {
	case Owner, Publisher, PublishOnly:
		return true
	case Outcast:
		return false
	}
	switch n.Config.Publish {
	case Anyone:
		return true
	case Subscribers:
		return n.approved(who)
	}
	return false
}

// Retracts says whether an entity may take back an item (XEP-0060 §4.1, §7.2.3.1).
func (n *Node) Retracts(who jid.JID, it *Item) bool {
	switch n.Affiliation(who) {
	case Owner, Publisher:
		return true
	}
	// Whoever may publish may take back what is its own.
	return n.Publishes(who) && it.Publisher.Bare() == who.Bare()
}

// Manages says whether an entity may configure, purge and delete a node and
// change who is affiliated (XEP-0060 §4.1, §8).
func (n *Node) Manages(who jid.JID) bool { return n.Affiliation(who) == Owner }
