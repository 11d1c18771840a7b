package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// world is a path on a real archive, with accounts and presence that are not
// under test here.
type world struct {
	t    *testing.T
	db   *store.DB
	path *Path
	arch *archive.Archive
	rt   *route.Table
	stop func()
}

// plainPresence only notes what a session announces.
type plainPresence struct{}

func (plainPresence) Update(_ context.Context, s *session.Session, st *stanza.Stanza) (bool, error) {
	old := s.SetPresence(session.Presence{Available: st.Type == stanza.Available})
	return !old.Available, nil
}
func (plainPresence) Direct(context.Context, *session.Session, *stanza.Stanza) error { return nil }
func (plainPresence) Subscription(context.Context, *session.Session, *stanza.Stanza) error {
	return nil
}
func (plainPresence) Probe(context.Context, *stanza.Stanza) error { return nil }
func (plainPresence) Gone(context.Context, *session.Session)      {}

type everybody struct{}

func (everybody) Exists(context.Context, jid.JID) (bool, error) { return true, nil }

type allowAll struct{}

func (allowAll) Judge(context.Context, *stanza.Stanza) Verdict { return Verdict{} }

func newWorld(t *testing.T, db *store.DB, lim session.Limits) *world {
	t.Helper()
	if err := db.Migrate(t.Context(), []store.Migrations{archive.Migrations()}); err != nil {
		t.Fatal(err)
	}
	return start(t, db, lim)
}

// start runs a path on a data set, as after a restart of the server.
func start(t *testing.T, db *store.DB, lim session.Limits) *world {
	t.Helper()
	w := &world{t: t, db: db}
	var err error
	if w.arch, err = archive.Open(t.Context(), db, time.Now); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	ledger := archive.NewLedger(w.arch, func() session.Pos { return w.rt.Fanned() }, log)
	w.rt = route.NewTable(route.Config{Session: lim, Sessions: 100, Ledger: ledger, Record: w.arch,
		Overflow: func(s *session.Session) { w.path.Overflow(s) }, Now: time.Now})
	w.rt.StartAt(w.arch.Last())
	w.path, err = New(Config{Judge: allowAll{}, Archive: w.arch, Ledger: ledger, Routes: w.rt, Presence: plainPresence{},
		Accounts: everybody{}, Local: func(d string) bool { return d == "x.test" }, Log: log, Now: time.Now,
		Window: time.Hour, Hibernating: 10})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	lctx, lcancel := context.WithCancel(context.Background())
	var pathDone, ledgerDone sync.WaitGroup
	pathDone.Go(func() { _ = w.path.Run(ctx) })
	ledgerDone.Go(func() {
		if err := ledger.Run(lctx); err != nil {
			t.Errorf("ledger: %v", err)
		}
	})
	var once sync.Once
	w.stop = func() {
		once.Do(func() { cancel(); pathDone.Wait(); lcancel(); ledgerDone.Wait() })
	}
	t.Cleanup(w.stop)
	return w
}

// device is a client: it confirms what it takes, and remembers it.
type device struct {
	w  *world
	s  *session.Session
	in *Inlet

	mu     sync.Mutex
	cond   *sync.Cond
	bodies []string
	all    []string // every frame, for looking at
	deaf   bool     // takes nothing any more
	read   sync.Mutex
}

func (w *world) bind(full string) *device {
	w.t.Helper()
	d := &device{w: w}
	d.cond = sync.NewCond(&d.mu)
	j := jid.MustParse(full)
	s, err := w.path.Bind(w.t.Context(), j.Bare(), j.Resource(), d)
	if err != nil {
		w.t.Fatal(err)
	}
	d.s, d.in = s, w.path.Open(s)
	return d
}

func (d *device) Wake() { go d.drain() }

func (d *device) drain() {
	d.read.Lock()
	defer d.read.Unlock()
	d.mu.Lock()
	deaf := d.deaf || d.s == nil
	d.mu.Unlock()
	if deaf {
		return
	}
	for {
		fs := d.s.Take(d, make([]*session.Frame, 0, 8))
		if len(fs) == 0 {
			return
		}
		d.s.Wrote(d) // first: what until sees is confirmed
		d.mu.Lock()
		for _, f := range fs {
			text := string(f.Bytes)
			d.all = append(d.all, text)
			if _, rest, ok := strings.Cut(text, "<body>"); ok {
				body, _, _ := strings.Cut(rest, "</body>")
				d.bodies = append(d.bodies, body)
			}
		}
		d.cond.Broadcast()
		d.mu.Unlock()
	}
}

// Kick does as an edge does: the connection is given up, then ended.
func (d *device) Kick(*stream.Error) {
	if d.s != nil {
		go d.w.path.Detach(d.s, d)
	}
}

// until waits for n bodies.
func (d *device) until(n int) []string {
	d.w.t.Helper()
	stop := time.AfterFunc(20*time.Second, func() { d.mu.Lock(); d.cond.Broadcast(); d.mu.Unlock() })
	defer stop.Stop()
	deadline := time.Now().Add(20 * time.Second)
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.bodies) < n {
		if time.Now().After(deadline) {
			d.w.t.Fatalf("%s: has %d messages, waits for %d", d.s.JID(), len(d.bodies), n)
		}
		d.cond.Wait()
	}
	return append([]string(nil), d.bodies...)
}

func (d *device) raw(doc string) {
	d.w.t.Helper()
	if err := d.in.Stanza(d.w.t.Context(), scanRaw(d.w.t, doc)); err != nil {
		d.w.t.Fatal(err)
	}
}

func (d *device) available() { d.raw("<presence ></presence>") }

func (d *device) say(to, text string) {
	d.w.t.Helper()
	d.raw(fmt.Sprintf("<message to='%s' type='chat'><body>%s</body></message>", to, text))
	if err := d.in.Flush(d.w.t.Context()); err != nil {
		d.w.t.Fatal(err)
	}
}

// XEP-0160: what was sent while nobody was there comes, in order, before what
// is sent afterwards; the first session takes it.
func TestPath_waitingComesFirstAndOnce(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, session.DefaultLimits)
		a := w.bind("a@x.test/1")
		for i := range 250 { // more than a page
			a.say("b@x.test", fmt.Sprint(i))
		}
		b := w.bind("b@x.test/1")
		b.available()
		a.say("b@x.test", "250")
		for i, got := range b.until(251) {
			if got != fmt.Sprint(i) {
				t.Fatalf("message %d is %q", i, got)
			}
		}
		if !strings.Contains(b.all[0], "<delay") || !strings.Contains(b.all[0], "<stanza-id") {
			t.Errorf("a waiting message has no delay or id: %s", b.all[0])
		}
		b2 := w.bind("b@x.test/2")
		b2.available()
		a.say("b@x.test", "for both")
		if got := b2.until(1); got[0] != "for both" {
			t.Errorf("the second device got %q: what was taken came again", got)
		}
	})
}

// What a session was given and never confirmed waits for the next one.
func TestPath_cutOffWithoutResumption(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a, b := w.bind("a@x.test/1"), w.bind("b@x.test/1")
	b.available()
	a.say("b@x.test", "1")
	b.until(1)
	b.mu.Lock()
	b.deaf = true
	b.mu.Unlock()
	a.say("b@x.test", "2")
	a.say("b@x.test/1", "3")
	w.path.Detach(b.s, b)
	again := w.bind("b@x.test/1")
	again.available()
	if got := fmt.Sprint(again.until(2)); got != "[2 3]" {
		t.Errorf("after the cut %s came, want what was not confirmed", got)
	}
}

// After a stop and a start the same, from the data set alone.
func TestPath_waitsAcrossARestart(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, session.DefaultLimits)
		a, b := w.bind("a@x.test/1"), w.bind("b@x.test/1")
		b.available()
		a.say("b@x.test", "taken")
		b.until(1)
		b.mu.Lock()
		b.deaf = true
		b.mu.Unlock()
		a.say("b@x.test", "not taken")
		a.say("c@x.test", "nobody there")
		w.stop()
		w2 := start(t, db, session.DefaultLimits)
		b2, c2 := w2.bind("b@x.test/1"), w2.bind("c@x.test/1")
		b2.available()
		c2.available()
		if got := b2.until(1); got[0] != "not taken" {
			t.Errorf("after a restart b got %q", got)
		}
		if got := c2.until(1); got[0] != "nobody there" {
			t.Errorf("after a restart c got %q", got)
		}
	})
}

// A11, XEP-0198 §5: only its own account resumes a session, and it goes on where it stopped.
func TestPath_resume(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a, b := w.bind("a@x.test/1"), w.bind("b@x.test/1")
	b.s.EnableSM("secret", true)
	b.available()
	a.say("b@x.test", "1")
	b.until(1)
	w.path.Detach(b.s, b)
	a.say("b@x.test", "2")
	next := &device{w: w, s: b.s}
	next.cond = sync.NewCond(&next.mu)
	for _, who := range []string{"a@x.test", "c@x.test"} {
		if _, err := w.path.Resume(t.Context(), jid.MustParse(who), "secret", 0, next); err == nil {
			t.Errorf("%s resumed b's session", who)
		}
	}
	if _, err := w.path.Resume(t.Context(), jid.MustParse("b@x.test"), "secret", 1, next); err != nil {
		t.Fatal(err)
	}
	next.Wake()
	if got := next.until(1); got[0] != "2" {
		t.Errorf("after resumption %q", got)
	}
	if got := w.rt.Session(jid.MustParse("b@x.test/1")); got != b.s {
		t.Error("the session is another one")
	}
}

// HARDENING F9 in small: a client that never reads loses its session, not its messages.
func TestPath_fullQueueIsHealedByTheArchive(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.Limits{Frames: 20, Bytes: 1 << 20, Held: 10})
	a, b := w.bind("a@x.test/1"), w.bind("b@x.test/1")
	b.available()
	a.say("b@x.test", "0")
	b.until(1)
	b.mu.Lock()
	b.deaf = true
	b.mu.Unlock()
	for i := 1; i <= 50; i++ {
		a.say("b@x.test", fmt.Sprint(i))
	}
	b2 := w.bind("b@x.test/2")
	b2.available()
	for i, got := range b2.until(50) {
		if got != fmt.Sprint(i+1) {
			t.Fatalf("message %d is %q", i+1, got)
		}
	}
}

// Sessions of one account come, go and lose their connection while others
// write to it: every session sees the log's order without a repetition, and in
// the end every message was taken by one or waits.
func TestPath_sessionsComeAndGo(t *testing.T) {
	db := storetest.SQLite(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w := newWorld(t, db, session.DefaultLimits)
	const senders = 4
	var wg sync.WaitGroup
	enough := make(chan struct{})
	var sent atomic.Int64
	for s := range senders {
		from := w.bind(fmt.Sprintf("s%d@x.test/1", s))
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-enough:
					return
				default:
					from.say("b@x.test", fmt.Sprintf("%d-%d", s, i))
					sent.Add(1)
				}
			}
		})
	}
	seen := map[string]bool{}
	rng := rand.New(rand.NewPCG(1, 2))
	var sessions []*device
	end := func(k int) {
		d := sessions[k]
		sessions = append(sessions[:k], sessions[k+1:]...)
		if rng.IntN(2) == 0 {
			w.path.Detach(d.s, d)
		} else {
			w.path.End(t.Context(), d.s)
		}
		d.checkOrder(seen)
	}
	for i := range 60 {
		d := w.bind(fmt.Sprintf("b@x.test/%d", i))
		d.available()
		sessions = append(sessions, d)
		d.until(1)
		for len(sessions) > rng.IntN(4) {
			end(rng.IntN(len(sessions)))
		}
	}
	close(enough)
	wg.Wait()
	for len(sessions) > 0 {
		end(0)
	}
	last := w.bind("b@x.test/last")
	last.available()
	w.bind("s0@x.test/2").say("b@x.test", "9-0") // a fence: everything waiting comes before it
	for last.bodyCount() == 0 || last.last() != "9-0" {
		last.until(last.bodyCount() + 1)
	}
	last.checkOrder(seen)
	if want := int(sent.Load()) + 1; len(seen) != want {
		t.Errorf("%d of %d messages reached some session", len(seen), want)
	}
	w.stop()
}

func (d *device) bodyCount() int { d.mu.Lock(); defer d.mu.Unlock(); return len(d.bodies) }
func (d *device) last() string   { d.mu.Lock(); defer d.mu.Unlock(); return d.bodies[len(d.bodies)-1] }

// checkOrder sees that positions only grow within the session.
func (d *device) checkOrder(seen map[string]bool) {
	d.read.Lock()
	defer d.read.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	var before session.Pos
	for _, f := range d.all {
		_, rest, ok := strings.Cut(f, "id='")
		if !ok || !strings.Contains(f, "<body>") {
			continue
		}
		id := rest[:strings.IndexByte(rest, '\'')]
		pos, ok := session.ParsePos(id)
		if !ok {
			d.w.t.Fatalf("no archive id in %s", f)
		}
		if pos <= before {
			d.w.t.Errorf("%s: %s after %s", d.s.JID(), pos, before)
		}
		before = pos
	}
	for _, b := range d.bodies {
		seen[b] = true
	}
}
