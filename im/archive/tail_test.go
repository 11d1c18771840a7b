package archive

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

var tailSeed = flag.Uint64("tail-seed", 1, "seed of TestTail_asIfIndexedAtOnce")

// model is an archive that has no tail: what each owner must see.
type model struct {
	seen map[string][]session.Pos // by owner
	with map[string][]session.Pos // by owner and other side
	sent map[Sending]session.Pos
}

// At any moment, and after any restart, the archive answers as if each record were in view, place and sending
// at once.
func TestTail_asIfIndexedAtOnce(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		t.Logf("-tail-seed=%d", *tailSeed)
		rnd := rand.New(rand.NewPCG(*tailSeed, 0))
		a, c := open(t, db)
		people := []jid.JID{alice, bob, carol, jid.MustParse("dave@x.test/1")}
		m := model{map[string][]session.Pos{}, map[string][]session.Pos{}, map[Sending]session.Pos{}}
		var sendings []Sending
		for step := range 300 {
			switch n := rnd.IntN(10); {
			case n < 5:
				es := make([]*Entry, 1+rnd.IntN(4))
				for i := range es {
					from := people[rnd.IntN(len(people))]
					to := people[rnd.IntN(len(people))].Bare()
					es[i] = entry(from, to, fmt.Sprint(step, i))
					if from.Bare() == to {
						es[i].Views = es[i].Views[:1]
					}
					switch {
					case len(sendings) > 0 && rnd.IntN(4) == 0:
						es[i].Dedup = sendings[rnd.IntN(len(sendings))]
					case rnd.IntN(2) == 0:
						copy(es[i].Dedup[:], fmt.Sprintf("%04d-%04d", rnd.IntN(10), len(sendings)))
						sendings = append(sendings, es[i].Dedup)
					}
				}
				add(t, a, es...)
				m.append(t, es)
			case n == 5:
				a.tail.begin(0, c.t.Add(time.Hour))
			case n == 6:
				if a.tail.begin(0, c.t.Add(time.Hour)) {
					if err := a.indexSome(t.Context(), 1+rnd.IntN(9)); err != nil {
						t.Fatal(err)
					}
				}
			case n == 7:
				if rnd.IntN(3) == 0 {
					if err := a.indexAll(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				b, err := Open(t.Context(), db, c.now) // as after kill -9, or after a clean end
				if err != nil {
					t.Fatal(err)
				}
				a = b
			default:
				m.compare(t, a, people[rnd.IntN(len(people))].Bare(), people[rnd.IntN(len(people))].Bare())
			}
			c.t = c.t.Add(time.Second)
		}
		if err := a.indexAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := a.tail.cur.records; left != 0 || a.tail.old != nil {
			t.Errorf("%d records are not indexed at the end", left)
		}
		for _, p := range people {
			m.compare(t, a, p.Bare(), bob)
		}
	})
}

func (m *model) append(t *testing.T, es []*Entry) {
	t.Helper()
	for _, e := range es {
		if first, again := m.sent[e.Dedup]; again != e.Again || again && first != e.Pos {
			t.Fatalf("sending %q: again %v at %s, first at %s", e.Dedup, e.Again, e.Pos, first)
		}
		if e.Again {
			continue
		}
		if !e.Dedup.IsZero() {
			m.sent[e.Dedup] = e.Pos
		}
		for _, v := range e.Views {
			other := e.Recipient.Bare()
			if other == v.Owner {
				other = e.Sender.Bare()
			}
			m.seen[v.Owner.String()] = append(m.seen[v.Owner.String()], e.Pos)
			with := v.Owner.String() + " " + other.String()
			m.with[with] = append(m.with[with], e.Pos)
		}
	}
}

func (m *model) compare(t *testing.T, a *Archive, owner, other jid.JID) {
	t.Helper()
	positions := func(q Query) (out []session.Pos) {
		q.Owner, q.Max = owner, 10_000
		for _, k := range read(t, a, q).Messages {
			out = append(out, k.Pos)
		}
		return out
	}
	if got, want := positions(Query{}), m.seen[owner.String()]; !slices.Equal(got, want) {
		t.Fatalf("%s sees %v, want %v", owner, got, want)
	}
	if got, want := positions(Query{With: other}), m.with[owner.String()+" "+other.String()]; !slices.Equal(got, want) {
		t.Fatalf("%s sees with %s %v, want %v", owner, other, got, want)
	}
}

// The conversation's count goes on whether its last record is indexed, in the tail or forgotten by the cache.
func TestTail_conversationSequence(t *testing.T) {
	a, _ := open(t, storetest.SQLite(t))
	for i := range 5 {
		add(t, a, entry(alice, bob, fmt.Sprint(i)))
		clear(a.convs)
		if i == 2 {
			if err := a.indexAll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	var n, last int64
	err := a.db.Read(t.Context(), func(tx *store.Tx) error {
		return tx.Row(`SELECT count(DISTINCT conv_seq), max(conv_seq) FROM record`).Scan(&n, &last)
	})
	if err != nil || n != 5 || last != 5 {
		t.Errorf("%d places up to %d, %v; want 1 to 5", n, last, err)
	}
}

// An append takes along a piece of the run under way, and moves the mark with the last one.
func TestTail_goesAlongWithAppends(t *testing.T) {
	a, c := open(t, storetest.SQLite(t))
	for i := range 100 {
		add(t, a, entry(alice, bob, fmt.Sprint(i)))
	}
	c.t = c.t.Add(runAge + time.Second) // old enough to begin
	for i := 0; a.tail.old != nil || i == 0; i++ {
		if i > 100 {
			t.Fatal("the run does not end")
		}
		add(t, a, entry(bob, alice, "next"))
	}
	var indexed, views int64
	err := a.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		if indexed, err = mark(tx, "indexed"); err != nil {
			return err
		}
		return tx.Row(`SELECT count(*) FROM view`).Scan(&views)
	})
	if err != nil || indexed < 100 || views < 200 {
		t.Errorf("indexed up to %d with %d views, %v", indexed, views, err)
	}
	// The index of messages that nothing follows is written by the clock.
	c.t = c.t.Add(runAge + time.Second)
	if !a.tail.begin(runLength, c.t.Add(-runAge)) {
		t.Error("an old tail is not begun")
	}
}

// A record with several thousand views of one owner is not written in one piece.
func TestTail_slicesAreBounded(t *testing.T) {
	tl := newTail()
	var rs []indexed
	for i := range 1000 {
		rs = append(rs, indexed{pos: session.Pos(i + 1), conv: 1, seq: int64(i + 1), views: []ownerFlags{{"room@x.test", 1}}})
	}
	tl.add(time.Now(), rs)
	tl.begin(0, time.Now().Add(time.Hour))
	total, slices := 0, 0
	for c := tl.slice(64); c != nil; c = tl.slice(64) {
		if c.rows() > 64 {
			t.Fatalf("a slice of %d rows", c.rows())
		}
		total, slices = total+c.rows(), slices+1
		tl.drop(c)
	}
	if total != 2000 || slices < 2000/64 {
		t.Errorf("%d rows in %d slices, want 1000 views and 1000 places", total, slices)
	}
}

// Index ends with its context and has then written everything.
func TestIndex_writesTheRestAtTheEnd(t *testing.T) {
	a, _ := open(t, storetest.SQLite(t))
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { ended <- a.Index(ctx, slog.New(slog.DiscardHandler)) }()
	add(t, a, entry(alice, bob, "1"), entry(bob, alice, "2"))
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if a.tail.cur.records != 0 || a.tail.old != nil {
		t.Error("something is left in the tail")
	}
}

func TestViewsText_roundTrip(t *testing.T) {
	room := jid.MustParse("room@x.test")
	for _, views := range [][]View{nil, {{bob, 3}, {alice.Bare(), 1}}, {{bob, 2}}, {{room, 1}, {bob, 3}}} {
		e := &Entry{Sender: alice, Recipient: bob, Views: views}
		got, err := parseViews(viewsText(e), alice.String(), bob.String())
		if err != nil || !slices.Equal(got, ownersOf(e)) && len(got)+len(views) > 0 {
			t.Errorf("%v became %q, then %v, %v", views, viewsText(e), got, err)
		}
	}
	for _, bad := range []string{"x>", "9>", "3"} {
		if _, err := parseViews(bad, "a", "b"); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
