package c2s_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/interop/client"
)

// parked waits until n connections are held without a goroutine.
func (b *bench) parked(n int) {
	b.t.Helper()
	if !b.srv.Idle().Await(n, patience) {
		b.t.Fatalf("%d parked, want %d", b.srv.Idle().Parked(), n)
	}
}

func TestPark_everythingStillReachesTheClient(t *testing.T) {
	b := start(t)
	alice, bob := b.login("alice", "phone", withSM), b.login("bob", "desk")
	for i := range 5 {
		b.parked(2)
		if err := alice.Send(fmt.Sprintf("<message to='bob@acme.test'><body>%d</body></message>", i)); err != nil {
			t.Fatal(err)
		}
		if n, err := bob.Next(patience); err != nil || n.Body() != fmt.Sprint(i) {
			t.Fatal(n, err)
		}
	}
	b.parked(2)
	if err := alice.WaitAcked(patience, 5); err != nil {
		t.Fatal(err)
	}
}

func TestPark_kickAndCutAndFarewell(t *testing.T) {
	b := start(t)
	c := b.bound()
	b.parked(1)
	b.core.Session(phone).Kick(nil)
	if _, err := c.Next(); err == nil || err.Error() != "EOF" {
		t.Error(err)
	}
	b.parked(0)

	c = b.bound()
	b.parked(1)
	next := b.bound() // the same resource
	closedWith(t, c, "conflict")
	b.parked(1)
	send(t, next, "</stream:stream>")
	if _, err := next.Next(); err == nil || err.Error() != "EOF" {
		t.Error(err)
	}
	if !b.core.Await("end "+phone, patience) {
		t.Error("not ended")
	}

	alice := b.login("alice", "tablet", withSM)
	b.parked(1)
	alice.Cut()
	if !b.core.Await("detach "+alice.JID, patience) {
		t.Error("not detached")
	}
	b.parked(0)
}

func TestPark_silenceIsStillNoticed(t *testing.T) {
	b := start(t, func(c *c2s.Config) { c.Limits.Idle, c.Limits.Grace = 150*time.Millisecond, 150*time.Millisecond })
	c := b.bound()
	b.parked(1)
	if n := next(t, c); n.Kid("urn:xmpp:ping", "ping") == nil {
		t.Fatal(n)
	}
	if !b.core.Await("detach "+phone, patience) {
		t.Error("a dead peer keeps its session")
	}
}

func TestPark_shutdownReachesAll(t *testing.T) {
	b := start(t)
	var all []*client.Conn
	for i := range 10 {
		c := b.authed()
		if _, err := c.Bind(fmt.Sprint("r", i)); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	b.parked(len(all))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan struct{})
	go func() { b.srv.Shutdown(ctx); close(done) }()
	for _, c := range all {
		closedWith(t, c, "system-shutdown")
	}
	<-done
}
