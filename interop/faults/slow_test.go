package faults

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/attack"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// pour sends n messages to somebody and returns when all are acknowledged. Their
// ids are PREFIX-0, PREFIX-1 …
func pour(c *client.Client, to, prefix string, n, size int) error {
	const window = 200
	body := strings.Repeat("x", size)
	for i := range n {
		if err := c.Send(chat(to, fmt.Sprintf("%s-%d", prefix, i), body)); err != nil {
			return err
		}
		if i%(window/2) == 0 {
			_, sent, _ := c.Counters()
			if err := c.WaitAcked(5*patience, sent-min(sent, window)); err != nil {
				return fmt.Errorf("message %d: not acknowledged: %w", i, err)
			}
		}
	}
	_, sent, _ := c.Counters()
	if err := c.WaitAcked(5*patience, sent); err != nil {
		return fmt.Errorf("not all acknowledged: %w", err)
	}
	return nil
}

// crowded is a server with people besides the six.
func crowded(t *testing.T, people int) *server.Server {
	t.Helper()
	s, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Crowd: people})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Finish(t) })
	return s
}

// pourSome has somebody else for each of them, the crowd's first and so on, send n messages to them, all at once.
func pourSome(t *testing.T, s *server.Server, to []string, first int, prefix string, n, size int) {
	t.Helper()
	var all sync.WaitGroup
	errs := make(chan error, len(to))
	for i, j := range to {
		c := sender(t, s, server.Name(first+i))
		all.Go(func() { errs <- pour(c, j, prefix, n, size); c.Close() })
	}
	all.Wait()
	for range to {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

// sender is somebody with stream management.
func sender(t *testing.T, s *server.Server, who string) *client.Client {
	t.Helper()
	o := s.Options(who, "sender")
	o.SM = true
	return s.LoginWith(t, o)
}

// stuck is a client that binds, says that it is there, and says nothing more; it
// reads only if it is told to, and never acknowledges.
func stuck(t *testing.T, s *server.Server, who, resource, stanzas string, sm, reads bool) *client.Conn {
	t.Helper()
	conn, _ := stuckWith(t, s, who, resource, stanzas, sm, reads)
	return conn
}

// stuckWith gives the id to resume it with, too.
func stuckWith(t *testing.T, s *server.Server, who, resource, stanzas string, sm, reads bool) (conn *client.Conn, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := client.Authenticated(ctx, s.Options(who, resource))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Bind(resource); err != nil {
		t.Fatal(err)
	}
	if sm {
		stanzas = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>" + stanzas
	}
	if err := conn.Send(stanzas + "<iq type='get' id='there'><ping xmlns='urn:xmpp:ping'/></iq>"); err != nil {
		t.Fatal(err)
	}
	for n := (*client.Node)(nil); n.Get("id") != "there"; {
		if n, err = conn.Next(); err != nil {
			t.Fatal(err)
		}
		if n.Is("enabled", "") {
			id = n.Get("id")
		}
	}
	conn.Unlimited()
	if reads {
		go func() { _, _ = io.Copy(io.Discard, conn.Conn) }()
	} else if tls, ok := conn.Conn.(interface{ NetConn() net.Conn }); ok {
		if tcp, ok := tls.NetConn().(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4096)
		}
	}
	return conn, id
}

// archived reads a person's archive and says what of prefix-0 … prefix-(n-1) is not there once and in order.
func archived(t *testing.T, s *server.Server, who, prefix string, n int) {
	t.Helper()
	c := s.Login(t, who, "archive")
	all, err := c.Archive(patience, 200)
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for _, a := range all {
		if id := a.Message.OriginID(); strings.HasPrefix(id, prefix+"-") {
			if id != fmt.Sprintf("%s-%d", prefix, next) {
				t.Fatalf("%s: %s in the archive where %s-%d is due", who, id, prefix, next)
			}
			next++
		}
	}
	if next != n {
		t.Errorf("%s: %d of %d messages in the archive", who, next, n)
	}
	c.Close()
}

// canary runs while something bad happens; the function it returns stops and judges it.
func canary(t *testing.T, s *server.Server, r *row) (stop func()) {
	t.Helper()
	end := sing(t, s)
	return sync.OnceFunc(func() {
		t.Helper()
		x := end()
		r.count(t, "%v", x)
		if bad := ill(x); bad != nil {
			t.Error(bad)
		}
	})
}

// sing starts a canary; the function it returns stops it, once, and says how it went.
func sing(t *testing.T, s *server.Server) (stop func() attack.Report) {
	t.Helper()
	c, err := attack.StartCanary(context.Background(), s.Options("alice", "canary"), s.Options("bob", "canary"), s.Options("carol", "canary"), 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceValue(c.Stop)
	t.Cleanup(func() { stop() })
	return stop
}

// ill says what is wrong with a canary: HARDENING §0, p99 250 ms, a login 2 s; times ten.
func ill(x attack.Report) error {
	if len(x.Errors) > 0 || x.P99 > 2500*time.Millisecond || x.LoginP99 > 20*time.Second {
		return fmt.Errorf("canary: %v %v", x, x.Errors)
	}
	return nil
}

// HARDENING F9: clients that never read. Each costs at most 1 MiB, is let go, and finds everything in its archive.
// As many who read get the same first: what so many messages cost the server whoever gets them (the archive's memory of
// the last 65,536, SQLite's pages, garbage) is there then, and what those add who do not read is measured.
func TestSlow_neverReads(t *testing.T) {
	for _, sm := range []bool{false, true} {
		t.Run(fmt.Sprintf("stream_management_%v", sm), func(t *testing.T) {
			people, n := scaled(5, 100), scaled(3000, 4000) // more than the sockets of both sides hold
			r := note(t, "F9", fmt.Sprintf("%d clients that never read, %d messages of 2 KiB to each, stream management %v", people, n, sm))
			s := crowded(t, 3*people)
			watch := sender(t, s, "erin")
			if err := watch.Send("<presence/>"); err != nil {
				t.Fatal(err)
			}
			if err := watch.Fence(patience); err != nil {
				t.Fatal(err)
			}
			most := peak(t, s.Pid)
			var good []string
			for i := range people {
				who := server.Name(2*people + i)
				good = append(good, who+"@"+server.Domain)
				stuck(t, s, who, "good", "<presence/>", false, true)
			}
			calm := sing(t, s)
			pourSome(t, s, good, people, "good", n, 2<<10)
			usual := calm()
			before := most()
			most = peak(t, s.Pid)
			var to []string
			for i := range people {
				who := server.Name(i)
				to = append(to, who+"@"+server.Domain)
				// Directed presence: erin hears of it when the session ends (RFC 6121 §4.6.3).
				stuck(t, s, who, "stuck", "<presence/><presence to='"+watch.JID+"'/>", sm, false)
			}
			sung := sing(t, s)
			began := time.Now()
			pourSome(t, s, to, people, "slow", n, 2<<10)
			poured := time.Since(began)
			for range people {
				if _, err := watch.Take(10*30*time.Second, func(n *client.Node) bool { return n.Is("presence", "unavailable") }); err != nil {
					t.Fatalf("a client that does not read is still there: %v", err)
				}
			}
			gone := time.Since(began)
			grown := most() - before
			x := sung()
			r.count(t, "%v; beside those who read p99 was %d ms", x, usual.P99.Milliseconds())
			if bad := ill(x); bad != nil {
				t.Error(bad)
			}
			// HARDENING F9: twice what it is otherwise; times ten.
			if x.P99 > 20*max(usual.P99, 5*time.Millisecond) {
				t.Errorf("p99 of the canary is %v, beside those who read %v", x.P99, usual.P99)
			}
			r.count(t, "poured in %v, the last was let go after %v (bar: detached in 30 s); memory rose to %d MiB with those who read, %d MiB more with those who don't: %d KiB each with garbage (bar: 1 MiB)",
				poured.Round(time.Millisecond), gone.Round(time.Millisecond), before>>20, grown>>20, max(grown, 0)/int64(people)>>10)
			// The collector lets the whole grow by some megabytes more or less: with few sessions that is much for each.
			if limit := int64(people+12) << 20; grown > limit {
				t.Errorf("memory grew by %d MiB, limit %d", grown>>20, limit>>20)
			}
			for i := range people {
				archived(t, s, server.Name(i), "slow", n)
			}
		})
	}
}
