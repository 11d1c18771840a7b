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

// HARDENING F10: stream management is on, everything is read and nothing is ever
// acknowledged; then all the clients vanish and their sessions hibernate. Others who
// get twice as much and acknowledge it come first: what the archive keeps in memory of
// the last 65,536 messages is there then, and only what the sessions hold is added.
func TestQueue_neverAcknowledged(t *testing.T) {
	people, n := scaled(80, 1000), 450 // below the limit of 500, at which a session ends
	r := note(t, "F10", fmt.Sprintf("%d clients with stream management that acknowledge nothing, %d messages of 300 B to each; then all are cut off", people, n))
	s := crowded(t, 3*people)
	name := func(i int) string { return server.Name(i) + "@" + server.Domain }
	send := func(first int, prefix string, n int) (after int64) {
		for i := 0; i < people; i += 20 {
			var to []string
			for j := i; j < min(i+20, people); j++ {
				to = append(to, name(first+j))
			}
			pourSome(t, s, to, 2*people+i, prefix, n, 300)
		}
		return memory(t, s.Pid)
	}
	for i := range people {
		c := s.LoginWith(t, managed(s.Options(server.Name(people+i), "good")))
		if err := c.Send("<presence/>"); err != nil {
			t.Fatal(err)
		}
		go func() { // forget what comes: this process has to hold it otherwise
			for c.Await(patience, func([]*client.Node) ([]*client.Node, bool) { return nil, false }) == client.ErrTimeout {
			}
		}()
	}
	conns, ids := make([]*client.Conn, people), make([]string, people)
	for i := range people {
		conns[i], ids[i] = stuckWith(t, s, server.Name(i), "stuck", "<presence/>", true, true)
	}
	before := send(people, "good", 2*n)
	grown := send(0, "bomb", n) - before
	for _, c := range conns {
		_ = c.Close()
	}
	r.count(t, "memory grew by %d MiB, %d KiB a session with garbage (bar: 64 KiB)", grown>>20, grown/int64(people)>>10)
	// The collector lets the whole grow by some megabytes more or less: with few sessions that is much for each.
	if limit := int64(people)*64<<10 + 8<<20; grown > limit {
		t.Errorf("memory grew by %d KiB, limit %d", grown>>10, limit>>10)
	}
	for i := range min(people, 20) {
		archived(t, s, server.Name(i), "bomb", n)
		// XEP-0198 §5: taken up again it has them all once more, in order.
		o := managed(s.Options(server.Name(i), "stuck"))
		o.Resume = &client.Resume{ID: ids[i]}
		c := s.LoginWith(t, o)
		if c.Resumed == nil {
			t.Fatal("not resumed")
		}
		inOrder(t, c, "bomb", n, patience)
		if err := c.Fence(patience); err != nil {
			t.Error(err)
		}
		if left := len(bodies(c.Drain())); left > 0 {
			t.Errorf("%d came twice", left)
		}
		c.Close()
	}
}

// managed has stream management switched on.
func managed(o client.Options) client.Options { o.SM = true; return o }

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
