package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func want(t *testing.T, what string, got []string, lines ...string) {
	t.Helper()
	if !slices.Equal(got, lines) {
		t.Errorf("%s:\n got  %q\n want %q", what, got, lines)
	}
}

// RFC 6121 §3.1: request, approval, the same the other way, then both ends.
func TestApply_wholeLife(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		a, aw := f.bind("alice@acme.test/a")
		b, bw := f.bind("bob@acme.test/b")

		f.apply(stanza.Subscribe, alice, bob)
		want(t, "alice asks", f.pushes(a, aw), "bob none ask")
		want(t, "bob is asked", f.steps, "bob gets subscribe from alice")
		want(t, "a request makes no item (RFC 6121 §3.1.3)", f.pushes(b, bw))
		if f.state(bob, alice) != PendingIn || f.roster(bob) != "" {
			t.Errorf("bob: %06b, %q", f.state(bob, alice), f.roster(bob))
		}

		f.apply(stanza.Subscribe, alice, bob) // RFC 6121 §A.3.1: not delivered again
		want(t, "asked again", append(f.steps, f.pushes(a, aw)...))

		f.apply(stanza.Subscribed, bob, alice)
		want(t, "bob approves (RFC 6121 §3.1.5, §3.1.6)", f.steps, "alice gets subscribed from bob", "bob appears to alice")
		want(t, "alice's push", f.pushes(a, aw), "bob to")
		want(t, "bob's push", f.pushes(b, bw), "alice from")
		if p, err := f.Pending(t.Context(), bob); err != nil || len(p) != 0 {
			t.Errorf("answered, but still waiting: %v %v", p, err)
		}

		f.apply(stanza.Subscribe, bob, alice)
		want(t, "bob asks back", f.pushes(b, bw), "alice from ask")
		f.apply(stanza.Subscribed, alice, bob)
		want(t, "alice's push", f.pushes(a, aw), "bob both")
		want(t, "bob's push", f.pushes(b, bw), "alice both")

		f.apply(stanza.Unsubscribed, bob, alice)
		want(t, "bob cancels (RFC 6121 §3.2.2: unavailable first)", f.steps, "bob vanishes for alice", "alice gets unsubscribed from bob")
		want(t, "alice's push", f.pushes(a, aw), "bob from")
		want(t, "bob's push", f.pushes(b, bw), "alice to")

		f.apply(stanza.Unsubscribe, bob, alice)
		want(t, "bob unsubscribes (RFC 6121 §3.3.3)", f.steps, "alice gets unsubscribe from bob", "alice vanishes for bob")
		want(t, "alice's push", f.pushes(a, aw), "bob none")
		want(t, "bob's push", f.pushes(b, bw), "alice none")
		if f.state(alice, bob) != Listed || f.state(bob, alice) != Listed {
			t.Errorf("alice %06b, bob %06b; want both listed and strangers", f.state(alice, bob), f.state(bob, alice))
		}
	})
}

// RFC 6121 §3.1.3: a contact that is subscribed already is answered for.
func TestApply_answersForSubscribed(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		if err := f.Befriend(t.Context(), alice, bob, "Alice", "Bob"); err != nil {
			t.Fatal(err)
		}
		f.apply(stanza.Unsubscribe, alice, bob)
		f.apply(stanza.Unsubscribed, alice, carol) // to a stranger: nothing
		want(t, "nothing to cancel", f.steps)
		f.apply(stanza.Subscribed, bob, alice) // pre-approval (RFC 6121 §3.4.2)
		want(t, "a pre-approval is not routed", f.steps)
		if got := f.roster(bob); got != "alice to Alice approved" {
			t.Errorf("bob's roster: %q", got)
		}
		a, aw := f.bind("alice@acme.test/a")
		f.apply(stanza.Subscribe, alice, bob)
		want(t, "answered at once", f.steps, "alice gets subscribed from bob", "bob appears to alice")
		want(t, "alice's pushes", f.pushes(a, aw), "bob from Bob ask", "bob both Bob")
		if got := f.roster(bob); got != "alice both Alice approved" {
			t.Errorf("bob's roster: %q", got)
		}
		f.apply(stanza.Unsubscribed, bob, alice)
		if got := f.roster(bob); got != "alice to Alice" {
			t.Errorf("cancelling keeps the pre-approval: %q", got)
		}
	})
}

// RFC 6121 §3.1.3: the complete stanza is kept until the request is answered or withdrawn.
func TestPending_keptUntilAnswered(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		for _, end := range []struct {
			typ           stanza.Type
			user, contact jid.JID
		}{{stanza.Subscribed, bob, alice}, {stanza.Unsubscribed, bob, alice}, {stanza.Unsubscribe, alice, bob}} {
			f.apply(stanza.Subscribe, carol, bob)
			f.apply(stanza.Subscribe, alice, bob)
			p, err := f.Pending(t.Context(), bob)
			if err != nil || len(p) != 2 || p[0].From != carol || p[1].From != alice ||
				!strings.Contains(string(p[1].Stanza), "type='subscribe'") {
				t.Fatalf("pending = %v, %v; want both, oldest first, whole", p, err)
			}
			f.apply(end.typ, end.user, end.contact)
			if p, _ := f.Pending(t.Context(), bob); len(p) != 1 || p[0].From != carol {
				t.Errorf("after %s: %v; want carol's only", end.typ, p)
			}
			f.state(bob, alice)
			// Back to strangers.
			f.apply(stanza.Unsubscribed, bob, alice)
			f.apply(stanza.Unsubscribe, alice, bob)
		}
	})
}

// A contact that does not hear the user, or does not exist here, changes nothing
// on its side; the user can't tell (XEP-0191).
func TestApply_deafAndForeign(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		r := Request{Type: stanza.Subscribe, User: alice, Contact: bob, Local: true, Deaf: true, Stanza: []byte("<presence/>")}
		if err := f.Apply(t.Context(), r, f.note); err != nil {
			t.Fatal(err)
		}
		f.apply(stanza.Subscribe, alice, far)
		want(t, "nobody is asked", f.steps)
		if f.state(bob, alice) != None || f.roster(alice) != "bob none ask; zoe none ask" {
			t.Errorf("bob %06b, alice %q", f.state(bob, alice), f.roster(alice))
		}
	})
}

// RFC 6121 §2.5.2: removal cancels both ways, and requests that wait.
func TestRemove_cancelsBothWays(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		if err := f.Befriend(t.Context(), alice, bob, "", "Bob", "Friends"); err != nil {
			t.Fatal(err)
		}
		a, aw := f.bind("alice@acme.test/a")
		b, bw := f.bind("bob@acme.test/b")
		if err := f.Remove(t.Context(), alice, bob, true, f.note); err != nil {
			t.Fatal(err)
		}
		want(t, "steps", f.steps, "bob gets unsubscribe from alice", "bob vanishes for alice",
			"alice vanishes for bob", "bob gets unsubscribed from alice")
		want(t, "alice's push", f.pushes(a, aw), "bob remove")
		want(t, "bob's pushes", f.pushes(b, bw), "alice to #Friends", "alice none #Friends")
		if f.state(alice, bob) != None || f.state(bob, alice) != Listed {
			t.Errorf("alice %06b, bob %06b", f.state(alice, bob), f.state(bob, alice))
		}
		if c := condition(f.Remove(t.Context(), alice, bob, true, f.note)); c != "item-not-found" {
			t.Errorf("removing again: %q (RFC 6121 §2.5.3)", c)
		}

		f.apply(stanza.Subscribe, alice, carol)
		f.steps = nil
		if err := f.Remove(t.Context(), alice, carol, true, f.note); err != nil {
			t.Fatal(err)
		}
		want(t, "a request of ours is taken back", f.steps, "carol gets unsubscribe from alice")
		if f.state(carol, alice) != None {
			t.Error("carol is still asked")
		}
	})
}

func TestLimits_listsAreBounded(t *testing.T) {
	lim := DefaultLimits
	lim.Items, lim.Pending = 3, 2
	run(t, lim, func(t *testing.T, f *fix) {
		for i := range 3 {
			f.apply(stanza.Subscribe, alice, jid.MustParse(fmt.Sprintf("u%d@elsewhere.test", i)))
		}
		if c := condition(f.Set(t.Context(), alice, bob, "", nil)); c != "resource-constraint" {
			t.Errorf("fourth item: %q", c)
		}
		r := Request{Type: stanza.Subscribe, User: alice, Contact: bob, Local: true}
		if c := condition(f.Apply(t.Context(), r, nil)); c != "resource-constraint" {
			t.Errorf("fourth item by asking: %q", c)
		}
		if err := f.Set(t.Context(), alice, jid.MustParse("u1@elsewhere.test"), "still changeable", nil); err != nil {
			t.Error(err)
		}
		for i := range 2 {
			f.apply(stanza.Subscribe, jid.MustParse(fmt.Sprintf("u%d@acme.test", i)), bob)
		}
		r.User = carol
		if c := condition(f.Apply(t.Context(), r, nil)); c != "resource-constraint" {
			t.Errorf("third request: %q", c)
		}
		if f.roster(carol) != "" {
			t.Error("the refused request stayed in carol's roster")
		}
	})
}

func TestSubscribers_andSubscriptions(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		if err := f.Befriend(t.Context(), alice, bob, "", ""); err != nil {
			t.Fatal(err)
		}
		f.apply(stanza.Subscribe, carol, alice)
		f.apply(stanza.Subscribed, alice, carol)
		subs, err := f.Subscribers(t.Context(), alice)
		if err != nil || !slices.Equal(subs, []jid.JID{bob, carol}) {
			t.Errorf("subscribers %v, %v", subs, err)
		}
		to, err := f.Subscriptions(t.Context(), alice)
		if err != nil || !slices.Equal(to, []jid.JID{bob}) {
			t.Errorf("subscriptions %v, %v", to, err)
		}
	})
}

// An account that goes takes its contacts' subscriptions along.
func TestForget_endsSubscriptionsOfOthers(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		var pairs []Pair
		for i := range seedChunk + 5 {
			pairs = append(pairs, Pair{A: alice, B: jid.MustParse(fmt.Sprintf("u%03d@acme.test", i)), NameA: "A", NameB: "B"})
		}
		if err := f.Seed(t.Context(), pairs); err != nil {
			t.Fatal(err)
		}
		f.apply(stanza.Subscribe, carol, alice)
		f.apply(stanza.Subscribe, alice, bob)
		f.apply(stanza.Subscribe, alice, far)
		f.state(pairs[0].B, alice) // in memory
		s, w := f.bind("u000@acme.test/r")
		if err := f.db.Write(t.Context(), func(tx *store.Tx) error { return f.Forget(tx, alice) }); err != nil {
			t.Fatal(err)
		}
		want(t, "nothing before the commit is known", f.pushes(s, w))
		f.steps = nil
		f.must(f.Forgotten(t.Context(), alice, f.note))
		want(t, "pushes", f.pushes(s, w), "alice to A", "alice none A")
		if len(f.steps) == 0 {
			t.Error("nobody is told")
		}
		f.must(f.Forgotten(t.Context(), alice, func(Step) { t.Error("told twice") }))
		if f.roster(alice) != "" || f.roster(pairs[0].B) != "alice none A" || f.roster(carol) != "alice none" {
			t.Errorf("alice %q, u0 %q, carol %q", f.roster(alice), f.roster(pairs[0].B), f.roster(carol))
		}
		if f.state(bob, alice) != None || f.state(pairs[0].B, alice) != Listed || f.state(alice, carol) != None {
			t.Errorf("bob %06b, u0 %06b", f.state(bob, alice), f.state(pairs[0].B, alice))
		}
	})
}

// A removal that was undone changes nothing, whatever is told afterwards.
func TestForget_undone(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		f.must(f.Befriend(t.Context(), alice, bob, "", ""))
		f.state(bob, alice)
		undone := errors.New("undone")
		err := f.db.Write(t.Context(), func(tx *store.Tx) error {
			if err := f.Forget(tx, alice); err != nil {
				return err
			}
			return undone
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		f.must(f.Forgotten(t.Context(), alice, func(Step) { t.Error("told of a removal that was undone") }))
		if f.state(bob, alice) != To|From|Listed || f.state(alice, bob) != To|From|Listed {
			t.Errorf("alice %06b, bob %06b", f.state(alice, bob), f.state(bob, alice))
		}
	})
}

// What memory has equals what is on disk, whatever happens at the same time,
// and the last push of each item is its final state.
func TestApply_concurrentChangesStayInOrder(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		a, aw := f.bind("alice@acme.test/a")
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 20 {
					other := jid.MustParse(fmt.Sprintf("u%d@acme.test", (g+i)%4))
					r := Request{Type: stanza.Subscribe, User: alice, Contact: other, Local: true, Stanza: []byte("<presence/>")}
					switch (g*7 + i) % 4 {
					case 1:
						r.Type, r.User, r.Contact = stanza.Subscribed, other, alice
					case 2:
						r.Type = stanza.Unsubscribe
					case 3:
						if err := f.Set(context.Background(), alice, other, fmt.Sprintf("n%d.%d", g, i), nil); err != nil {
							t.Error(err)
						}
						continue
					}
					if err := f.Apply(context.Background(), r, func(Step) {}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		final := map[string]string{}
		for _, p := range f.pushes(a, aw) {
			who, _, _ := strings.Cut(p, " ")
			final[who] = p
		}
		for more := f.pushes(a, aw); len(more) > 0; more = f.pushes(a, aw) {
			for _, p := range more {
				who, _, _ := strings.Cut(p, " ")
				final[who] = p
			}
		}
		for _, l := range strings.Split(f.roster(alice), "; ") {
			who, _, _ := strings.Cut(l, " ")
			if final[who] != l {
				t.Errorf("last push %q, roster %q", final[who], l)
			}
		}
		for i := range 4 {
			f.state(alice, jid.MustParse(fmt.Sprintf("u%d@acme.test", i)))
		}
	})
}
