package presence

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// paced is a world whose accounts may make others get so many bytes a second, with
// timers that fire when the test says so.
type paced struct {
	*world
	timers []timer
}

type timer struct {
	at time.Time
	fn func()
}

func newPaced(t testing.TB, rate int64) *paced {
	t.Helper()
	w := &paced{world: newWorld(t, storetest.SQLite(t))}
	cfg := w.cfg
	cfg.Rate = rate
	cfg.After = func(d time.Duration, fn func()) func() bool {
		at := w.cfg.Now().Add(d)
		w.timers = append(w.timers, timer{at, fn})
		return func() bool {
			n := len(w.timers)
			w.timers = slices.DeleteFunc(w.timers, func(x timer) bool { return x.at.Equal(at) })
			return len(w.timers) < n
		}
	}
	w.Flow = New(cfg)
	return w
}

// later lets time pass and what is due happen.
func (w *paced) later(d time.Duration) {
	w.t.Helper()
	w.mu.Lock()
	w.now = w.now.Add(d)
	now := w.now
	w.mu.Unlock()
	var due []timer
	w.timers = slices.DeleteFunc(w.timers, func(x timer) bool {
		if x.at.After(now) {
			return false
		}
		due = append(due, x)
		return true
	})
	for _, x := range due {
		x.fn()
	}
}

// broke has somebody say presence until it waits: c hears no more of it.
func (w *paced) broke(a, c *client) {
	w.t.Helper()
	for i := range 1000 {
		a.must(a.says(fmt.Sprintf(`<presence><status>%d</status></presence>`, i)))
		a.got()
		if len(c.got()) == 0 {
			return
		}
	}
	w.t.Fatal("a thousand presences went out at once")
}

// HARDENING M7: who says presence without end is heard as often as is granted, and the
// last of it counts; whoever asks meanwhile hears what holds.
func TestPace_lastPresenceWins(t *testing.T) {
	w := newPaced(t, 1000)
	w.friends([2]jid.JID{alice, bob}, [2]jid.JID{alice, carol}, [2]jid.JID{bob, carol})
	b, c := w.online("bob/b"), w.online("carol/c")
	a := w.online("alice/a")
	b.got()
	c.got()
	w.broke(a, b)
	c.got()
	for i := range 50 {
		a.must(a.says(fmt.Sprintf(`<presence><status>late %d</status></presence>`, i)))
	}
	b.want("while it waits")
	b.must(b.says(`<presence to='alice@acme.test' type='probe'/>`))
	b.want("a probe meanwhile", "alice/a available late 49")
	b.must(b.says(`<presence><status>honest</status></presence>`))
	c.want("an honest contact meanwhile", "bob/b available honest")
	a.want("who waits hears others", "bob/b available honest")
	if n := len(w.timers); n != 1 {
		t.Errorf("%d timers", n)
	}
	w.later(5 * time.Second)
	b.got()
	c.want("then", "alice/a available late 49")
	a.want("oneself, too", "alice/a available late 49")
	if n := len(w.timers); n != 0 {
		t.Errorf("%d timers when nothing waits", n)
	}
	w.later(time.Hour)
	c.want("and no more")
	a.must(a.says(`<presence><status>again</status></presence>`))
	c.want("at once again", "alice/a available again")
}

// What a session says last may be that it is gone; whoever came meanwhile is greeted then.
func TestPace_comingAndGoing(t *testing.T) {
	w := newPaced(t, 1000)
	w.friends([2]jid.JID{alice, bob})
	b := w.online("bob/b")
	a := w.online("alice/a")
	b.got()
	w.broke(a, b)
	a.must(a.says(`<presence type='unavailable'/>`))
	a.got()
	b.want("while it waits")
	w.later(5 * time.Second)
	b.want("gone", "alice/a unavailable")

	a.must(a.says(`<presence/>`))
	b.want("back", "alice/a available")
	a.wantAny("back", "alice/a available", "bob/b available")
	w.broke(a, b)
	a.drop()
	again := w.bind("alice/a")
	again.must(again.says(`<presence><status>new</status></presence>`))
	again.want("is not greeted yet")
	w.later(5 * time.Second)
	b.want("the new session alone", "alice/a available new")
	again.wantAny("greeted", "alice/a available new", "bob/b available")
	w.broke(again, b)
	again.drop()
	w.later(5 * time.Second)
	b.want("ended without a word", "alice/a unavailable")
	w.broke(w.online("alice/b"), b)
	w.Stop()
	if n := len(w.timers); n != 0 {
		t.Errorf("%d timers run on", n)
	}
}

// HARDENING M7, probe storms: one probe shows all devices of a contact. Who has nothing to
// spend is answered later, once.
func TestPace_probes(t *testing.T) {
	w := newPaced(t, 1000)
	w.friends([2]jid.JID{alice, bob})
	for i := range 5 {
		w.online(fmt.Sprintf("bob/%d", i))
	}
	a := w.online("alice/a")
	shown := 0
	for range 1000 {
		a.must(a.says(`<presence to='bob@acme.test' type='probe'/>`))
		shown += len(a.got())
	}
	if most := paceBurst*1000/50 + 5; shown == 0 || shown > most {
		t.Errorf("%d presences for 1,000 probes, at most %d are paid for", shown, most)
	}
	w.later(10 * time.Second)
	if n := len(a.got()); n != 5 {
		t.Errorf("%d presences later, want those of five devices once", n)
	}
}

// HARDENING M7: a second of presence costs what is granted, whatever is said; and a
// presence exists once, however many get it.
func TestPace_fanoutBytes(t *testing.T) {
	const contacts, rate, seconds = 100, 10_000, 40
	w := newPaced(t, rate)
	who := func(i int) jid.JID { return jid.MustParse(fmt.Sprintf("u%d@acme.test", i)) }
	var pairs []roster.Pair
	for i := range contacts {
		pairs = append(pairs, roster.Pair{A: alice, B: who(i)})
	}
	if err := w.rosters.Seed(context.Background(), pairs); err != nil {
		t.Fatal(err)
	}
	var all []*client
	for i := range contacts {
		all = append(all, w.online(fmt.Sprintf("u%d/r", i)))
	}
	a := w.online("alice/a")
	bytes, one := 0, 0
	hear := func() {
		seen := map[*session.Frame]bool{}
		for _, c := range append(all, a) {
			for frames := c.Take(c.wire, make([]*session.Frame, 0, 64)); len(frames) > 0; frames = c.Take(c.wire, make([]*session.Frame, 0, 64)) {
				for _, f := range frames {
					bytes += len(f.AppendTo(nil, c.JID()))
					one = max(one, len(f.Bytes)*(contacts+1))
					seen[f] = true
				}
				c.Wrote(c.wire)
			}
		}
		if len(seen) > 1 {
			t.Fatalf("%d encodings of one presence", len(seen))
		}
	}
	hear()
	bytes = 0
	for i := range 50 * seconds {
		show := []string{"away", "xa", "dnd", "chat"}[i%4]
		a.must(a.says(fmt.Sprintf(`<presence><show>%s</show><status>%d</status></presence>`, show, i)))
		hear()
		w.later(time.Second / 50)
		hear()
	}
	if most := rate*(seconds+paceBurst) + one; bytes > most {
		t.Errorf("%d bytes in %d seconds, granted are %d", bytes, seconds, most)
	}
	if least := rate * seconds / 2; bytes < least {
		t.Errorf("%d bytes in %d seconds: what is granted is not used", bytes, seconds)
	}
	t.Logf("%d presences to %d contacts: %d KiB, %.1f of what is granted", 50*seconds, contacts, bytes>>10, float64(bytes)/(rate*seconds))
}

// What everybody could spend again is forgotten.
func TestPace_forgets(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	p := newPace(1000, func() time.Time { return now }, nil)
	for i := range 10_000 {
		p.spend(jid.MustParse(fmt.Sprintf("u%d@acme.test", i)), 100)
		now = now.Add(time.Millisecond)
	}
	if n := len(p.accounts); n > 2000 {
		t.Errorf("%d accounts are remembered", n)
	}
}
