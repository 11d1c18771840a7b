package c2s_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/interop/client"
)

func rss(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return n * os.Getpagesize()
}

// TestIdle_memoryPerSession measures what an idle TLS session costs the server's
// process: the clients are another process (this test again, told by PARLANCE_IDLE).
func TestIdle_memoryPerSession(t *testing.T) {
	if addr := os.Getenv("PARLANCE_IDLE"); addr != "" {
		idleClients(t, addr)
		return
	}
	n := 500
	if v, err := strconv.Atoi(os.Getenv("PARLANCE_IDLE_N")); err == nil {
		n = v
	}
	b := start(t, func(c *c2s.Config) { c.Gate = edge.NewGate(edge.GateLimits{PerSource: 1 << 20, Total: 1 << 20}) })
	b.gate = edge.NewGate(edge.DefaultGate())
	debug.FreeOSMemory()
	before := rss(t)
	cmd := exec.Command(os.Args[0], "-test.run=TestIdle_memoryPerSession", "-test.timeout=300s")
	cmd.Env = append(os.Environ(), "PARLANCE_IDLE="+b.addr, fmt.Sprintf("PARLANCE_IDLE_N=%d", n))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); _ = cmd.Wait() }()
	if !b.core.AwaitCount("bind ", n, 120*time.Second) {
		t.Fatal("not all sessions came")
	}
	if !b.srv.Idle().Await(n, patience) {
		t.Fatalf("%d of %d connections are parked", b.srv.Idle().Parked(), n)
	}
	natural := rss(t)
	for range 4 {
		debug.FreeOSMemory()
	}
	after := rss(t)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	per := (after - before) / n
	t.Logf("%d sessions: %d bytes each (%d before collection); heap %d, stacks %d each, %d goroutines", n, per, (natural-before)/n,
		m.HeapAlloc/uint64(n), m.StackInuse/uint64(n), runtime.NumGoroutine())
	if per > 24<<10 && !raced {
		t.Errorf("%d bytes per idle session, at most 24 KiB are allowed", per)
	}
}

func idleClients(t *testing.T, addr string) {
	n, _ := strconv.Atoi(os.Getenv("PARLANCE_IDLE_N"))
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	sem := make(chan struct{}, 16)
	for i := range n {
		wg.Go(func() {
			sem <- struct{}{}
			defer func() { <-sem }()
			c, err := client.Login(ctx, client.Options{Addr: addr, Domain: edgetest.Domain, User: "alice", Pass: edgetest.Password,
				Resource: fmt.Sprintf("r%d", i), SM: true, Source: fmt.Sprintf("127.0.%d.%d", i/200, i%200+1)})
			if err != nil {
				t.Error(err)
				return
			}
			_ = c
		})
	}
	wg.Wait()
	var one [1]byte
	_, _ = os.Stdin.Read(one[:]) // until the other process is done
	os.Exit(0)
}
