package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// unackedLimit is what the product promises for one session (limits.unacked_bytes); HARDENING F10's
// bar of 64 KiB needs queues that hold places in the archive instead of messages.
const unackedLimit = 1 << 20

// HARDENING F10: stream management is on, everything is read and nothing is ever
// acknowledged; then all the clients vanish and their sessions hibernate.
func TestQueue_neverAcknowledged(t *testing.T) {
	people, n := scaled(30, 1000), 450 // below the limit of 500, at which a session ends
	r := note(t, "F10", fmt.Sprintf("%d clients with stream management that acknowledge nothing, %d messages of 300 B to each; then all are cut off", people, n))
	s := crowded(t, 2*people)
	var to []string
	var conns []*client.Conn
	for i := range people {
		to = append(to, server.Name(i)+"@"+server.Domain)
		conns = append(conns, stuck(t, s, server.Name(i), "stuck", "<presence/>", true, true))
	}
	before := memory(t, s.Pid)
	for i := 0; i < people; i += 20 {
		pourSome(t, s, to[i:min(i+20, people)], people+i, "bomb", n, 300)
	}
	grown := memory(t, s.Pid) - before
	for _, c := range conns {
		_ = c.Close()
	}
	each := grown / int64(people)
	r.count(t, "memory grew by %d MiB, %d KiB a session (bar: 64 KiB; limits.unacked_bytes promises 1 MiB)", grown>>20, each>>10)
	if grown > int64(people)*unackedLimit+48<<20 {
		t.Errorf("memory grew by %d KiB a session, more than unacked_bytes", each>>10)
	}
	for i := range min(people, 20) {
		archived(t, s, server.Name(i), "bomb", n)
	}
}

// HARDENING F10: ten sessions of one account hibernate (the limit) and messages come
// for all of them; then one is taken up again and has them all, in order.
func TestQueue_hibernating(t *testing.T) {
	const sessions, n = 10, 400
	r := note(t, "F10", fmt.Sprintf("%d hibernating sessions of one account, %d messages for all of them; one is resumed", sessions, n))
	s := server.Test(t, server.Parlance)
	var back *client.Resume
	var opt client.Options
	for i := range sessions {
		o := s.Options("bob", fmt.Sprintf("asleep%d", i))
		o.SM = true
		c := s.LoginWith(t, o)
		if err := c.Send("<presence/>"); err != nil {
			t.Fatal(err)
		}
		if err := c.Fence(patience); err != nil {
			t.Fatal(err)
		}
		h, _, _ := c.Counters()
		back, opt = &client.Resume{ID: c.SMID, H: h}, o
		c.Cut()
	}
	before := memory(t, s.Pid)
	if err := pour(sender(t, s, "alice"), "bob@"+server.Domain, "sleep", n, 300); err != nil {
		t.Fatal(err)
	}
	grown := memory(t, s.Pid) - before
	opt.Resume = back
	c := s.LoginWith(t, opt)
	got := inOrder(t, c, "sleep", n, patience)
	r.count(t, "memory grew by %d MiB; the resumed session got %d of %d in order", grown>>20, got, n)
	if grown > 64<<20 {
		t.Errorf("memory grew by %d MiB (bar: 64 MiB for a thousand)", grown>>20)
	}
}

// inOrder takes messages prefix-0 … prefix-(n-1) as they must come and says how many did.
func inOrder(t *testing.T, c *client.Client, prefix string, n int, within time.Duration) int {
	t.Helper()
	for i := range n {
		m, err := c.Take(within, func(x *client.Node) bool { return strings.HasPrefix(x.OriginID(), prefix+"-") })
		if err != nil {
			t.Errorf("after %d of %d: %v", i, n, err)
			return i
		}
		if id := m.OriginID(); id != fmt.Sprintf("%s-%d", prefix, i) {
			t.Errorf("%s came where %s-%d was due", id, prefix, i)
			return i
		}
	}
	return n
}

// HARDENING F10: a client that said it is inactive (XEP-0352) for ever, and a contact whose presence changes without end.
func TestQueue_inactiveForEver(t *testing.T) {
	n := scaled(5000, 100000)
	r := note(t, "F10", fmt.Sprintf("an inactive client (XEP-0352) and %d presences of a contact", n))
	s := server.Test(t, server.Parlance)
	o := s.Options("bob", "inactive")
	o.SM = true
	bob := s.LoginWith(t, o)
	alice := s.Login(t, "alice", "busy")
	for _, stanza := range []string{"<presence/>", "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"} {
		if err := bob.Send(stanza); err != nil {
			t.Fatal(err)
		}
	}
	if err := bob.Fence(patience); err != nil {
		t.Fatal(err)
	}
	if err := bob.Raw("<inactive xmlns='urn:xmpp:csi:0'/>"); err != nil {
		t.Fatal(err)
	}
	if err := bob.Fence(patience); err != nil {
		t.Fatal(err)
	}
	bob.Drain()
	before := memory(t, s.Pid)
	for i := range n {
		if err := alice.Send(fmt.Sprintf("<presence><status>%d</status></presence>", i)); err != nil {
			t.Fatal(err)
		}
		if i%100 == 99 { // her own come back to her (RFC 6121 §4.4.2), and 500 may wait
			if err := alice.Fence(patience); err != nil {
				t.Fatal(err)
			}
			alice.Drain()
		}
	}
	if err := alice.Fence(patience); err != nil {
		t.Fatal(err)
	}
	grown := memory(t, s.Pid) - before
	early := presences(bob.Drain(), alice.JID)
	if err := bob.Raw("<active xmlns='urn:xmpp:csi:0'/>"); err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprint(n - 1)
	if _, err := bob.Take(patience, func(x *client.Node) bool {
		return x.Is("presence", "") && x.Get("from") == alice.JID && x.Path("status") != nil && x.Path("status").Text == last
	}); err != nil {
		t.Fatalf("the last presence never came: %v", err)
	}
	late := presences(bob.Drain(), alice.JID)
	r.count(t, "memory grew by %d MiB; while inactive %d presences came, then the last, and %d others", grown>>20, early, late)
	if grown > 32<<20 {
		t.Errorf("memory grew by %d MiB for one inactive client", grown>>20)
	}
	if early+late > n/50 {
		t.Errorf("%d of %d presences came to a client that asked for none", early+late, n)
	}
}

func presences(ns []*client.Node, from string) (k int) {
	for _, n := range ns {
		if n.Name.Local == "presence" && n.Get("from") == from {
			k++
		}
	}
	return k
}

// HARDENING F11: somebody returns and much waits. It comes page by page, all of it, in
// order, and the client is not cut off for it.
func TestQueue_returningUser(t *testing.T) {
	n := *waiting
	r := note(t, "F11", fmt.Sprintf("%d messages wait for somebody who logs in", n))
	s := server.Test(t, server.Parlance)
	if err := pour(sender(t, s, "alice"), "erin@"+server.Domain, "wait", n, 200); err != nil {
		t.Fatal(err)
	}
	before := memory(t, s.Pid)
	o := s.Options("erin", "back")
	o.SM = true
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	erin, err := client.Login(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(erin.Close)
	bound := time.Since(began)
	if err := erin.Send("<presence/>"); err != nil {
		t.Fatal(err)
	}
	first := inOrder(t, erin, "wait", n, patience)
	took := time.Since(began)
	if err := erin.Fence(patience); err != nil {
		t.Errorf("cut off: %v", err)
	}
	r.count(t, "bound after %v (bar: 2 s), %d of %d came in order within %v; memory grew by %d MiB",
		bound.Round(time.Millisecond), first, n, took.Round(time.Millisecond), (memory(t, s.Pid)-before)>>20)
	if bound > 20*time.Second {
		t.Errorf("bound after %v", bound)
	}
	if left := len(bodies(erin.Drain())); left > 0 {
		t.Errorf("%d came twice", left)
	}
	archived(t, s, "erin", "wait", n)
}
