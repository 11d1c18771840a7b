package faults

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// injury is an strace attached to the running server: it makes system calls
// fail, or kills the server at one (HARDENING §8, ways to inject faults).
type injury struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *lines
	exited chan struct{}
}

type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func inject(t *testing.T, pid int, calls, fault string) *injury {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is missing: apt-get install strace")
	}
	i := &injury{t: t, out: &lines{}, exited: make(chan struct{})}
	i.cmd = exec.Command("strace", "-f", "-p", fmt.Sprint(pid), "-e", "trace="+calls, "-e", "inject="+calls+":"+fault)
	i.cmd.Stderr = i.out
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = i.cmd.Wait(); close(i.exited) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(i.out.String(), "attached"); <-tick.C {
		if time.Now().After(end) {
			i.heal()
			t.Fatalf("strace did not attach: %s", i.out)
		}
	}
	return i
}

// heal detaches: from now on system calls work again.
func (i *injury) heal() {
	_ = i.cmd.Process.Signal(syscall.SIGINT) // nothing happens if it has ended already
	select {
	case <-i.exited:
	case <-time.After(10 * time.Second):
		_ = i.cmd.Process.Kill()
		<-i.exited
	}
}

// struck says whether the fault was really injected.
func (i *injury) struck() bool {
	out := i.out.String()
	return strings.Contains(out, "INJECTED") || strings.Contains(out, "DELAYED")
}
