package faults

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/server"
)

// HARDENING F1: killed at random moments under load, everything acknowledged is
// in the archive once, in order, and reaches everybody it is for.
func TestKill_underLoad(t *testing.T) {
	r := note(t, "F1", "SIGKILL at random moments under load")
	rng := rand.New(rand.NewPCG(lot(t), 1))
	srv, err := server.Start(context.Background(), server.Options{Kind: server.Kind(*kind), Host: ownHost()})
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
	r.count(t, "%d kills, ready again in at most %v", *kills, slowest.Round(time.Millisecond))
	if slowest > readyWithin {
		t.Errorf("ready again after %v, limit %v", slowest, readyWithin)
	}
	l.judge(t, r, h)
}
