package faults

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/check"
	"github.com/parlance-im/parlance/interop/server"
)

// powered is a server on a disk whose power can be cut.
func powered(t *testing.T) (*disk, *server.Server) {
	t.Helper()
	d, err := newDisk(256)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.remove(); err != nil {
			t.Error(err)
		}
	})
	s, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Host: ownHost(), Dir: d.Dir})
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

// dark cuts the power under the running server and brings it back.
func dark(t *testing.T, d *disk, s *server.Server) {
	t.Helper()
	if err := d.cut(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := d.restore(); err != nil {
		t.Fatal(err)
	}
}

// HARDENING F2: the power is cut under load. What was acknowledged had been
// flushed, so it is there, once and in order, and reaches everybody it is for.
func TestPower_cut(t *testing.T) {
	r := note(t, "F2", "power cut under load: ext4 on a loop device shut down without log flush, mounted again")
	rng := rand.New(rand.NewPCG(lot(t), 5))
	d, srv := powered(t)
	defer func() { srv.Finish(t) }()
	l := newLoad(srv, rng, 2*time.Millisecond)
	before := l.views(t, srv)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*cuts)*20*time.Second+3*time.Minute)
	defer cancel()
	l.start(ctx)
	var slowest time.Duration
	for i := range *cuts {
		wait(ctx, time.Duration(50+rng.IntN(700))*time.Millisecond)
		dark(t, d, srv)
		next, err := server.Start(ctx, server.Options{Reuse: srv})
		if err != nil {
			t.Fatalf("cut %d: restart: %v", i, err)
		}
		srv = next
		slowest = max(slowest, srv.Start2Ready)
	}
	l.finish(t, ctx)
	h := l.history(t, srv, before)
	r.count(t, "%d cuts, ready again in at most %v", *cuts, slowest.Round(time.Millisecond))
	if slowest > readyWithin {
		t.Errorf("ready again after %v, limit %v", slowest, readyWithin)
	}
	l.judge(t, r, h)
}

// HARDENING F4, the negative control: the same cut on a disk that lies, so that
// flushes do nothing. If the checker finds no loss here, F2 shows nothing.
func TestPower_cutOnALyingDisk(t *testing.T) {
	r := note(t, "F4", "the power cut of F2 with flushes faked (strace: fsync and fdatasync return 0 and do nothing)")
	rng := rand.New(rand.NewPCG(lot(t), 6))
	d, srv := powered(t)
	defer func() { srv.Finish(t) }()
	l := newLoad(srv, rng, 2*time.Millisecond)
	before := l.views(t, srv)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	lie := inject(t, srv.Pid, "fsync,fdatasync,sync_file_range,msync", "retval=0")
	l.start(ctx)
	wait(ctx, 2*time.Second)
	_, acked, _, _ := l.rec.Counts()
	dark(t, d, srv)
	lie.heal()
	if !lie.struck() {
		t.Fatal("no flush was faked: the test shows nothing")
	}
	next, err := server.Start(ctx, server.Options{Reuse: srv})
	if err != nil {
		t.Fatalf("restart: %v", err)
	}
	srv = next
	l.finish(t, ctx)
	h := l.history(t, srv, before)
	kinds := map[check.Kind]int{}
	for _, v := range h.Check() {
		kinds[v.Kind]++
	}
	r.count(t, "%d acknowledged before the cut; the checker found %v", acked, kinds)
	if kinds[check.Lost] == 0 {
		t.Errorf("the disk forgot what it had promised and the checker did not see it: F2 shows nothing")
	}
}
