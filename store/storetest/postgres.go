package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is the one PostgreSQL of a test process.
type server struct {
	dir  string
	cmd  *exec.Cmd
	hold io.Closer // closing it stops the server
}

// process is the test process's server: tests of one process share it, so it lives as long as the process.
var process struct {
	sync.Mutex
	s   *server
	err error
	n   int // databases made
}

// PostgreSQL returns the connection string of an empty database, dropped at the test's end.
func PostgreSQL(t testing.TB) string {
	t.Helper()
	process.Lock()
	defer process.Unlock()
	if process.s == nil && process.err == nil {
		process.s, process.err = start()
	}
	if process.err != nil {
		t.Fatalf("storetest: PostgreSQL: %v", process.err)
	}
	process.n++
	name := fmt.Sprintf("t%d", process.n)
	s := process.s
	if err := s.admin("CREATE DATABASE " + name + " TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.admin("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return s.dsn(name)
}

func (s *server) dsn(database string) string {
	return fmt.Sprintf("postgres:///%s?host=%s&user=parlance", database, s.dir)
}

func (s *server) admin(q string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, s.dsn("postgres"))
	if err != nil {
		return fmt.Errorf("storetest: %w", err)
	}
	_, err = c.Exec(ctx, q)
	return errors.Join(err, c.Close(ctx))
}

// binaries finds the directory of initdb and postgres; Debian keeps them out of the path.
func binaries() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is valid
	if len(found) == 0 {
		return "", errors.New("not installed; run: apt-get install -y postgresql (or set " + SQLiteOnly + "=1)")
	}
	version := func(p string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(p)))) // no number: 0
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	return filepath.Dir(found[0]), nil
}

// unprivileged returns who shall run PostgreSQL, which refuses root; nil: ourselves.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("neither a user postgres nor nobody to run it")
}

// script runs the server until standard input ends. SIGQUIT: at once, the data is thrown away.
const script = `"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c full_page_writes=off \
  -c synchronous_commit=on -c shared_buffers=16MB -c max_connections=200 -c autovacuum=off -c jit=off \
  -c wal_level=minimal -c max_wal_senders=0 </dev/null >"$2/log" 2>&1 &
pid=$!
cat >/dev/null
kill -QUIT $pid
wait $pid
rm -rf "$2/data" "$2/log" "$2"/.s.PGSQL*
rmdir "$2"`

func start() (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "parlance-pg-")
	if err != nil {
		return nil, err
	}
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, err
		}
	}
	attr := &syscall.SysProcAttr{Credential: who, Setpgid: true} // an interrupt at the terminal ends the pipe, not the shell
	// The C collation orders text by bytes, as SQLite does.
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "parlance",
		"-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.Dir, initdb.SysProcAttr = dir, attr
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	s := &server{dir: dir, cmd: exec.Command("/bin/sh", "-c", script, "sh", bin, dir)}
	s.cmd.Dir, s.cmd.SysProcAttr = "/", attr
	if s.hold, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	return s, s.ready()
}

// ready waits until the server answers: it tells nobody else when it does.
func (s *server) ready() (err error) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = s.admin("SELECT 1"); err == nil {
			return nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log")) // for the message only
	return fmt.Errorf("not ready: %w\n%s", errors.Join(err, s.hold.Close()), log)
}

// stop ends the server, if one was started.
func stop() error {
	process.Lock()
	defer process.Unlock()
	s := process.s
	if s == nil {
		return nil
	}
	process.s, process.err = nil, errors.New("stopped")
	err := s.hold.Close()
	var exit *exec.ExitError
	if werr := s.cmd.Wait(); werr != nil && !errors.As(werr, &exit) {
		err = errors.Join(err, werr)
	}
	return err
}
