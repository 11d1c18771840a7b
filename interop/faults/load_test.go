package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/check"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

func verdict(t *testing.T, h *check.History) (n int) {
	t.Helper()
	found := h.Check()
	for i, v := range found {
		if i == 25 {
			t.Errorf("… and %d more", len(found)-i)
			break
		}
		t.Error(v)
	}
	return len(found)
}

// judge says what the load did, and lets the checker find what must not be.
func (l *load) judge(t *testing.T, r *row, h *check.History) {
	t.Helper()
	sent, acked, refused, received := l.rec.Counts()
	resumed, fresh := l.sessions()
	r.count(t, "%d messages sent, %d acknowledged, %d refused, %d delivered, %d archived; %d sessions, %d resumptions",
		sent, acked, refused, received, len(h.Archive), fresh, resumed)
	if acked == 0 || received == 0 {
		t.Fatal("no load: the run shows nothing")
	}
	found := verdict(t, h)
	r.count(t, "%d violations", found)
}

// sessions is how often anybody took a session up again, and how many were new.
func (l *load) sessions() (resumed, fresh int64) {
	for _, p := range l.people {
		resumed, fresh = resumed+p.resumed.Load(), fresh+p.fresh.Load()
	}
	return resumed, fresh
}

// resumed is F14's bar: of those who came back at least 95 % took their session up again.
func (l *load) resumed(t *testing.T, r *row) {
	t.Helper()
	resumed, fresh := l.sessions()
	again := fresh - int64(len(l.people))
	r.count(t, "%d of %d who came back resumed", resumed, resumed+again)
	for _, p := range l.people {
		for _, why := range p.refusals {
			t.Logf("%s: %s", p.name, why)
		}
	}
	if again*20 > resumed+again || resumed == 0 {
		t.Errorf("%d of %d came back to a new session instead of resuming theirs", again, resumed+again)
	}
}

type load struct {
	rec    *check.Recorder
	people []*person
	wg     sync.WaitGroup
	errs   chan error
	dump   func() ([]check.Record, error) // reads the archive of a stopped server; nil: from its SQLite files
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
			if err := p.fence(ctx); err != nil {
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
	dump := l.dump
	if dump == nil {
		dump = func() ([]check.Record, error) { return check.Dump(srv.Data()) }
	}
	var err error
	if h.Archive, err = dump(); err != nil {
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
