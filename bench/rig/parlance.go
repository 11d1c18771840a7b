package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// prepareParlance makes a data folder with accounts, and a configuration.
func prepareParlance(ctx context.Context, bin string, p People) (*Server, error) {
	dir, err := os.MkdirTemp("", "parlance-bench-")
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: "Parlance", Archive: "SQLite", Dir: dir}
	if s.Version, err = parlanceVersion(ctx, bin); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf("domain = %q\ndata = %q\n[listen]\nc2s = []\nc2s_tls = [\"127.0.0.1:0\"]\nhttps = []\n[limits]\npre_auth_per_address = 1000\n[log]\nlevel = \"warn\"\n",
		domain, filepath.Join(dir, "data"))
	if err := os.WriteFile(s.config(), []byte(conf), 0o600); err != nil || p.N == 0 {
		return s, err
	}
	var csv bytes.Buffer
	csv.WriteString("user,password\n")
	for i := range p.N {
		fmt.Fprintf(&csv, "%s,%s\n", person(i), password)
	}
	file := filepath.Join(dir, "users.csv")
	if err := os.WriteFile(file, csv.Bytes(), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, bin, "user", "import", file, "--scram-iterations", strconv.Itoa(rounds), "--config", s.config())
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("rig: import: %w: %s", err, out[:min(len(out), 1000)])
	}
	return s, nil
}

func (s *Server) config() string { return filepath.Join(s.Dir, "parlance.toml") }

// startParlance runs the binary on a prepared folder and waits until it listens.
func (s *Server) startParlance(ctx context.Context, bin string) error {
	s.PIDs = nil
	began := time.Now()
	if err := s.spawn(exec.Command(bin, "serve", "--config", s.config())); err != nil {
		return err
	}
	return s.await(ctx, func() bool {
		b, err := os.ReadFile(filepath.Join(s.Dir, filepath.Base(bin)+".out"))
		for l := range strings.Lines(string(b)) {
			addr, ok := strings.CutPrefix(l, "listening c2s-tls ")
			if ok && err == nil && strings.HasSuffix(l, "\n") {
				s.Addr, s.Ready = strings.TrimSpace(addr), time.Since(began)
				return true
			}
		}
		return false
	})
}

// parlance is a running Parlance with accounts and, made by the people
// themselves, rosters; it has been started anew since.
func parlance(ctx context.Context, bin string, p People) (*Server, error) {
	s, err := prepareParlance(ctx, bin, p)
	if err != nil {
		return nil, err
	}
	err = s.startParlance(ctx, bin)
	if err == nil && p.Contacts > 0 {
		o := s.options(nil)
		o.Sessions, o.Contacts, o.Befriend, o.Length, o.PIDs = p.N, p.Contacts, true, time.Millisecond, nil
		if _, err = measure(ctx, "idle", o); err == nil {
			err = s.stops[0]()
			s.stops = nil
		}
		if err == nil {
			err = s.startParlance(ctx, bin)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	s.Befriended = true
	return s, nil
}

// parlanceVersion is the binary's version and commit.
func parlanceVersion(ctx context.Context, bin string) (string, error) {
	out, err := exec.CommandContext(ctx, bin, "version").Output()
	if err != nil {
		return "", fmt.Errorf("rig: %s: %w", bin, err)
	}
	f := strings.Fields(string(out))
	if len(f) < 4 {
		return "", fmt.Errorf("rig: %s says %q", bin, out)
	}
	return f[1] + " (" + f[3] + ")", nil
}
