package faults

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// HARDENING F7: the server may open 256 files and far more clients come than that.
// Who is there goes on talking, nobody else is accepted, the admin socket answers, and
// waiting for a free place costs nothing. Then everybody can come again.
func TestFiles_exhausted(t *testing.T) {
	const files, strangers = 256, 1000
	r := note(t, "F7", fmt.Sprintf("RLIMIT_NOFILE %d and %d connections more", files, strangers))
	s, err := server.Start(context.Background(), server.Options{Kind: server.Parlance,
		Wrap: []string{"prlimit", fmt.Sprintf("--nofile=%d:%d", files, files)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Finish(t) })
	alice, bob := sender(t, s, "alice"), sender(t, s, "bob")
	var conns []net.Conn
	t.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	accepted := 0
	for i := range strangers {
		d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 3, byte(i/40), byte(1+i%40))}}
		c, err := d.Dial("tcp", s.C2S)
		if err != nil {
			break // the kernel's own queue of those who wait is full
		}
		conns = append(conns, c)
		// Half of them ask something, so that some are in the middle of it.
		if i%2 == 0 {
			_, _ = c.Write([]byte("<?xml version='1.0'?><stream:stream to='" + server.Domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"))
		}
	}
	accepted = descriptors(t, s.Pid)
	before := ticks(t, s.Pid)
	const watch = 4 * time.Second
	began := time.Now()
	wait(context.Background(), watch)
	busy := float64(ticks(t, s.Pid)-before) / ticksPerSecond / time.Since(began).Seconds()
	r.count(t, "%d connections came, the server had %d descriptors open and used %.1f %% of a processor (bar: 50 %%)", len(conns), accepted, 100*busy)
	if busy > 0.5 {
		t.Errorf("%.0f %% of a processor is used while nobody can be accepted", 100*busy)
	}
	if accepted >= files {
		t.Errorf("all %d descriptors are taken: none is in reserve", accepted)
	}
	if len(conns) < files {
		t.Errorf("only %d connections came: the test shows nothing", len(conns))
	}

	const n = 50
	if err := bob.Send("<presence/>"); err != nil {
		t.Fatal(err)
	}
	if err := bob.Fence(patience); err != nil {
		t.Errorf("who was there: %v", err)
	}
	if err := pour(alice, bob.JID, "fd", n, 100); err != nil {
		t.Errorf("who was there: %v", err)
	}
	got := inOrder(t, bob, "fd", n, patience)
	bin, err := server.Binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, "user", "list", "--data", s.Data()).CombinedOutput()
	if err != nil {
		t.Errorf("the admin socket: %v: %s", err, out)
	}
	r.count(t, "%d of %d messages between those who were there; the admin socket answered: %v", got, n, err == nil)
	for _, c := range conns {
		_ = c.Close()
	}
	conns = nil
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	back := time.Now()
	for {
		c, err := client.Login(ctx, s.Options("carol", "after"))
		if err == nil {
			c.Close()
			break
		}
		if !wait(ctx, 50*time.Millisecond) {
			t.Fatalf("nobody can come any more: %v", err)
		}
	}
	r.count(t, "a new login %v after the others had gone", time.Since(back).Round(time.Millisecond))
}
