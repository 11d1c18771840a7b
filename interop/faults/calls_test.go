package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/server"
)

// HARDENING F1, second half: SIGKILL at the Nth flush, write to a file or write to
// a socket under load, so that every point between accepting, writing, flushing,
// acknowledging and handing out has its turn.
func TestKill_atCall(t *testing.T) {
	r := note(t, "F1", "SIGKILL at the Nth flush, file write or socket write under load (strace)")
	rng := rand.New(rand.NewPCG(lot(t), 3))
	srv, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Host: ownHost()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { srv.Finish(t) }()
	l := newLoad(srv, rng, 2*time.Millisecond)
	before := l.views(t, srv)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*atCalls)*20*time.Second+3*time.Minute)
	defer cancel()
	l.start(ctx)
	points := []struct {
		calls string
		upTo  int // the last N
	}{{"fsync,fdatasync", 20}, {"pwrite64", 200}, {"write,writev", 300}}
	for i := range *atCalls {
		p := points[i%len(points)]
		when := 1 + rng.IntN(p.upTo)
		k := inject(t, srv.Pid, p.calls, fmt.Sprintf("signal=SIGKILL:when=%d", when))
		if !srv.Exited(30 * time.Second) {
			t.Fatalf("round %d: the server did not come to call %d of %s", i, when, p.calls)
		}
		k.heal()
		next, err := server.Start(ctx, server.Options{Reuse: srv})
		if err != nil {
			t.Fatalf("round %d: killed at call %d of %s: restart: %v", i, when, p.calls, err)
		}
		srv = next
	}
	l.finish(t, ctx)
	h := l.history(t, srv, before)
	r.count(t, "%d kills", *atCalls)
	l.judge(t, r, h)
}

// HARDENING F1: the way up is no safer than the way along: killed again and again while it
// recovers what the last kill left, at a write, a flush, a shortening or a renaming of a file.
func TestKill_whileStarting(t *testing.T) {
	r := note(t, "F1", "SIGKILL at the Nth write, flush, truncation or renaming of the recovery itself (strace)")
	rng := rand.New(rand.NewPCG(lot(t), 4))
	srv, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Host: ownHost()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { srv.Finish(t) }()
	l := newLoad(srv, rng, 2*time.Millisecond)
	before := l.views(t, srv)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*atCalls)*20*time.Second+3*time.Minute)
	defer cancel()
	l.start(ctx)
	points := []string{"pwrite64", "fsync,fdatasync", "ftruncate,rename,renameat,renameat2,unlink,unlinkat"}
	died := 0
	for i := range *atCalls {
		wait(ctx, time.Duration(50+rng.IntN(300))*time.Millisecond)
		srv.Kill()
		calls := points[i%len(points)]
		fault := fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", calls, 1+rng.IntN(6))
		next, err := server.Start(ctx, server.Options{Reuse: srv, Keep: true,
			Wrap: []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + calls, "-e", fault,
				"setpriv", "--pdeathsig", "KILL"}}) // dies with strace, as strace does with the test
		if err == nil {
			next.Kill() // it never came to that call, or had been ready before it
		} else {
			died++
		}
		if next, err = server.Start(ctx, server.Options{Reuse: srv}); err != nil {
			t.Fatalf("round %d: %s: restart: %v", i, fault, err)
		}
		srv = next
	}
	l.finish(t, ctx)
	h := l.history(t, srv, before)
	r.count(t, "%d starts, %d of them killed before they were ready", *atCalls, died)
	l.judge(t, r, h)
}
