package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// fdReserve is how many descriptors connections leave to the store, the log
// and the admin socket (HARDENING F7).
const fdReserve = 64

// edges are the listeners and what stands behind them.
type edges struct {
	core      *core
	keys      *edge.Keys
	c2s       *c2s.Server
	listeners []listener
}

// listener is one open port.
type listener struct {
	kind string // as printed: c2s, c2s-tls, http
	ln   net.Listener
	run  func(context.Context, net.Listener) error
}

// pathCore is im/deliver's path as an edge sees it: Open gives the edge's own interface.
type pathCore struct{ *deliver.Path }

func (p pathCore) Open(s *session.Session) c2s.Inlet { return p.Path.Open(s) }

// openEdges opens all listeners; run serves them.
func openEdges(ctx context.Context, c *core) (*edges, error) {
	cert, err := certificate(c.cfg, time.Now())
	if err != nil {
		return nil, err
	}
	e := &edges{core: c}
	if e.keys, err = edge.NewKeys(cert); err != nil {
		return nil, fmt.Errorf("server: certificate: %w", err)
	}
	l := c.cfg.Limits
	gate := edge.NewGate(edge.GateLimits{PerSource: l.PreAuthPerAddress, Total: l.PreAuthConnections,
		Wait: edge.DefaultGate().Wait, Memory: l.PreAuthMemory.Bytes()})
	files := edge.NewFiles(fdReserve)
	e.c2s, err = c2s.New(c2s.Config{
		Domain: c.domain, Core: pathCore{c.path},
		Credentials: func(source netip.Addr) sasl.Credentials { return c.accounts.Login(source) },
		Mechanisms:  c.cfg.Login.Mechanisms,
		Plaintext:   c.cfg.Login.Plaintext,
		Keys:        e.keys,
		TLS:         e.keys.Config(minTLS(c.cfg), "xmpp-client"),
		Gate:        gate, Files: files, Limits: edgeLimits(c.cfg),
		Features: func() []*elem.Element { return []*elem.Element{c.caps, elem.New("urn:xmpp:features:rosterver", "ver")} },
		Log:      c.log,
	})
	if err != nil {
		return nil, fmt.Errorf("server: c2s: %w", err)
	}
	err = e.open(ctx, gate, files)
	if err != nil {
		e.close()
	}
	return e, err
}

func (e *edges) open(ctx context.Context, gate *edge.Gate, files *edge.Files) error {
	l := e.core.cfg.Listen
	for _, set := range []struct {
		kind  string
		addrs []string
		run   func(context.Context, net.Listener) error
	}{
		{"c2s", l.C2S, e.c2s.Serve},
		{"c2s-tls", l.C2STLS, e.c2s.ServeTLS},
	} {
		for _, addr := range set.addrs {
			ln, err := edge.Listen(ctx, addr)
			if err != nil {
				return fmt.Errorf("server: listen: %s: %w", set.kind, err)
			}
			e.listeners = append(e.listeners, listener{set.kind, ln, set.run})
		}
	}
	return nil
}

// announce prints where the server listens; scripts wait for these lines.
func (e *edges) announce(out io.Writer) {
	for _, l := range e.listeners {
		fmt.Fprintf(out, "listening %s %s\n", l.kind, l.ln.Addr())
	}
}

func (e *edges) close() {
	for _, l := range e.listeners {
		l.ln.Close()
	}
}

// farewell is how long connected clients have to hear that the server stops.
const farewell = 5 * time.Second

// run serves until ctx ends or a listener fails, then says goodbye to everybody.
func (e *edges) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range e.listeners {
		g.Go(func() error { return l.run(ctx, l.ln) })
	}
	err := g.Wait()
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	e.c2s.Shutdown(bye)
	return err
}

func minTLS(c *Config) uint16 {
	if c.TLS.MinVersion == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

func edgeLimits(c *Config) c2s.Limits {
	l, out := c.Limits, c2s.DefaultLimits()
	out.Negotiation, out.Handshake, out.Resume = l.Negotiation.D(), l.TLSHandshake.D(), l.ResumeWindow.D()
	out.PreAuth.Bytes, out.LoginBytes, out.Elements = int(l.PreAuthBytes), int(l.PreAuthLoginBytes), l.PreAuthElements
	out.Stanza = elem.Limits{Bytes: int(l.StanzaBytes), Depth: l.StanzaDepth, Elements: l.StanzaElements,
		Attrs: l.StanzaAttributes, Decls: l.StanzaNamespaces}
	return out
}
