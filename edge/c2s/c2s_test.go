package c2s_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// core lets edgetest's path stand where c2s.Core is wanted, as server does with the real one.
type core struct{ *edgetest.Core }

func (c core) Open(s *session.Session) c2s.Inlet { return c.Core.Open(s) }

// patience is for slow machines; nothing waits that long.
const patience = 20 * time.Second

type bench struct {
	t      *testing.T
	core   *edgetest.Core
	people *edgetest.People
	keys   *edge.Keys
	srv    *c2s.Server
	gate   *edge.Gate
	addr   string // STARTTLS
	direct string // direct TLS
}

func start(t *testing.T, change ...func(*c2s.Config)) *bench {
	t.Helper()
	b := &bench{t: t, core: edgetest.NewCore(), people: &edgetest.People{}, keys: edgetest.Keys(t)}
	b.gate = edge.NewGate(edge.DefaultGate())
	conf := c2s.Config{
		Domain: jid.MustParse(edgetest.Domain), Core: core{b.core}, Keys: b.keys, Gate: b.gate,
		Credentials: func(netip.Addr) sasl.Credentials { return b.people },
		TLS:         b.keys.Config(0, "xmpp-client"), Limits: c2s.DefaultLimits(), Log: slog.New(slog.DiscardHandler),
	}
	conf.Limits.Park = time.Millisecond // so that everything is tried with parked connections too
	for _, f := range change {
		f(&conf)
	}
	var err error
	if b.srv, err = c2s.New(conf); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	open := func(serve func(context.Context, net.Listener) error) (string, net.Listener) {
		ln, err := edge.Listen(ctx, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { done <- serve(ctx, ln) }()
		return ln.Addr().String(), ln
	}
	var l1, l2 net.Listener
	b.addr, l1 = open(b.srv.Serve)
	b.direct, l2 = open(b.srv.ServeTLS)
	t.Cleanup(func() {
		l1.Close()
		l2.Close()
		end, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		b.srv.Shutdown(end)
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := b.srv.Connections(); n != 0 {
			t.Errorf("%d connections left", n)
		}
		if n := b.gate.Inside(); n != 0 {
			t.Errorf("%d places at the gate are not given back", n)
		}
	})
	return b
}

func (b *bench) login(user, resource string, change ...func(*client.Options)) *client.Client {
	b.t.Helper()
	o := client.Options{Addr: b.addr, Domain: edgetest.Domain, User: user, Pass: edgetest.Password, Resource: resource}
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Login(ctx, o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}

func withSM(o *client.Options) { o.SM = true }

func body(n *client.Node) string { return n.Body() }

func TestLogin_everyMechanismOverSTARTTLSAndDirectTLS(t *testing.T) {
	b := start(t)
	for _, mech := range []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"} {
		for _, direct := range []bool{false, true} {
			c := b.login("alice", "", func(o *client.Options) {
				o.Mechanism = mech
				if direct {
					o.DirectTLS, o.Addr = true, b.direct
				}
			})
			if !strings.HasPrefix(c.JID, "alice@acme.test/") || len(c.JID) < 30 {
				t.Errorf("%s: bound to %q, want a random resource", mech, c.JID)
			}
			if err := c.Fence(patience); err != nil {
				t.Errorf("%s: %v", mech, err)
			}
			c.Close()
			if !b.core.Await("end "+c.JID, patience) {
				t.Errorf("%s: the session did not end with its stream", mech)
			}
		}
	}
}

func TestMessages_bothWays(t *testing.T) {
	b := start(t)
	alice, bob := b.login("alice", "phone", withSM), b.login("bob", "desk")
	for i := range 50 {
		from, to, who := alice, bob, "bob@acme.test"
		if i%2 == 1 {
			from, to, who = bob, alice, "alice@acme.test/phone"
		}
		text := strings.Repeat("x<>&", i)
		if err := from.Send("<message type='chat' to='" + who + "'><body>" + client.Escape(text) + "</body></message>"); err != nil {
			t.Fatal(err)
		}
		n, err := to.Next(patience)
		if err != nil || body(n) != text || n.Get("from") != from.JID {
			t.Fatalf("message %d: %v %v", i, n, err)
		}
	}
	if err := alice.WaitAcked(patience, 25); err != nil {
		t.Error(err)
	}
}

func TestManagement_resumeAfterACut(t *testing.T) {
	b := start(t)
	alice, bob := b.login("alice", "phone", withSM), b.login("bob", "desk")
	say := func(text string) {
		t.Helper()
		if err := bob.Send("<message type='chat' to='alice@acme.test'><body>" + text + "</body></message>"); err != nil {
			t.Fatal(err)
		}
		if err := bob.Fence(patience); err != nil {
			t.Fatal(err)
		}
	}
	say("one")
	if n, err := alice.Next(patience); err != nil || body(n) != "one" {
		t.Fatal(n, err)
	}
	alice.Cut()
	if !b.core.Await("detach alice@acme.test/phone", patience) {
		t.Fatal("the cut was not seen")
	}
	say("two")
	h, _, _ := alice.Counters()
	again := b.login("alice", "phone", func(o *client.Options) {
		o.SM, o.Resume = true, &client.Resume{ID: alice.SMID, H: h}
	})
	if again.Resumed == nil || again.Resumed.Get("previd") != alice.SMID || again.Resumed.Get("h") != "0" {
		t.Fatalf("resumed: %v", again.Resumed)
	}
	if n, err := again.Next(patience); err != nil || body(n) != "two" {
		t.Fatal(n, err)
	}
	if err := again.Fence(patience); err != nil {
		t.Fatal(err)
	}
}

func TestManagement_resumeUnknownLeavesBindingOpen(t *testing.T) {
	b := start(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o := client.Options{Addr: b.addr, Domain: edgetest.Domain, User: "alice", Pass: edgetest.Password}
	conn, err := client.Authenticated(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Send("<resume xmlns='urn:xmpp:sm:3' previd='guess' h='0'/>"); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Next()
	if err != nil || n.Name.Local != "failed" || n.Path("item-not-found") == nil {
		t.Fatalf("%v %v, want item-not-found (XEP-0198 §5)", n, err)
	}
	if _, err := conn.Bind("phone"); err != nil {
		t.Fatal(err)
	}
}

func closedWith(t *testing.T, c *client.Conn, condition string) {
	t.Helper()
	for {
		n, err := c.Next()
		if err != nil {
			t.Fatalf("ended with %v, want stream error %s", err, condition)
		}
		if n.Name.Local == "error" {
			if n.Condition() != condition {
				t.Fatalf("stream error %v, want %s", n, condition)
			}
			break
		}
	}
	if _, err := c.Next(); err != io.EOF {
		t.Errorf("after the error: %v, want the closing tag (RFC 6120 §4.9.1.1)", err)
	}
	var one [1]byte
	if _, err := c.Conn.Read(one[:]); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the connection stays open: %v", err)
	}
}
