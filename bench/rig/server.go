package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/parlance-im/parlance/bench"
)

// What all servers have in common.
const (
	domain   = "bench.test"
	password = "bench-password-1"
	pattern  = "u%05d"
	rounds   = 4096 // of PBKDF2: what clients and servers take most
)

func person(i int) string { return fmt.Sprintf(pattern, i) }

// Server is a server under test, in a folder of its own.
type Server struct {
	Kind, Version string
	Archive       string // how it keeps messages; empty: not at all
	Addr          string // direct TLS
	Dir           string
	PIDs          []int
	Befriended    bool          // rosters were made with the accounts
	Ready         time.Duration // from its start
	stops         []func() error
}

// People are the accounts to make.
type People struct {
	N        int
	Contacts int // of each, in a ring; 0: none
}

// Stop ends the server's processes, the last started first, and removes its folder.
func (s *Server) Stop() error {
	var errs []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		errs = append(errs, s.stops[i]())
	}
	return errors.Join(append(errs, os.RemoveAll(s.Dir))...)
}

// options are those of any workload on the server.
func (s *Server) options(p *bench.Progress) bench.Options {
	return bench.Options{Addr: s.Addr, Domain: domain, TLS: bench.TLSDirect, Users: pattern, Password: password, PIDs: s.PIDs, Progress: p}
}

// disk is how many bytes the server's data take.
func (s *Server) disk() (n int64, err error) {
	err = filepath.WalkDir(filepath.Join(s.Dir, "data"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file of the server
		}
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// spawn starts a process and notes how to end it. Its output goes to a file in
// the folder.
func (s *Server) spawn(cmd *exec.Cmd) error {
	name := filepath.Base(cmd.Path)
	out, err := os.Create(filepath.Join(s.Dir, name+".out"))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // it does not outlive the measurement
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("rig: start %s: %w", name, err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	s.PIDs = append(s.PIDs, cmd.Process.Pid)
	s.stops = append(s.stops, func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-exited:
			return nil
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-exited
			return fmt.Errorf("rig: %s had to be killed", name)
		}
	})
	return nil
}

// await polls until ready says so, or shows what the server wrote.
func (s *Server) await(ctx context.Context, ready func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !ready() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("rig: %s does not start: %w\n%s", s.Kind, ctx.Err(), s.output())
		}
	}
	return nil
}

// output is the end of what the server's processes wrote.
func (s *Server) output() string {
	var all strings.Builder
	for _, pattern := range []string{"*.out", "*.log", "log/*.log"} {
		files, _ := filepath.Glob(filepath.Join(s.Dir, pattern)) // the patterns are valid
		for _, f := range files {
			if b, err := os.ReadFile(f); err == nil {
				fmt.Fprintf(&all, "%s:\n%s\n", filepath.Base(f), b[max(0, len(b)-4000):])
			}
		}
	}
	return all.String()
}
