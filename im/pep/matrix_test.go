package pep

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// relation is how a requester stands to alice, whose nodes they are.
type relation struct {
	name  string
	setup func(w *world, node string)
	// read is the answer to a request for items, by access model: "" is yes.
	read map[pubsub.Access]string
	// implied says that the requester's presence reaches alice, so that what its
	// client wants to hear of is known (XEP-0163 §2.3).
	implied bool
}

const (
	noPresence  = "not-authorized presence-subscription-required"
	noGroup     = "not-authorized not-in-roster-group"
	noApproval  = "not-authorized not-subscribed"
	notOnList   = "not-allowed closed-node"
	mayNot      = "forbidden"
	readersNode = "urn:node"
)

func all(answer string) map[pubsub.Access]string {
	return map[pubsub.Access]string{pubsub.Open: answer, pubsub.Presence: answer, pubsub.Roster: answer, pubsub.Authorize: answer, pubsub.Whitelist: answer}
}

func answers(open, presence, group, authorize, whitelist string) map[pubsub.Access]string {
	return map[pubsub.Access]string{pubsub.Open: open, pubsub.Presence: presence, pubsub.Roster: group, pubsub.Authorize: authorize, pubsub.Whitelist: whitelist}
}

func (w *world) affiliate(node, name string, a pubsub.Affiliation) {
	w.t.Helper()
	w.must(who("alice"), who("alice"), stanza.Set, fmt.Sprintf("%s<affiliations node='%s'><affiliation jid='%s' affiliation='%s'/></affiliations></pubsub>",
		owner, node, who(name), a))
}

// relations are the eight of HARDENING M5.
func relations() []relation {
	const r = "reader"
	return []relation{
		{"the owner", nil, all(""), true},
		{"a stranger", nil, answers("", noPresence, noGroup, noApproval, notOnList), false},
		{"a contact both ways, in the group", func(w *world, _ string) { w.contact(r, roster.To|roster.From, "Friends") },
			answers("", "", "", noApproval, notOnList), true},
		{"a subscriber only", func(w *world, _ string) { w.contact(r, roster.From, "Others") },
			answers("", "", noGroup, noApproval, notOnList), false},
		{"subscribed to only", func(w *world, _ string) { w.contact(r, roster.To, "Others") },
			answers("", noPresence, noGroup, noApproval, notOnList), true},
		{"a contact on the whitelist", func(w *world, n string) { w.contact(r, roster.To); w.affiliate(n, r, pubsub.Member) },
			all(""), true},
		{"a contact whose subscription was approved", func(w *world, n string) {
			w.contact(r, roster.To)
			w.must(who("alice"), who("alice"), stanza.Set, fmt.Sprintf("%s<subscriptions node='%s'><subscription jid='%s' subscription='subscribed'/></subscriptions></pubsub>",
				owner, n, who(r)))
		}, answers("", noPresence, noGroup, "", notOnList), true},
		{"an outcast contact", func(w *world, n string) {
			w.contact(r, roster.To|roster.From, "Friends")
			w.affiliate(n, r, pubsub.Outcast)
		}, all(mayNot), true},
	}
}

// HARDENING M5: 5 access models × 8 relations × {+notify, items, last item}, 120
// of the 160 cells. The archive's 40 are all "nothing": events are headlines pushed
// to sessions, and interop/attack looks for them in the archives of the running server.
func TestAccess_matrix(t *testing.T) {
	models := []pubsub.Access{pubsub.Open, pubsub.Presence, pubsub.Roster, pubsub.Authorize, pubsub.Whitelist}
	storetest.RunDSN(t, func(t *testing.T, dsn string) {
		cells := 0
		for _, model := range models {
			for _, rel := range relations() {
				t.Run(string(model)+"/"+rel.name, func(t *testing.T) {
					w := newWorld(t, fresh(t, dsn))
					w.cells(model, &rel)
				})
				cells += 3
			}
		}
		if cells != 5*8*3 {
			t.Errorf("%d cells", cells)
		}
	})
}

// fresh empties a data set: making one costs more than the test.
func fresh(t *testing.T, dsn string) *store.DB {
	t.Helper()
	db := storetest.Open(t, dsn)
	err := db.Migrate(context.Background(), []store.Migrations{roster.Migrations(), block.Migrations(), pubsub.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(context.Background(), func(tx *store.Tx) error {
		for _, table := range []string{"pubsub_node", "pubsub_affiliation", "pubsub_subscription", "pubsub_item", "roster_item", "roster_pending", "roster_version", "block"} {
			if _, err := tx.Exec("DELETE FROM " + table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func (w *world) cells(model pubsub.Access, rel *relation) {
	reader := "reader"
	if rel.name == "the owner" {
		reader = "alice"
	}
	w.create(readersNode, "access_model", string(model), "roster_groups_allowed", "Friends")
	w.must(who("alice"), who("alice"), stanza.Set, publish(readersNode, "old"))
	if rel.setup != nil {
		rel.setup(w, readersNode)
	}
	want := rel.read[model]
	hears := want == "" && rel.implied

	_, got := w.ask(jid.MustParse(reader+"@"+domain+"/r"), who("alice"), stanza.Get, ps+"<items node='"+readersNode+"'/></pubsub>")
	if got != want {
		w.t.Errorf("items: %q, want %q", got, want)
	}
	c := w.online(reader+"/r", readersNode)
	w.cell("last item", c, hears, "items "+readersNode+" item:old (old)")
	w.must(who("alice"), who("alice"), stanza.Set, publish(readersNode, "new"))
	w.cell("+notify", c, hears, "items "+readersNode+" item:new")
}

func (w *world) cell(what string, c *client, hears bool, event string) {
	w.t.Helper()
	want := []string(nil)
	if hears {
		want = []string{event}
	}
	// That a subscription without right ends is said, and is no item.
	got := slices.DeleteFunc(c.events(), func(e string) bool { return e == "subscription "+readersNode+" none" })
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: %q, want %q", what, got, want)
	}
}
