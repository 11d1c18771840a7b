package server

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Postgres is a PostgreSQL cluster of one's own, on a unix socket only.
type Postgres struct {
	Dir    string // data, log and socket
	bin    string
	who    *syscall.Credential
	cmd    *exec.Cmd
	exited chan struct{}
}

// pgTools finds the folder of initdb and postgres; Debian keeps them out of the path.
func pgTools() (string, error) {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres"); len(found) > 0 { // the pattern is valid
		number := func(p string) int {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(p)))) // no number: 0
			return n
		}
		slices.SortFunc(found, func(a, b string) int { return number(b) - number(a) })
		return filepath.Dir(found[0]), nil
	}
	p, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("server: PostgreSQL is missing: apt-get install postgresql")
	}
	return filepath.Dir(p), nil
}

// unprivileged is who runs PostgreSQL, which refuses root; nil: ourselves.
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
	return nil, errors.New("server: neither a user postgres nor nobody to run PostgreSQL")
}

// NewPostgres makes a cluster with the database "parlance" and starts it. Its
// flushes are real: nothing is switched off.
func NewPostgres() (*Postgres, error) {
	p := &Postgres{}
	var err error
	if p.bin, err = pgTools(); err != nil {
		return nil, err
	}
	if p.who, err = unprivileged(); err != nil {
		return nil, err
	}
	if p.Dir, err = os.MkdirTemp("", "interop-pg-"); err != nil {
		return nil, err
	}
	if p.who != nil {
		err = os.Chown(p.Dir, int(p.who.Uid), int(p.who.Gid))
	}
	if err == nil {
		err = p.command("initdb", "-D", filepath.Join(p.Dir, "data"), "-U", "parlance", "-A", "trust", "-E", "UTF8",
			"--locale=C", "--no-sync", "--no-instructions")
	}
	if err == nil {
		err = p.Start()
	}
	if err == nil {
		_, err = p.Query("postgres", "CREATE DATABASE parlance TEMPLATE template0")
	}
	if err != nil {
		p.Remove()
		return nil, err
	}
	return p, nil
}

func (p *Postgres) command(tool string, args ...string) error {
	cmd := exec.Command(filepath.Join(p.bin, tool), args...)
	cmd.Dir, cmd.SysProcAttr = p.Dir, &syscall.SysProcAttr{Credential: p.who}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("server: %s: %w: %s", tool, err, out)
	}
	return nil
}

// DSN is the database's address; dir is the folder of the socket, "" for the
// cluster's own: a proxy has another.
func (p *Postgres) DSN(dir string) string {
	if dir == "" {
		dir = p.Dir
	}
	return "postgres:///parlance?host=" + dir + "&user=parlance"
}

// Socket is the cluster's unix socket.
func (p *Postgres) Socket() string { return filepath.Join(p.Dir, PostgresSocket) }

// PostgresSocket is the name clients expect in the folder they are given.
const PostgresSocket = ".s.PGSQL.5432"

// Start runs the server on its data and returns when it answers. After a kill
// its orphans may hold the data for a moment yet: it is tried again.
func (p *Postgres) Start() error {
	var last error
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		if last = p.start(); last == nil {
			return nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(p.Dir, "log")) // for the message only
	return fmt.Errorf("server: PostgreSQL does not start: %w\n%s", last, log[max(0, len(log)-4000):])
}

func (p *Postgres) start() error {
	log, err := os.OpenFile(filepath.Join(p.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(filepath.Join(p.bin, "postgres"), "-D", filepath.Join(p.Dir, "data"), "-k", p.Dir,
		"-c", "listen_addresses=", "-c", "max_connections=100", "-c", "shared_buffers=32MB", "-c", "jit=off")
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, log, log
	// It dies with the test process, whatever happens to that.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who, Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-tick.C {
		if _, err := p.Query("postgres", "SELECT 1"); err == nil {
			p.cmd, p.exited = cmd, exited
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("it ended: %v", cmd.ProcessState)
		default:
		}
		if time.Now().After(end) {
			_ = cmd.Process.Kill()
			<-exited
			return errors.New("no answer")
		}
	}
}

// Query runs SQL as the superuser and returns psql's plain rows.
func (p *Postgres) Query(database, q string) (string, error) {
	cmd := exec.Command(filepath.Join(p.bin, "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1",
		"-h", p.Dir, "-U", "parlance", "-d", database, "-c", q)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("server: psql: %w: %s", err, out)
	}
	return string(out), nil
}

// Kill ends the whole cluster with SIGKILL: the postmaster and its children, which are its alone.
func (p *Postgres) Kill() {
	if p.cmd == nil {
		return
	}
	pid := p.cmd.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGSTOP) // it makes no new ones meanwhile
	kids, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, k := range strings.Fields(string(kids)) {
		if n, err := strconv.Atoi(k); err == nil {
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
	p.cmd = nil
}

// Remove ends the cluster and deletes it.
func (p *Postgres) Remove() {
	p.Kill()
	if p.Dir != "" {
		_ = os.RemoveAll(p.Dir)
	}
}
