package presence

import (
	"context"
	"fmt"
	"testing"

	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// crowd is n people online, each with k contacts, in rings.
func crowd(t testing.TB, n, k int) (*world, []*client) {
	t.Helper()
	w := newWorld(t, storetest.SQLite(t))
	who := func(i int) jid.JID { return jid.MustParse(fmt.Sprintf("u%d@acme.test", i%n)) }
	var pairs []roster.Pair
	for i := range n {
		for d := 1; d <= k/2; d++ {
			pairs = append(pairs, roster.Pair{A: who(i), B: who(i + d)})
		}
	}
	if err := w.rosters.Seed(context.Background(), pairs); err != nil {
		t.Fatal(err)
	}
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = w.bind(fmt.Sprintf("u%d/r", i))
		clients[i].must(clients[i].says(`<presence/>`))
	}
	for _, c := range clients {
		c.got()
	}
	return w, clients
}

// HARDENING M7: a presence of somebody online asks the database nothing.
func TestUpdate_noQueryPerBroadcast(t *testing.T) {
	w, clients := crowd(t, 8, 4)
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	clients[0].must(clients[0].says(`<presence><status>x</status></presence>`))
	clients[1].want("a contact", "u0/r available x")
	clients[1].must(clients[1].says(`<presence to='u5@acme.test'/>`))
	clients[5].want("directed", "u1/r available")
	late := w.bind("u0/late")
	late.must(late.says(`<presence/>`))
	late.wantAny("probes too", "u0/late available", "u0/r available x", "u1/r available", "u2/r available",
		"u6/r available", "u7/r available")
}

// What the judge needs is in memory before it is asked under a lock.
func TestUpdate_judgeAsksNoDatabase(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.friends([2]jid.JID{alice, bob})
	ready := map[jid.JID]bool{}
	w.cfg.Ready = func(_ context.Context, a jid.JID) error { ready[a] = true; return nil }
	asked := 0
	w.cfg.May = func(from, to jid.JID) bool {
		asked++
		if !ready[from.Bare()] || !ready[to.Bare()] {
			t.Errorf("asked about %s and %s, ready are %v", from, to, ready)
		}
		return true
	}
	a := w.bind("alice/a")
	a.must(a.says(`<presence/>`))
	b := w.bind("bob/b")
	b.must(b.says(`<presence/>`))
	b.drop()
	if asked == 0 {
		t.Error("the judge was not asked")
	}
}

// A broadcast allocates per contact who is there one frame and its bytes.
func TestUpdate_allocations(t *testing.T) {
	const k = 20
	w, clients := crowd(t, 2*k, k)
	st := readStanza(t, `<presence><show>away</show><priority>1</priority></presence>`)
	st.From = clients[0].JID()
	n := testing.AllocsPerRun(20, func() {
		if _, err := w.Update(context.Background(), clients[0].Session, st); err != nil {
			t.Fatal(err)
		}
	})
	// Frame, its bytes and the growth of the recipient's queue, for k contacts and oneself; parsing the priority.
	if limit := float64(4*(k+1) + 30); n > limit {
		t.Errorf("%v allocations for %d contacts, want at most %v", n, k, limit)
	}
}

// BenchmarkStorm is one person of 2,000 coming, with 20 contacts who are all there.
func BenchmarkStorm(b *testing.B) {
	w, clients := crowd(b, 2000, 20)
	in := readStanza(b, `<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://x.test' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>`)
	var sink int
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c := clients[i%len(clients)]
		in.From = c.JID()
		if _, err := w.Update(context.Background(), c.Session, in); err != nil {
			b.Fatal(err)
		}
		if i++; i%400 == 0 {
			b.StopTimer()
			for _, c := range clients {
				for {
					fr := c.Take(c.wire, make([]*session.Frame, 0, 64))
					if len(fr) == 0 {
						break
					}
					sink += len(fr)
					c.Wrote(c.wire)
				}
			}
			b.StartTimer()
		}
	}
	b.ReportMetric(float64(sink)/float64(i), "frames/op")
}
