package faults

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
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

// dark cuts the power under the running server and brings it back. The server is stopped first, so that a flush that is
// under way in the kernel at that moment is seen by nobody: ext4's shutdown may let it return 0 and forget what it was
// for all the same (append 4 KiB, fdatasync, shut down: 5 of 37 times the last one promised was gone). A power cut ends promises
// and disk in one instant.
func dark(t *testing.T, d *disk, s *server.Server) {
	t.Helper()
	halt(t, s.Pid)
	if err := d.cut(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := d.restore(); err != nil {
		t.Fatal(err)
	}
}

// halt stops a process, and comes back when no thread of it can say anything any more: each is stopped, or inside a
// system call that it will not come out of running.
func halt(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for !halted(t, pid) {
		if !wait(ctx, time.Millisecond) {
			t.Fatalf("process %d did not stop within %v", pid, patience)
		}
	}
}

func halted(t *testing.T, pid int) bool {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			continue // it has ended
		}
		_, state, _ := bytes.Cut(b, []byte(") ")) // proc(5): the state stands behind the name
		if len(state) == 0 || !bytes.ContainsRune([]byte("TtDZX"), rune(state[0])) {
			return false
		}
	}
	return true
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
