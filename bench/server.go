package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a Parlance under test, in a folder of its own.
type Server struct {
	Bin, Dir string
	TLS      string // address for direct TLS
	Started  time.Duration
	cmd      *exec.Cmd
}

// Domain and Password of all accounts made here.
const (
	Domain   = "bench.test"
	Password = "bench-password-1"
)

// User is the name of account i.
func User(i int) string { return fmt.Sprintf("u%05d", i) }

// Prepare makes n accounts in a fresh data folder.
func Prepare(bin, dir string, n int) (*Server, error) {
	s := &Server{Bin: bin, Dir: dir}
	conf := fmt.Sprintf("domain = %q\ndata = %q\n[listen]\nc2s = []\nc2s_tls = [\"127.0.0.1:0\"]\nhttps = []\n[limits]\npre_auth_per_address = 1000\n[log]\nlevel = \"warn\"\n",
		Domain, filepath.Join(dir, "data"))
	if err := os.WriteFile(s.config(), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	if n == 0 {
		return s, nil
	}
	var csv bytes.Buffer
	csv.WriteString("user,password\n")
	for i := range n {
		fmt.Fprintf(&csv, "%s,%s\n", User(i), Password)
	}
	file := filepath.Join(dir, "users.csv")
	if err := os.WriteFile(file, csv.Bytes(), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(bin, "user", "import", file, "--scram-iterations", "1000", "--config", s.config())
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("bench: import: %w: %s", err, out)
	}
	return s, nil
}

func (s *Server) config() string { return filepath.Join(s.Dir, "parlance.toml") }

// Start runs the server and waits until it listens.
func (s *Server) Start(ctx context.Context) error {
	s.cmd = exec.Command(s.Bin, "serve", "--config", s.config())
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			lines <- sc.Text()
		}
	}()
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				return fmt.Errorf("bench: the server ended: %w", s.cmd.Wait())
			}
			if addr, ok := strings.CutPrefix(l, "listening c2s-tls "); ok {
				s.TLS, s.Started = addr, time.Since(began)
				go func() {
					for range lines { // keep the pipe empty
					}
				}()
				return nil
			}
		case <-ctx.Done():
			return s.Stop()
		}
	}
}

// Stop asks the server to end and waits for it.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// PID of the server.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// CPU is the process's user and system time so far.
func CPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold spaces; fields 14 and 15 are counted from behind it.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	sys, err2 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("bench: /proc/%d/stat: %q", pid, b)
	}
	const tick = time.Second / 100 // USER_HZ, the same on all Linux machines
	return time.Duration(user+sys) * tick, nil
}

// RSS is the process's resident memory in bytes.
func RSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("bench: no VmRSS of %d", pid)
}
