package faults

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/check"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

var (
	kills = flag.Int("kills", 20, "how often TestKill kills the server")
	seed  = flag.Uint64("seed", 0, "seed of the moments; 0 takes one from the clock")
	kind  = flag.String("server", string(server.Parlance), "server under test")
)

// readyWithin is HARDENING F1's three seconds with the factor ten that shared
// machines get (§0); the figure reached is logged.
const readyWithin = 30 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	server.CleanBinary()
	os.Exit(code)
}

// HARDENING F1: killed at random moments under load, everything acknowledged is
// in the archive once, in order, and reaches everybody it is for.
func TestKill_underLoad(t *testing.T) {
	n := *seed
	if n == 0 {
		n = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (replay: -seed=%d), %d kills", n, n, *kills)
	rng := rand.New(rand.NewPCG(n, 1))
	srv, err := server.Start(context.Background(), server.Options{Kind: server.Kind(*kind), Host: "127.77.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { srv.Finish(t) }()

	l := newLoad(srv, rng, 2*time.Millisecond)
	before := l.views(t, srv)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*kills)*15*time.Second+3*time.Minute)
	defer cancel()
	l.start(ctx)
	var slowest time.Duration
	for i := range *kills {
		// One cut of a connection for every kill, then the kill, each at its moment.
		wait(ctx, time.Duration(rng.IntN(300))*time.Millisecond)
		if c := l.people[rng.IntN(len(l.people))].live.Load(); c != nil {
			c.Cut()
		}
		wait(ctx, time.Duration(50+rng.IntN(500))*time.Millisecond)
		srv.Kill()
		next, err := server.Start(ctx, server.Options{Reuse: srv})
		if err != nil {
			t.Fatalf("kill %d: restart: %v", i, err)
		}
		srv = next
		slowest = max(slowest, srv.Start2Ready)
	}
	l.finish(t, ctx)
	h := l.history(t, srv, before)
	sent, acked, refused, received := l.rec.Counts()
	var resumed, fresh int64
	for _, p := range l.people {
		resumed, fresh = resumed+p.resumed.Load(), fresh+p.fresh.Load()
	}
	t.Logf("sent %d, acknowledged %d, refused %d, delivered %d; %d sessions, %d resumptions; archive %d; ready again in at most %v",
		sent, acked, refused, received, fresh, resumed, len(h.Archive), slowest.Round(time.Millisecond))
	if slowest > readyWithin {
		t.Errorf("ready again after %v, limit %v", slowest, readyWithin)
	}
	if acked == 0 || received == 0 {
		t.Fatal("no load: the run shows nothing")
	}
	verdict(t, h)
}

// HARDENING F14 in small: connections are cut without a word, the server stays;
// sessions are resumed and nothing is lost, doubled or out of order.
func TestCut_sessionsResume(t *testing.T) {
	n := uint64(time.Now().UnixNano())
	if *seed != 0 {
		n = *seed
	}
	t.Logf("seed %d", n)
	rng := rand.New(rand.NewPCG(n, 2))
	srv := server.Test(t, server.Kind(*kind))
	l := newLoad(srv, rng, 2*time.Millisecond)
	before := l.views(t, srv)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	l.start(ctx)
	const cuts = 60
	for range cuts {
		wait(ctx, time.Duration(20+rng.IntN(80))*time.Millisecond)
		if c := l.people[rng.IntN(len(l.people))].live.Load(); c != nil {
			c.Cut()
		}
	}
	l.finish(t, ctx)
	h := l.history(t, srv, before)
	var resumed, fresh int64
	for _, p := range l.people {
		resumed, fresh = resumed+p.resumed.Load(), fresh+p.fresh.Load()
	}
	sent, acked, refused, received := l.rec.Counts()
	t.Logf("sent %d, acknowledged %d, refused %d, delivered %d; %d cuts: %d resumptions, %d sessions", sent, acked, refused, received, cuts, resumed, fresh)
	// F14: resumption succeeds in ≥ 95 % of cuts within the window.
	if extra := fresh - int64(len(l.people)); extra*20 > cuts {
		t.Errorf("%d of about %d cuts ended a session instead of resuming it", extra, cuts)
	}
	verdict(t, h)
}

func verdict(t *testing.T, h *check.History) {
	t.Helper()
	found := h.Check()
	for i, v := range found {
		if i == 25 {
			t.Errorf("… and %d more", len(found)-i)
			break
		}
		t.Error(v)
	}
}

type load struct {
	rec    *check.Recorder
	people []*person
	wg     sync.WaitGroup
	errs   chan error
}

// newLoad makes everybody: five people, one of them with two devices.
func newLoad(srv *server.Server, rng *rand.Rand, pause time.Duration) *load {
	l := &load{rec: check.NewRecorder(), errs: make(chan error, 16)}
	names := []string{"alice", "bob", "carol", "dave", "erin"}
	// The people draw from a generator of their own: the moments of the faults
	// stay those of the seed, whatever the people do.
	own := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
	var mu sync.Mutex
	pick := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return own.IntN(n)
	}
	for i, n := range append(names, "alice") {
		var others []string
		for _, o := range names {
			if o != n {
				others = append(others, o+"@"+server.Domain)
			}
		}
		l.people = append(l.people, &person{
			name: fmt.Sprintf("%s%d", n, i), bare: n + "@" + server.Domain, opt: srv.Options(n, fmt.Sprintf("dev%d-", i)),
			rec: l.rec, others: others, prefix: "k-", window: 40, pick: pick,
			pause: func() time.Duration { return time.Duration(pick(int(pause) * 2)) },
		})
	}
	return l
}

func (l *load) start(ctx context.Context) {
	for _, p := range l.people {
		l.wg.Go(func() {
			if err := p.run(ctx); err != nil {
				l.errs <- err
			}
		})
	}
}

// finish lets everybody say what is left, then waits until all of it has
// arrived: each session's fence stands behind everything fanned out before.
func (l *load) finish(t *testing.T, ctx context.Context) {
	t.Helper()
	for _, p := range l.people {
		p.quiet.Store(true)
	}
	l.wg.Wait()
	close(l.errs)
	for err := range l.errs {
		t.Fatal(err)
	}
	for range 2 {
		for _, p := range l.people {
			if err := p.c.Fence(patience); err != nil {
				t.Fatalf("%s: fence at the end: %v", p.name, err)
			}
		}
	}
	for _, p := range l.people {
		p.c.Close()
	}
}

// views reads everybody's archive through the front door.
func (l *load) views(t *testing.T, srv *server.Server) map[string][]check.View {
	t.Helper()
	out := map[string][]check.View{}
	for _, n := range []string{"alice", "bob", "carol", "dave", "erin"} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		c, err := client.Login(ctx, srv.Options(n, "views"))
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		all, err := c.Archive(patience, 200)
		if err != nil {
			t.Fatalf("%s: %v", n, err)
		}
		for _, a := range all {
			out[n+"@"+server.Domain] = append(out[n+"@"+server.Domain], check.View{ID: check.ID(a.Message.OriginID(), a.Message.Body()), Body: check.Hash(a.Message.Body())})
		}
		c.Close()
	}
	return out
}

// history completes the recorder's with the views and, from the stopped
// server's files, the archive. What was there before the load counts as sent.
func (l *load) history(t *testing.T, srv *server.Server, before map[string][]check.View) *check.History {
	t.Helper()
	h := l.rec.History()
	h.Views = l.views(t, srv)
	if srv.Kind != server.Parlance {
		t.Fatal("the archive's files can only be read for this product")
	}
	if err := srv.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	var err error
	if h.Archive, err = check.Dump(filepath.Join(srv.Dir, "data")); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, vs := range before {
		for _, v := range vs {
			known[v.ID] = true
		}
	}
	for _, r := range h.Archive {
		if known[r.ID] && !strings.HasPrefix(r.ID, "k-") {
			h.Sends = append(h.Sends, check.Send{ID: r.ID, From: r.From, To: r.To, Body: r.Body})
		}
	}
	return h
}
