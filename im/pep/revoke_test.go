package pep

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func run(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, db *store.DB) { fn(t, newWorld(t, db)) })
}

// HARDENING M5: whatever gave the right, the first event after it was taken away
// goes to nobody: it is asked for when it is delivered.
func TestRevoke_nothingGoesOutAfterwards(t *testing.T) {
	const node = "urn:n"
	ctx := context.Background()
	a, r := who("alice"), who("reader")
	affiliation := func(to pubsub.Affiliation) func(*world) {
		return func(w *world) { w.affiliate(node, "reader", to) }
	}
	subscription := func(state string) func(*world) {
		return func(w *world) {
			w.must(a, a, stanza.Set, fmt.Sprintf("%s<subscriptions node='%s'><subscription jid='%s' subscription='%s'/></subscriptions></pubsub>", owner, node, r, state))
		}
	}
	cases := map[string]struct {
		model        string
		give, revoke func(*world)
	}{
		"the presence subscription is cancelled": {"presence", func(w *world) { w.contact("reader", roster.To|roster.From) }, func(w *world) {
			err := w.rosters.Apply(ctx, roster.Request{Type: stanza.Unsubscribed, User: a, Contact: r, Local: true}, func(roster.Step) {})
			if err != nil {
				w.t.Fatal(err)
			}
		}},
		"the contact is removed": {"presence", func(w *world) { w.contact("reader", roster.To|roster.From) }, func(w *world) {
			if err := w.rosters.Remove(ctx, a, r, true, func(roster.Step) {}); err != nil {
				w.t.Fatal(err)
			}
		}},
		"the contact leaves the group": {"roster", func(w *world) { w.contact("reader", roster.To|roster.From, "Friends") }, func(w *world) {
			if err := w.rosters.Set(ctx, a, r, "", []string{"Others"}); err != nil {
				w.t.Fatal(err)
			}
		}},
		"it is struck from the whitelist": {"whitelist", func(w *world) { w.contact("reader", roster.To|roster.From); affiliation(pubsub.Member)(w) },
			affiliation(pubsub.NoneAtAll)},
		"it is banned": {"open", func(w *world) { w.contact("reader", roster.To|roster.From) }, affiliation(pubsub.Outcast)},
		"the approval is withdrawn": {"authorize", func(w *world) { w.contact("reader", roster.To|roster.From); subscription("subscribed")(w) },
			subscription("none")},
		"it is blocked": {"presence", func(w *world) { w.contact("reader", roster.To|roster.From) }, func(w *world) {
			if err := w.blocks.Block(ctx, a, []jid.JID{r}, func(block.Change) {}); err != nil {
				w.t.Fatal(err)
			}
		}},
		"it has blocked the owner": {"presence", func(w *world) { w.contact("reader", roster.To|roster.From) }, func(w *world) {
			if err := w.blocks.Block(ctx, r, []jid.JID{a}, func(block.Change) {}); err != nil {
				w.t.Fatal(err)
			}
		}},
		"the node is closed": {"open", func(w *world) { w.contact("reader", roster.To|roster.From) }, func(w *world) {
			w.must(a, a, stanza.Set, owner+"<configure node='"+node+"'>"+options(pubsub.ConfigForm, "access_model", "whitelist")+"</configure></pubsub>")
		}},
	}
	storetest.RunDSN(t, func(t *testing.T, dsn string) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, fresh(t, dsn))
				w.create(node, "access_model", c.model, "roster_groups_allowed", "Friends", "send_last_published_item", "never")
				c.give(w)
				reader := w.online("reader/r", node)
				w.must(a, a, stanza.Set, publish(node, "1"))
				if got := reader.events(); !slices.Equal(got, []string{"items " + node + " item:1"}) {
					t.Fatalf("before: %q", got)
				}
				c.revoke(w)
				reader.events()
				w.must(a, a, stanza.Set, publish(node, "2"))
				w.must(a, a, stanza.Set, ps+"<retract node='"+node+"' notify='1'><item id='2'/></retract></pubsub>")
				w.must(a, a, stanza.Set, owner+"<purge node='"+node+"'/></pubsub>")
				w.must(a, a, stanza.Set, owner+"<delete node='"+node+"'/></pubsub>")
				if got := reader.events(); len(got) != 0 {
					t.Errorf("afterwards: %q", got)
				}
			})
		}
	})
}

// XEP-0163 §7.1: an explicit subscription ends with the right to it, and its
// holder is told (XEP-0060 §12.14).
func TestRevoke_subscriptionEnds(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, r := who("alice"), who("reader")
		w.create("urn:n", "access_model", "presence")
		w.contact("reader", roster.From)
		c := w.online("reader/r")
		w.must(c.JID(), a, stanza.Set, fmt.Sprintf("%s<subscribe node='urn:n' jid='%s'/></pubsub>", ps, r))
		w.must(a, a, stanza.Set, publish("urn:n", "1"))
		if got := c.events(); !slices.Equal(got, []string{"items urn:n item:1"}) {
			t.Fatalf("%q", got)
		}
		if err := w.rosters.Remove(context.Background(), a, r, true, func(roster.Step) {}); err != nil {
			t.Fatal(err)
		}
		w.must(a, a, stanza.Set, publish("urn:n", "2"))
		w.Settle(context.Background()) // what the refusal caused
		if got := c.events(); !slices.Equal(got, []string{"subscription urn:n none"}) {
			t.Errorf("%q", got)
		}
		e := w.must(a, a, stanza.Get, owner+"<subscriptions node='urn:n'/></pubsub>")
		if n := len(e.Children[0].Children); n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// XEP-0163 §4.3.4: new subscribers get the last item, once both see each other.
func TestBonded_newContactsGetTheLast(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		a, r := who("alice"), who("reader")
		w.create("urn:n")
		w.create("urn:open", "access_model", "open")
		w.must(a, a, stanza.Set, publish("urn:n", "1"))
		w.must(a, a, stanza.Set, publish("urn:open", "1"))
		c := w.online("reader/r", "urn:n", "urn:open")
		step := func(want []string, user, contact jid.JID, typ stanza.Type) {
			t.Helper()
			was, err := w.Bond(ctx, user, contact)
			if err != nil {
				t.Fatal(err)
			}
			err = w.rosters.Apply(ctx, roster.Request{Type: typ, User: user, Contact: contact, Local: true, Stanza: []byte("<presence/>")}, func(roster.Step) {})
			if err != nil {
				t.Fatal(err)
			}
			w.Bonded(ctx, was)
			if got := c.events(); !slices.Equal(got, want) {
				t.Errorf("%s of %s: %q, want %q", typ, user, got, want)
			}
		}
		step(nil, a, r, stanza.Subscribe)
		step([]string{"items urn:open item:1 (old)"}, r, a, stanza.Subscribed) // alice gets the reader's presence
		step(nil, r, a, stanza.Subscribe)
		step([]string{"items urn:n item:1 (old)"}, a, r, stanza.Subscribed)
	})
}

// XEP-0163 §4.3.1: subscribers learn which of the account's devices it was.
func TestNotify_publisher(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.contact("reader", roster.To|roster.From)
		w.contact("fan", roster.To)
		w.create("urn:n", "access_model", "open")
		reader, fan := w.online("reader/r", "urn:n"), w.online("fan/r", "urn:n")
		w.must(jid.MustParse("alice@acme.test/phone"), who("alice"), stanza.Set, publish("urn:n", "1"))
		for _, c := range []struct {
			c    *client
			want bool
		}{{reader, true}, {fan, false}} {
			got := c.c.stanzas()
			if len(got) != 1 {
				t.Fatalf("%d stanzas", len(got))
			}
			if has := got[0].Has(replyTo, "addresses"); has != c.want {
				t.Errorf("%s: the publishing resource is named: %v", c.c.JID(), has)
			}
			if got[0].To != c.c.JID() {
				t.Errorf("to %s", got[0].To)
			}
		}
	})
}

// XEP-0060 §9.2: filtered by what each session wants: what one asks for
// another does not get.
func TestCaps_perSession(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.create("urn:n")
		keen, dull := w.online("alice/keen", "urn:n"), w.online("alice/dull", "urn:other")
		w.must(who("alice"), who("alice"), stanza.Set, publish("urn:n", "1"))
		if got := keen.events(); len(got) != 1 {
			t.Errorf("%q", got)
		}
		if got := dull.events(); len(got) != 0 {
			t.Errorf("%q", got)
		}
		// Away it gets nothing, back it gets the last.
		keen.SetPresence(session.Presence{})
		w.must(who("alice"), who("alice"), stanza.Set, publish("urn:n", "2"))
		if got := keen.events(); len(got) != 0 {
			t.Errorf("while away: %q", got)
		}
		keen.present(infoOf("urn:n"))
		if got := keen.events(); !slices.Equal(got, []string{"items urn:n item:2 (old)"}) {
			t.Errorf("back: %q", got)
		}
	})
}

// HARDENING I8: an answer that does not hash to what was claimed is believed of
// nobody else, and the next who claims the same is asked.
func TestCaps_poison(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.create("urn:n")
		w.create("urn:secret")
		honest := infoOf("urn:n")
		liar := w.bind("mallory/x")
		liar.present(honest)
		victim := w.bind("alice/v")
		victim.present(honest)
		if got := victim.stanzas(); len(got) != 0 {
			t.Fatalf("asked at once although another is: %d", len(got))
		}
		lies := infoOf("urn:secret")
		liar.answer(lies)
		if known := len(w.caps.known); known != 0 {
			t.Fatalf("%d hashes are believed", known)
		}
		w.must(who("alice"), who("alice"), stanza.Set, publish("urn:secret", "1"))
		questions := 0
		for _, st := range victim.stanzas() {
			if st.Kind != stanza.IQ {
				t.Fatalf("the victim hears of what it did not ask for: %s", st.AppendTo(nil))
			}
			victim.result(st, honest)
			questions++
		}
		if questions != 1 {
			t.Fatalf("%d questions", questions)
		}
		w.must(who("alice"), who("alice"), stanza.Set, publish("urn:n", "1"))
		if got := victim.events(); !slices.Equal(got, []string{"items urn:n item:1"}) {
			t.Errorf("%q", got)
		}
		// Proven now: the next is not asked, and gets the last at once.
		third := w.bind("alice/w")
		third.present(honest)
		if got := third.events(); !slices.Equal(got, []string{"items urn:n item:1 (old)"}) {
			t.Errorf("%q", got)
		}
	})
}

// HARDENING I5: an answer counts only from whom it was asked.
func TestCaps_strangersAnswer(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		info := infoOf("urn:n")
		asked, other := w.bind("alice/a"), w.bind("alice/b")
		asked.present(info)
		q := asked.stanzas()
		if len(q) != 1 {
			t.Fatalf("%d questions", len(q))
		}
		other.result(q[0], info)
		if w.caps.wantsNode(asked.Session, "urn:n") || len(w.caps.known) != 0 {
			t.Error("another's answer was taken")
		}
		asked.result(q[0], info)
		if !w.caps.wantsNode(asked.Session, "urn:n") {
			t.Error("the answer was not taken")
		}
	})
}

// A session that ends without an answer leaves nothing behind, and who waits for
// the same is asked.
func TestCaps_goneBeforeTheAnswer(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		info := infoOf("urn:n")
		first, second := w.bind("alice/a"), w.bind("bob/b")
		first.present(info)
		second.present(info)
		w.Gone(context.Background(), first.Session)
		second.answer(info)
		if !w.caps.wantsNode(second.Session, "urn:n") {
			t.Error("the second was not asked")
		}
		w.Gone(context.Background(), second.Session)
		if len(w.caps.asked) != 0 || len(w.caps.wants) != 0 {
			t.Errorf("%d questions and %d wants are left", len(w.caps.asked), len(w.caps.wants))
		}
	})
}

// Presence without capabilities: nothing is wanted any more.
func TestCaps_withdrawn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.create("urn:n")
		c := w.online("alice/a", "urn:n")
		c.presents((&stanza.Stanza{Kind: stanza.Presence, From: c.JID()}).Add(elem.New(stanza.Space, "show").SetText("away")))
		w.must(who("alice"), who("alice"), stanza.Set, publish("urn:n", "1"))
		if got := c.events(); len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
}
