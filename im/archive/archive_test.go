package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/search"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	alice = jid.MustParse("alice@x.test/phone")
	bob   = jid.MustParse("bob@x.test")
	carol = jid.MustParse("carol@x.test")
)

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func open(t testing.TB, db *store.DB) (*Archive, *clock) {
	t.Helper()
	if err := db.Migrate(t.Context(), []store.Migrations{Migrations(), search.Migrations()}); err != nil {
		t.Fatal(err)
	}
	c := &clock{time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}
	a, err := Open(t.Context(), db, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

func entry(from, to jid.JID, text string) *Entry {
	return &Entry{Conversation: Pair(from, to), Sender: from, Recipient: to,
		Stanza: []byte("<message><body>" + text + "</body></message>"),
		Views:  []View{{to.Bare(), Shown | Keep}, {from.Bare(), Shown}}}
}

func add(t testing.TB, a *Archive, es ...*Entry) {
	t.Helper()
	if err := a.Append(t.Context(), es); err != nil {
		t.Fatal(err)
	}
}

func texts(p Page) (out []string) {
	for _, k := range p.Messages {
		out = append(out, string(k.Stanza[len("<message><body>"):len(k.Stanza)-len("</body></message>")]))
	}
	return out
}

func read(t *testing.T, a *Archive, q Query) Page {
	t.Helper()
	p, err := a.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAppend_positionsAndConversationSequences(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		es := []*Entry{entry(alice, bob, "1"), entry(alice, carol, "2"), entry(bob, alice, "3")}
		add(t, a, es...)
		add(t, a, entry(alice, bob, "4"))
		again, err := Open(t.Context(), db, a.now) // the writer's state comes from the tables
		if err != nil {
			t.Fatal(err)
		}
		add(t, again, entry(alice, bob, "5"))
		var got string
		err = db.Read(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT r.pos, c.key, r.conv_seq, r.at, r.sender, r.recipient, r.stanza, r.salt, r.seal
				FROM record r JOIN conversation c ON c.id = r.conv ORDER BY r.pos`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var pos, seq, at int64
				var key, from, to string
				var st, salt, seal []byte
				if err := rows.Scan(&pos, &key, &seq, &at, &from, &to, &st, &salt, &seal); err != nil {
					return err
				}
				if want := Seal(salt, at, from, to, st); string(want[:]) != string(seal) {
					t.Errorf("record %d: its seal does not fit its content", pos)
				}
				got += fmt.Sprintf("%d %s %d\n", pos, key, seq)
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		want := "1 alice@x.test bob@x.test 1\n2 alice@x.test carol@x.test 1\n3 alice@x.test bob@x.test 2\n" +
			"4 alice@x.test bob@x.test 3\n5 alice@x.test bob@x.test 4\n"
		if got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

// PRODUCT: sending again is safe, the same id is stored once.
func TestAppend_sentAgainIsKeptOnce(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		mk := func(id string) *Entry {
			e := entry(alice, bob, "m"+id)
			copy(e.Dedup[:], "dedup-"+id)
			return e
		}
		first := mk("1")
		add(t, a, first, mk("2"))
		twice, new3 := mk("1"), mk("3")
		inBatch := mk("3")
		add(t, a, twice, new3, inBatch, entry(alice, bob, "plain"))
		if !twice.Again || twice.Pos != first.Pos {
			t.Errorf("sent again: again %v at %s, first at %s", twice.Again, twice.Pos, first.Pos)
		}
		if new3.Again || !inBatch.Again || inBatch.Pos != new3.Pos {
			t.Errorf("twice in one batch: %v %v", new3, inBatch)
		}
		p := read(t, a, Query{Owner: bob, Max: 10})
		if got := fmt.Sprint(texts(p)); got != "[m1 m2 m3 plain]" {
			t.Errorf("archive has %s", got)
		}
	})
}

func TestAppend_heldIsSeenByNobody(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		e := entry(alice, bob, "secret")
		e.Held, e.Waiting = true, bob
		add(t, a, e)
		if p := read(t, a, Query{Owner: bob, Max: 10}); len(p.Messages) != 0 {
			t.Errorf("a held message is shown: %v", texts(p))
		}
		if n, err := a.WaitingCount(t.Context(), bob); err != nil || n != 0 {
			t.Errorf("%d wait, %v", n, err)
		}
		if e.Pos != 1 {
			t.Errorf("it has position %s, want 1: it is in the record", e.Pos)
		}
	})
}

// XEP-0313 §4.3: paging forwards and backwards, filters, order.
func TestRead_pages(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, c := open(t, db)
		start := c.t
		for i := range 10 {
			to := bob
			if i%2 == 1 {
				to = carol
			}
			add(t, a, entry(alice, to, fmt.Sprint(i)))
			c.t = c.t.Add(time.Minute)
		}
		own := alice.Bare()
		cases := []struct {
			name     string
			q        Query
			want     string
			complete bool
		}{
			{"first page", Query{Max: 3}, "[0 1 2]", false},
			{"next page", Query{Max: 3, After: 3}, "[3 4 5]", false},
			{"last page", Query{Max: 3, Backwards: true}, "[7 8 9]", false},
			{"page before", Query{Max: 3, Backwards: true, Before: 8}, "[4 5 6]", false},
			{"exactly the rest", Query{Max: 3, After: 7}, "[7 8 9]", true},
			{"with one", Query{Max: 9, With: bob}, "[0 2 4 6 8]", true},
			{"with one, backwards", Query{Max: 2, With: carol, Backwards: true}, "[7 9]", false},
			{"with a resource nobody used", Query{Max: 9, With: jid.MustParse("bob@x.test/q")}, "[]", true},
			{"with a stranger", Query{Max: 9, With: jid.MustParse("z@x.test")}, "[]", true},
			{"from a time", Query{Max: 9, Start: start.Add(8 * time.Minute)}, "[8 9]", true},
			{"to a time", Query{Max: 9, End: start.Add(90 * time.Second)}, "[0 1]", true},
			{"after the end", Query{Max: 9, Start: start.Add(time.Hour)}, "[]", true},
			{"two messages cut by bytes", Query{Max: 9, MaxBytes: 70}, "[0 1]", false},
			{"one message whatever its size", Query{Max: 9, MaxBytes: 1}, "[0]", false},
			{"ids", Query{Max: 9, IDs: []session.Pos{9, 2}}, "[1 8]", true},
		}
		for _, tc := range cases {
			tc.q.Owner = own
			p := read(t, a, tc.q)
			if got := fmt.Sprint(texts(p)); got != tc.want || p.Complete != tc.complete {
				t.Errorf("%s: %s complete %v, want %s %v", tc.name, got, p.Complete, tc.want, tc.complete)
			}
		}
		// XEP-0313 §4.3.1: what is not in this archive is an error.
		for _, q := range []Query{{Owner: own, Max: 3, After: 99}, {Owner: bob, Max: 3, Before: 2}, {Owner: bob, Max: 9, IDs: []session.Pos{2}}} {
			if _, err := a.Read(t.Context(), q); !errors.Is(err, ErrNotFound) {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}

func TestLedger_unconfirmedWaitsTakenDoesNot(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, c := open(t, db)
		var fanned session.Pos
		l := NewLedger(a, func() session.Pos { return fanned }, slog.New(slog.DiscardHandler))
		mk := func() *session.Frame {
			e := entry(alice, bob, "x")
			add(t, a, e)
			f := &session.Frame{Bytes: []byte("x"), Pos: e.Pos, Offline: true, Urgent: true}
			l.Track(bob, f)
			fanned = e.Pos
			return f
		}
		w := nobody{}
		s := session.New(jid.MustParse("bob@x.test/r"), session.DefaultLimits, l, w, c.t)
		taken, held, lost := mk(), mk(), mk()
		s.Push(taken)
		s.Take(w, make([]*session.Frame, 0, 1))
		s.Wrote(w)
		s.Push(held)
		waiting := func() string {
			t.Helper()
			ks, err := a.Waiting(t.Context(), bob, 0, 1000, 10)
			if err != nil {
				t.Fatal(err)
			}
			var out []session.Pos
			for _, k := range ks {
				out = append(out, k.Pos)
			}
			return fmt.Sprint(out)
		}
		if err := l.Sync(t.Context(), bob); err != nil {
			t.Fatal(err)
		}
		if got := waiting(); got != fmt.Sprint([]session.Pos{lost.Pos}) {
			t.Errorf("after Sync %s wait; want the one no connected session holds", got)
		}
		old := c.t.Add(time.Hour)
		if err := l.settle(t.Context(), func(e tracked) bool { return e.since.Before(old) }, true); err != nil {
			t.Fatal(err)
		}
		if got := waiting(); got != "[2 3]" {
			t.Errorf("after patience %s wait, want [2 3]", got)
		}
		s.Take(w, make([]*session.Frame, 0, 1))
		s.Wrote(w) // confirmed after all: struck out
		if err := l.settle(t.Context(), func(tracked) bool { return false }, true); err != nil {
			t.Fatal(err)
		}
		if got := waiting(); got != "[3]" {
			t.Errorf("after a late confirmation %s wait, want [3]", got)
		}
		if l.settled != 3 {
			t.Errorf("settled up to %s, want 3", l.settled)
		}
		_ = lost
	})
}

type nobody struct{ session.Wire }

func (nobody) Wake() {}

// A crash between delivery and settlement: what was not settled waits.
func TestOpen_afterACrashUnsettledMessagesWait(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		add(t, a, entry(alice, bob, "1"), entry(bob, alice, "2"))
		b, err := Open(t.Context(), db, a.now)
		if err != nil {
			t.Fatal(err)
		}
		for owner, want := range map[jid.JID]int64{bob: 1, alice.Bare(): 1} {
			if n, err := b.WaitingCount(t.Context(), owner); err != nil || n != want {
				t.Errorf("%s: %d wait (%v), want %d", owner, n, err, want)
			}
		}
		if err := b.Skip(t.Context(), bob, 0, b.Last()); err != nil {
			t.Fatal(err)
		}
		if n, _ := b.WaitingCount(t.Context(), bob); n != 0 {
			t.Errorf("%d wait after Skip", n)
		}
		c, err := Open(t.Context(), db, a.now) // settled now: nothing comes back
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := c.WaitingCount(t.Context(), bob); n != 0 {
			t.Errorf("%d wait again after a clean start", n)
		}
	})
}

func TestAppend_clockStepsBack(t *testing.T) {
	a, c := open(t, storetest.SQLite(t))
	first, second, third := entry(alice, bob, "1"), entry(alice, bob, "2"), entry(alice, bob, "3")
	add(t, a, first)
	c.t = c.t.Add(-time.Minute)
	add(t, a, second)
	if second.At.Before(first.At) {
		t.Error("a small step back of the clock shows in the archive")
	}
	c.t = c.t.Add(-24 * time.Hour)
	add(t, a, third)
	if !third.At.Equal(c.t) {
		t.Errorf("after a large step the clock is not believed: %s", third.At)
	}
}

func TestAppend_failureLeavesNothing(t *testing.T) {
	a, _ := open(t, storetest.SQLite(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Append(ctx, []*Entry{entry(alice, bob, "1")}); err == nil {
		t.Fatal("no error from a cancelled append")
	}
	e := entry(alice, bob, "2")
	add(t, a, e)
	if e.Pos != 1 {
		t.Errorf("position %s after a failed append, want 1: no gaps", e.Pos)
	}
}

// PRODUCT: sending again is safe. What may have been kept when it was sent first is not refused while nobody can tell.
func TestAppend_failureAfterAnUnknownOutcome(t *testing.T) {
	a, _ := open(t, storetest.SQLite(t))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	mk := func(id string) *Entry {
		e := entry(alice, bob, id)
		copy(e.Dedup[:], id)
		return e
	}
	kept, lost, fresh := mk("kept"), mk("lost"), mk("fresh")
	add(t, a, kept)
	a.doubt[lost.Dedup] = struct{}{}
	for _, e := range []*Entry{mk("kept"), lost} {
		if err := a.Append(gone, []*Entry{e}); !errors.Is(err, ErrBefore) {
			t.Errorf("%q: %v, want that it may have been kept before", e.Dedup[:4], err)
		}
	}
	if err := a.Append(gone, []*Entry{fresh}); err == nil || errors.Is(err, ErrBefore) || errors.Is(err, ErrUnknown) {
		t.Errorf("a new one: %v, want a plain failure", err)
	}
	add(t, a, lost) // the archive can be asked: it was not there
	if err := a.Append(gone, []*Entry{mk("other")}); len(a.doubt) != 0 || errors.Is(err, ErrBefore) {
		t.Errorf("%d are still in doubt, %v", len(a.doubt), err)
	}
}

func TestMigrations_areDated(t *testing.T) {
	names, err := fs.Glob(Migrations().FS, "2026*_*.sql")
	if err != nil || len(names) == 0 {
		t.Errorf("%v %v", names, err)
	}
}

// The mark says up to where a crash need not look. Also the very first message of a data set is behind it while it is
// with a session that has not confirmed it.
func TestLedger_markStaysBehindWhatIsOpen(t *testing.T) {
	a, _ := open(t, storetest.SQLite(t))
	first, second := entry(alice, bob, "1"), entry(alice, bob, "2")
	add(t, a, first, second)
	l := NewLedger(a, a.Last, slog.New(slog.DiscardHandler))
	l.settled = 0 // as it was before they were sent
	l.Track(bob, &session.Frame{Pos: first.Pos, Offline: true})
	l.Track(bob, &session.Frame{Pos: second.Pos, Offline: true})
	if _, _, mark := l.collect(func(tracked) bool { return false }); mark != 0 {
		t.Errorf("both open: settled up to %s, want 0", mark)
	}
	if _, _, mark := l.collect(func(e tracked) bool { return e.pos == second.Pos }); mark != 0 {
		t.Errorf("the first open: settled up to %s, want 0", mark)
	}
	if park, _, mark := l.collect(func(e tracked) bool { return e.pos == first.Pos }); mark != 1 || len(park) != 1 {
		t.Errorf("the second open: settled up to %s, want 1", mark)
	}
}

// HARDENING F6: the database is gone when the server stops. That is not this process's failure, and what nobody
// confirmed waits after the next start.
func TestLedger_databaseGoneAtTheEnd(t *testing.T) {
	storetest.RunDSN(t, func(t *testing.T, dsn string) {
		db, err := store.Open(t.Context(), store.Options{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		a, _ := open(t, db)
		log := &strings.Builder{}
		l := NewLedger(a, a.Last, slog.New(slog.NewTextHandler(log, nil)))
		add(t, a, entry(alice, bob, "1"))
		l.Track(bob, &session.Frame{Pos: 1})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.last(t.Context(), time.Millisecond); err != nil || !strings.Contains(log.String(), "can't be reached") {
			t.Errorf("%v; the log says %q", err, log)
		}
		done, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Index(done, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("index: %v", err)
		}
		again := storetest.Open(t, dsn)
		if _, err := Open(t.Context(), again, time.Now); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := again.Read(t.Context(), func(tx *store.Tx) error {
			return tx.Row("SELECT COUNT(*) FROM waiting WHERE owner = 'bob@x.test' AND pos = 1").Scan(&n)
		}); err != nil || n != 1 {
			t.Errorf("%d rows wait, %v", n, err)
		}
	})
}
