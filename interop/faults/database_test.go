package faults

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/check"
	"github.com/parlance-im/parlance/interop/proxy"
	"github.com/parlance-im/parlance/interop/server"
)

// recoverWithin is F6's five seconds times ten.
const recoverWithin = 50 * time.Second

// holder is another process that holds a lock of the database.
type holder struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

const holdSQLite = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
`

// hold starts a command that says "held" once it has the lock.
func hold(t *testing.T, name string, args ...string) *holder {
	t.Helper()
	h := &holder{cmd: exec.Command(name, args...), exited: make(chan struct{})}
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err1 := h.cmd.StdinPipe()
	out, err2 := h.cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if name == "psql" {
		_, _ = in.Write([]byte("BEGIN;\nLOCK TABLE record IN ACCESS EXCLUSIVE MODE;\n\\echo held\n"))
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() { _ = h.cmd.Wait(); close(h.exited) }()
	t.Cleanup(h.release)
	if strings.TrimSpace(line) != "held" {
		t.Fatalf("no lock: %q, %v", line, err)
	}
	return h
}

// release ends the process, and the lock with it.
func (h *holder) release() {
	_ = h.cmd.Process.Kill()
	<-h.exited
}

// onPostgres is a server on a PostgreSQL of its own, which it reaches through a proxy.
func onPostgres(t *testing.T) (*server.Postgres, *proxy.Proxy, *server.Server) {
	t.Helper()
	pg, err := server.NewPostgres()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pg.Remove)
	dir := t.TempDir()
	way, err := proxy.Listen("unix", filepath.Join(dir, server.PostgresSocket), pg.Socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(way.Close)
	s, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, DSN: pg.DSN(dir)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Finish(t) })
	return pg, way, s
}

// trial is a load on a server whose database is in trouble.
type trial struct {
	t      *testing.T
	ctx    context.Context
	r      *row
	rng    *rand.Rand
	srv    *server.Server
	l      *load
	before map[string][]check.View
	slow   time.Duration // longest until a message was kept again
	rss    int64
	grown  int64
	pg     *server.Postgres // nil: SQLite
}

func newTrial(t *testing.T, r *row, srv *server.Server, pg *server.Postgres, within time.Duration) *trial {
	t.Helper()
	x := &trial{t: t, r: r, srv: srv, pg: pg, rng: rand.New(rand.NewPCG(lot(t), 7))}
	x.l = newLoad(srv, x.rng, 2*time.Millisecond)
	x.l.people[0].window = 4000 // one who does not wait: the server must not take it all in
	if pg != nil {
		x.l.dump = func() ([]check.Record, error) {
			return check.DumpPostgres(func(q string) (string, error) { return pg.Query("parlance", q) })
		}
	}
	x.before = x.l.views(t, srv)
	var cancel context.CancelFunc
	x.ctx, cancel = context.WithTimeout(context.Background(), within)
	t.Cleanup(cancel)
	x.l.start(x.ctx)
	wait(x.ctx, 500*time.Millisecond)
	x.rss = memory(t, srv.Pid)
	return x
}

// well waits until a message is kept again, and notes how long that took.
func (x *trial) well() {
	x.t.Helper()
	began := time.Now()
	x.grown = max(x.grown, memory(x.t, x.srv.Pid)-x.rss)
	for kept := x.l.rec.Kept(); x.l.rec.Kept() == kept; {
		if !wait(x.ctx, 5*time.Millisecond) || time.Since(began) > recoverWithin {
			x.t.Fatalf("no message was kept within %v after the database was well again", recoverWithin)
		}
	}
	x.slow = max(x.slow, time.Since(began))
}

// judge ends the load and has the history checked.
func (x *trial) judge() {
	x.t.Helper()
	x.l.finish(x.t, x.ctx)
	h := x.l.history(x.t, x.srv, x.before)
	x.r.count(x.t, "a message was kept again after at most %v; memory grew by at most %d MiB", x.slow.Round(time.Millisecond), x.grown>>20)
	if x.grown > 64<<20 {
		x.t.Errorf("memory grew by %d MiB while the database did not take messages: no back-pressure", x.grown>>20)
	}
	x.l.judge(x.t, x.r, h)
}

// HARDENING F6: another process holds SQLite's write lock for longer than anybody waits for it.
func TestDatabase_lockedSQLite(t *testing.T) {
	d := scaled(8*time.Second, 60*time.Second)
	r := note(t, "F6", fmt.Sprintf("SQLite's write lock held by another process for %v under load", d))
	x := newTrial(t, r, server.Test(t, server.Parlance), nil, 5*time.Minute)
	h := hold(t, "/usr/bin/python3", "-c", holdSQLite, filepath.Join(x.srv.Data(), "parlance.db"))
	wait(x.ctx, d)
	h.release()
	x.well()
	x.judge()
}

// HARDENING F6: the record table of PostgreSQL is locked by another session.
func TestDatabase_lockedPostgres(t *testing.T) {
	d := scaled(8*time.Second, 60*time.Second)
	r := note(t, "F6", fmt.Sprintf("PostgreSQL's record table locked by another session for %v under load", d))
	pg, _, srv := onPostgres(t)
	x := newTrial(t, r, srv, pg, 5*time.Minute)
	h := hold(t, "psql", "-X", "-q", "-h", pg.Dir, "-U", "parlance", "-d", "parlance")
	wait(x.ctx, d)
	h.release()
	x.well()
	x.judge()
}

// HARDENING F6: every flush takes long (SQLite), every word to the database does (PostgreSQL).
func TestDatabase_slowSQLite(t *testing.T) {
	d := scaled(300*time.Millisecond, 2*time.Second)
	r := note(t, "F6", fmt.Sprintf("every flush of SQLite takes %v (strace)", d))
	x := newTrial(t, r, server.Test(t, server.Parlance), nil, 5*time.Minute)
	slow := inject(t, x.srv.Pid, "fsync,fdatasync", fmt.Sprintf("delay_enter=%d", d.Microseconds()))
	defer slow.heal()
	wait(x.ctx, 10*d)
	slow.heal()
	if !slow.struck() {
		t.Error("no flush was slow: the test shows nothing")
	}
	x.well()
	x.judge()
}

func TestDatabase_slowPostgres(t *testing.T) {
	d := scaled(100*time.Millisecond, time.Second)
	r := note(t, "F6", fmt.Sprintf("%v of latency each way between server and PostgreSQL", d))
	pg, way, srv := onPostgres(t)
	x := newTrial(t, r, srv, pg, 8*time.Minute)
	way.Set(proxy.Weather{Latency: d})
	wait(x.ctx, 30*d)
	way.Set(proxy.Weather{})
	x.well()
	x.judge()
}

// HARDENING F6: PostgreSQL is killed under load, and started again after a while.
func TestDatabase_killed(t *testing.T) {
	n := scaled(3, 30)
	r := note(t, "F6", fmt.Sprintf("PostgreSQL killed (SIGKILL) under load and started again, %d times", n))
	pg, _, srv := onPostgres(t)
	x := newTrial(t, r, srv, pg, 5*time.Minute+time.Duration(n)*20*time.Second)
	for range n {
		wait(x.ctx, time.Duration(100+x.rng.IntN(700))*time.Millisecond)
		pg.Kill()
		wait(x.ctx, time.Duration(x.rng.IntN(2000))*time.Millisecond)
		if err := pg.Start(); err != nil {
			t.Fatal(err)
		}
		x.well()
	}
	x.judge()
}

// HARDENING F6: PostgreSQL is down when the server is told to stop. It stops in order all the same, and what was
// acknowledged is there, and reaches everybody, when both are back.
func TestDatabase_goneAtShutdown(t *testing.T) {
	r := note(t, "F6", "PostgreSQL killed under load, then the server told to stop; both started again")
	pg, _, srv := onPostgres(t)
	x := newTrial(t, r, srv, pg, 5*time.Minute)
	pg.Kill()
	wait(x.ctx, 500*time.Millisecond)
	began := time.Now()
	if err := srv.Stop(); err != nil {
		t.Errorf("told to stop while the database is down: %v", err)
	}
	r.count(t, "the server stopped in order within %v", time.Since(began).Round(time.Millisecond))
	if err := pg.Start(); err != nil {
		t.Fatal(err)
	}
	next, err := server.Start(x.ctx, server.Options{Reuse: srv})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Finish(t) })
	x.srv = next
	x.well()
	x.judge()
}

// HARDENING F6: connections to PostgreSQL break at any point, also between a COMMIT
// and its answer: the server must find out what became of it, and what is sent again is kept once.
func TestDatabase_connectionsBreak(t *testing.T) {
	n := scaled(20, 400)
	r := note(t, "F6", fmt.Sprintf("connections to PostgreSQL broken under load %d times, half of them with the answers lost first (ambiguous commit)", n))
	pg, way, srv := onPostgres(t)
	x := newTrial(t, r, srv, pg, 5*time.Minute+time.Duration(n)*10*time.Second)
	for i := range n {
		wait(x.ctx, time.Duration(50+x.rng.IntN(200))*time.Millisecond)
		if i%2 == 0 {
			way.ResetAll()
		} else {
			way.Deafen(time.Duration(5+x.rng.IntN(40)) * time.Millisecond)
		}
		x.well()
	}
	x.judge()
}
