package presence

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// RFC 6121 §4.2 to §4.5 for two contacts and two resources.
func TestUpdate_comingAndGoing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.friends([2]jid.JID{alice, bob})
		a := w.bind("alice/a")
		a.must(a.says(`<presence><status>hello</status><priority>5</priority></presence>`))
		a.want("own presence comes back (RFC 6121 §4.2.2)", "alice/a available hello")
		if p := a.Presence(); !p.Available || p.Priority != 5 || p.Stanza.From != a.JID() || !p.Since.Equal(w.now) {
			t.Errorf("kept presence %+v", p)
		}

		b := w.bind("bob/b")
		silent := w.bind("bob/silent") // never becomes available
		b.must(b.says(`<presence/>`))
		b.want("bob finds alice (RFC 6121 §4.3.2)", "bob/b available", "alice/a available hello")
		a.want("alice hears of bob", "bob/b available")

		a2 := w.bind("alice/b")
		a2.must(a2.says(`<presence/>`))
		a2.want("second resource", "alice/b available", "alice/a available hello", "bob/b available")
		a.want("first resource", "alice/b available")
		b.want("contact", "alice/b available")

		a.must(a.says(`<presence><show>away</show><status>back soon</status></presence>`))
		b.want("change (RFC 6121 §4.4.2)", "alice/a available back soon")
		a.want("its own copy, and no second welcome", "alice/a available back soon")
		a2.want("other resource", "alice/a available back soon")

		a.must(a.says(`<presence type='unavailable'><status>bye</status></presence>`))
		b.want("going (RFC 6121 §4.5.2)", "alice/a unavailable bye")
		a.want("itself", "alice/a unavailable bye")
		a2.want("other resource", "alice/a unavailable bye")
		a.must(a.says(`<presence type='unavailable'/>`))
		b.want("unavailable already")

		a2.drop()
		b.want("cut off (RFC 6121 §4.5.4)", "alice/b unavailable")
		silent.want("not available, so it hears nothing")
	})
}

// RFC 6121 §4.2.2, §4.3.2: "to" hears nothing of subscribers, "from" is not heard.
func TestUpdate_oneWaySubscription(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.online("alice/a"), w.online("bob/b")
		a.must(a.says(`<presence to='bob@acme.test' type='subscribe'/>`))
		b.must(b.says(`<presence to='alice@acme.test' type='subscribed'/>`))
		a.got()
		b.got()
		a.must(a.says(`<presence><status>x</status></presence>`))
		b.want("bob is not subscribed")
		b.must(b.says(`<presence><status>y</status></presence>`))
		a.want("alice is", "alice/a available x", "bob/b available y")
		a2 := w.bind("alice/2")
		a2.must(a2.says(`<presence/>`))
		a2.wantAny("probe", "alice/2 available", "alice/a available x", "bob/b available y")
		b2 := w.bind("bob/2")
		b2.must(b2.says(`<presence/>`))
		b2.wantAny("no probe", "bob/2 available", "bob/b available y")
	})
}

func TestUpdate_firstOnlyOnce(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	a := w.bind("alice/a")
	for i, c := range []struct {
		xml   string
		first bool
	}{{`<presence/>`, true}, {`<presence/>`, false}, {`<presence type='unavailable'/>`, false}, {`<presence/>`, true}} {
		st := readStanza(t, c.xml)
		st.From = a.JID()
		if first, err := w.Update(t.Context(), a.Session, st); err != nil || first != c.first {
			t.Errorf("%d: %v, %v; want %v", i, first, err, c.first)
		}
	}
}

// RFC 6121 §4.7.2.3.
func TestUpdate_priorityRange(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	a := w.bind("alice/a")
	for _, c := range []struct {
		in   string
		want int8
		bad  bool
	}{
		{"", 0, false}, {"<priority>-128</priority>", -128, false}, {"<priority>127</priority>", 127, false},
		{"<priority> 7 </priority>", 7, false}, {"<priority>128</priority>", 0, true}, {"<priority>-129</priority>", 0, true},
		{"<priority>x</priority>", 0, true}, {"<priority/>", 0, true}, {"<priority>1</priority><priority>1</priority>", 0, true},
		{"<priority xmlns='other'>999</priority>", 0, false},
	} {
		a.must(a.says(`<presence/>`))
		switch err := a.says("<presence>" + c.in + "</presence>"); {
		case c.bad && condition(err) != "bad-request":
			t.Errorf("%s: %v, want bad-request", c.in, err)
		case !c.bad && (err != nil || a.Presence().Priority != c.want):
			t.Errorf("%s: %v, priority %d, want %d", c.in, err, a.Presence().Priority, c.want)
		}
	}
}

// RFC 6120 §7.7.2.2: a session that took over a resource is not talked offline
// by the end of the one before.
func TestGone_resourceTakenOver(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.friends([2]jid.JID{alice, bob})
		b, old := w.online("bob/b"), w.online("alice/a")
		b.got()
		next := w.bind("alice/a")
		next.must(next.says(`<presence><status>new</status></presence>`))
		b.want("taken over", "alice/a available new")
		for _, last := range []string{`<presence><status>old</status></presence>`, `<presence type='unavailable'/>`, `<presence to='bob@acme.test'/>`} {
			old.must(old.says(last))
			b.want("the old connection's last words don't count")
		}
		old.End()
		w.Gone(t.Context(), old.Session)
		b.want("available stays")

		third := w.bind("alice/a")
		next.End()
		w.Gone(t.Context(), next.Session)
		b.want("gone until the new one says something", "alice/a unavailable")
		third.must(third.says(`<presence/>`))
		b.want("back", "alice/a available")
	})
}

func TestLastSeen_whenTheLastSessionLeaves(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		if _, _, ok := w.LastSeen(t.Context(), alice); ok {
			t.Error("seen before it was ever there")
		}
		a, b := w.online("alice/a"), w.online("alice/b")
		start := w.now
		a.must(a.says(`<presence type='unavailable'><status>one left</status></presence>`))
		if _, _, ok := w.LastSeen(t.Context(), alice); ok || !w.Online(alice) {
			t.Error("one session is still there")
		}
		w.now = start.Add(time.Minute)
		b.must(b.says(`<presence type='unavailable'><status>bye &amp; thanks</status></presence>`))
		at, status, ok := w.LastSeen(t.Context(), alice)
		if !ok || !at.Equal(w.now) || status != "bye & thanks" || w.Online(alice) {
			t.Errorf("%v, %q, %v", at, status, ok)
		}
		w.now = start.Add(2 * time.Minute)
		a.drop() // was not available: not seen again
		if at, _, _ := w.LastSeen(t.Context(), alice); !at.Equal(start.Add(time.Minute)) {
			t.Errorf("seen at %v by a session that was not available", at)
		}
		c := w.online("alice/c")
		c.drop()
		if at, status, _ := w.LastSeen(t.Context(), alice); !at.Equal(w.now) || status != "" {
			t.Errorf("%v, %q after a cut", at, status)
		}
	})
}

// An account that was removed leaves no trace when its sessions end.
func TestLastSeen_notOfRemovedAccounts(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	gone := jid.MustParse("nobody@acme.test")
	c := w.online("nobody/x")
	c.drop()
	if _, _, ok := w.LastSeen(t.Context(), gone); ok {
		t.Error("seen, though there is no such account")
	}
}

// Nobody is left believing something older than what a session last said,
// whoever comes and goes at the same time.
func TestUpdate_concurrentComingAndGoing(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.slow = true
	const n, rounds = 6, 60
	var people []jid.JID
	for i := range n {
		people = append(people, jid.MustParse(fmt.Sprintf("u%d@acme.test", i)))
	}
	for i := range people {
		for j := range i {
			w.friends([2]jid.JID{people[i], people[j]})
		}
	}
	var clients [n]*client
	for i := range clients {
		clients[i] = w.bind(fmt.Sprintf("u%d/r", i))
	}
	all := func(f func(i int, c *client)) {
		var wg sync.WaitGroup
		for i, c := range clients {
			wg.Go(func() { f(i, c) })
		}
		wg.Wait()
	}
	for r := range rounds {
		// Three are there; then they leave while the others come.
		all(func(i int, c *client) {
			st := `<presence/>`
			if i%2 == 0 {
				st = `<presence type='unavailable'/>`
			}
			if err := c.says(st); err != nil {
				t.Error(err)
			}
		})
		all(func(i int, c *client) { c.got() })
		all(func(i int, c *client) {
			st := `<presence><status>end</status></presence>`
			if i%2 == 1 {
				for range (r + i) % 4 { // so that the two halves meet at every point
					if err := c.says(`<presence/>`); err != nil {
						t.Error(err)
					}
				}
				st = `<presence type='unavailable'/>`
			}
			if err := c.says(st); err != nil {
				t.Error(err)
			}
		})
		for i := 0; i < n; i += 2 {
			view := map[string]string{}
			note(view, clients[i].got())
			for j := range clients {
				got, want := view[fmt.Sprintf("u%d/r", j)], "available end"
				if j%2 == 1 {
					want = "unavailable"
				}
				if got != want && !(got == "" && want == "unavailable") {
					t.Fatalf("round %d: u%d believes u%d is %q, want %q", r, i, j, got, want)
				}
			}
		}
	}
}

func note(view map[string]string, lines []string) {
	for _, l := range lines {
		for k := range l {
			if l[k] == ' ' {
				view[l[:k]] = l[k+1:]
				break
			}
		}
	}
}

// While a client is inactive only the newest presence of a sender is kept (XEP-0352 §5).
func TestUpdate_inactiveClientGetsTheNewest(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.friends([2]jid.JID{alice, bob})
	a, b := w.online("alice/a"), w.online("bob/b")
	b.got()
	b.Switch(func(f *session.Flags) { f.Inactive = true })
	for i := range 5 {
		a.must(a.says(fmt.Sprintf("<presence><status>%d</status></presence>", i)))
	}
	b.want("held back")
	b.Switch(func(f *session.Flags) { f.Inactive = false })
	b.want("active again", "alice/a available 4")
}

// RFC 6121 §4.3.2: the contact's own roster decides, not what the user's says.
func TestUpdate_rostersThatDisagree(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.friends([2]jid.JID{alice, bob})
		err := w.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE roster_item SET subscription = 'none' WHERE owner = $1", bob.String())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.online("bob/b")
		a := w.bind("alice/a")
		a.must(a.says(`<presence/>`))
		a.want("bob does not show himself", "alice/a available")
	})
}

// XEP-0398 §4: a presence that is changed from within reaches whoever sees it, of
// available sessions only, and later probes find the new one.
func TestRevise_tellsSubscribers(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.friends([2]jid.JID{alice, bob})
		a, b := w.online("alice/a"), w.online("bob/b")
		quiet := w.bind("alice/quiet")
		a.got()
		err := w.Revise(context.Background(), alice, func(st *stanza.Stanza) *stanza.Stanza {
			next := *st
			return next.Add(elem.New(stanza.Space, "status").SetText("new"))
		})
		if err != nil {
			t.Fatal(err)
		}
		b.want("a contact", "alice/a available new")
		a.want("itself", "alice/a available new")
		quiet.want("not available")
		c := w.online("alice/c")
		c.must(c.says(`<presence/>`))
		b.got()
		b.must(b.says(`<presence to="alice@acme.test/a" type="probe"/>`))
		b.want("a probe", "alice/a available new")
		if err := w.Revise(context.Background(), alice, func(*stanza.Stanza) *stanza.Stanza { return nil }); err != nil {
			t.Fatal(err)
		}
		b.want("nothing changed")
	})
}
