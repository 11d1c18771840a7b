package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/parlance-im/parlance/admin/api"
	"github.com/parlance-im/parlance/admin/metric"
	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/http"
	"github.com/parlance-im/parlance/edge/ws"
	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/web"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// fdReserve is how many descriptors connections leave to the store, the log
// and the admin socket (HARDENING F7).
const fdReserve = 64

// edges are the listeners and what stands behind them.
type edges struct {
	core      *core
	keys      *edge.Keys
	gate      *edge.Gate
	files     *edge.Files
	c2s       *c2s.Server
	http      *http.Server
	admin     *api.Server
	metrics   *metric.Page
	traffic   map[string]*meter.Traffic // by listener
	listeners []listener
	// live lasts as long as connections may, which is longer than listeners.
	live   context.Context
	cancel context.CancelFunc
}

// listener is one open port.
type listener struct {
	kind string // as printed: c2s, c2s-tls, http, metrics, admin
	ln   net.Listener
	run  func(context.Context, net.Listener) error
}

// pathCore is im/deliver's path as an edge sees it: Open gives the edge's own interface.
type pathCore struct {
	*deliver.Path
	c *core
}

func (p pathCore) Open(s *session.Session) c2s.Inlet { return p.Path.Open(s) }

// Bind notes who has come.
func (p pathCore) Bind(ctx context.Context, account jid.JID, resource string, w session.Wire) (*session.Session, error) {
	s, err := p.Path.Bind(ctx, account, resource, w)
	if err == nil && !p.c.local(account.Domain()) { // its host went while it came in
		s.Kick(hostGone(account.DomainJID()))
		p.End(ctx, s)
		return nil, hostGone(account.DomainJID())
	}
	if err == nil && !p.c.guests.Is(account) {
		p.c.visits.Note(account.Bare(), s.Bound())
	}
	return s, err
}

// openEdges opens all listeners; run serves them.
func openEdges(ctx context.Context, c *core, version string) (*edges, error) {
	cert, err := certificate(c.cfg, time.Now())
	if err != nil {
		return nil, err
	}
	l := c.cfg.Limits
	e := &edges{core: c, files: edge.NewFiles(fdReserve),
		gate: edge.NewGate(edge.GateLimits{PerSource: l.PreAuthPerAddress, Total: l.PreAuthConnections,
			Wait: edge.DefaultGate().Wait, Turns: edge.DefaultGate().Turns, Memory: l.PreAuthMemory.Bytes()})}
	e.gate.OnCrowd = new(storm).tell
	e.live, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if e.keys, err = edge.NewKeys(cert); err != nil {
		return nil, fmt.Errorf("server: certificate: %w", err)
	}
	c.hosts.open(e.keys)
	if e.c2s, err = e.newC2S(); err != nil {
		return nil, fmt.Errorf("server: c2s: %w", err)
	}
	if e.http, err = e.newHTTP(version); err != nil {
		return nil, fmt.Errorf("server: http: %w", err)
	}
	e.traffic = map[string]*meter.Traffic{"c2s": {}, "c2s-tls": {}, "http": {}}
	if e.metrics, err = metric.New(e.sources(version)); err != nil {
		return nil, fmt.Errorf("server: metrics: %w", err)
	}
	e.admin = &api.Server{Accounts: c.accounts, Domain: c.domain.Domain(), Hosts: operating{c.hosts}, Log: c.log, Status: e.status(version),
		Metrics: e.metrics.Handler(), Trace: c.trace}
	if err := e.open(ctx); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *edges) newC2S() (*c2s.Server, error) {
	c := e.core
	known, err := authorities(c.cfg)
	if err != nil {
		return nil, err
	}
	tlsConf := e.keys.Config(minTLS(c.cfg), "xmpp-client")
	if known != nil {
		known.Ask(tlsConf)
	}
	return c2s.New(c2s.Config{
		Authorities: known, Guests: c.guests, Hosts: c.hosts.edge,
		Domain: c.domain, Core: pathCore{c.path, c},
		Credentials: c.credentials, Revoked: c.accounts.Devices.Revoked,
		Devices: devices(c), Upgrades: c.accounts.Upgrades, Begin: c.begin,
		Plaintext: c.cfg.Login.Plaintext,
		Keys:      e.keys,
		TLS:       tlsConf,
		Gate:      e.gate, Files: e.files, Limits: edgeLimits(c.cfg),
		Log: c.log, Meter: c.meter, Trace: c.trace,
	})
}

// newHTTP makes the HTTPS port: web client, API, WebSocket, and XMPP by ALPN.
func (e *edges) newHTTP(version string) (*http.Server, error) {
	c := e.core
	var routes []im.HTTPRoute
	for _, f := range c.features {
		routes = append(routes, f.HTTP...)
	}
	return http.New(http.Config{
		Domain: c.domain, Name: c.cfg.Name, Version: version, Hosts: c.hosts.called,
		Assets: web.Assets(), Tokens: c.accounts, Credentials: c.credentials, Routes: routes,
		Revoked:   c.accounts.Revoked,
		WebSocket: &ws.Handler{Server: e.c2s, Gate: e.gate, Log: c.log, Context: e.live},
		XMPP: func(ctx context.Context, t *tls.Conn, p *edge.Pass) {
			e.c2s.Run(ctx, c2s.Opening{Conn: t, Pass: p})
		},
		TLS:       e.keys.Config(minTLS(c.cfg), http.Protocols()...),
		Handshake: c.cfg.Limits.TLSHandshake.D(),
		Gate:      e.gate, Files: e.files, Log: c.log, Meter: c.meter,
	})
}

// devices is nil where no device gets a token.
func devices(c *core) c2s.Devices {
	if c.cfg.Login.TokenLifetime == 0 {
		return nil
	}
	return c.accounts.Devices
}

func (c *core) credentials(source netip.Addr) sasl.Credentials { return c.accounts.Login(source) }

func (e *edges) status(version string) func() api.Status {
	started := time.Now()
	return func() api.Status {
		return api.Status{Version: version, Domain: e.core.domain.Domain(), PID: os.Getpid(), Started: started,
			Sessions: e.core.routes.Count()}
	}
}

func (e *edges) open(ctx context.Context) error {
	l := e.core.cfg.Listen
	for _, set := range []struct {
		kind  string
		addrs []string
		run   func(context.Context, net.Listener) error
	}{
		{"c2s", l.C2S, e.c2s.Serve},
		{"c2s-tls", l.C2STLS, e.c2s.ServeTLS},
		{"http", l.HTTPS, e.http.Serve},
		{"metrics", l.Metrics, e.metrics.Serve},
	} {
		for _, addr := range set.addrs {
			ln, err := edge.Listen(ctx, addr)
			if err != nil {
				return fmt.Errorf("server: listen: %s: %w", set.kind, err)
			}
			if t := e.traffic[set.kind]; t != nil {
				ln = edge.Metered(ln, t)
			}
			e.listeners = append(e.listeners, listener{set.kind, ln, set.run})
		}
	}
	e.core.reachable(e.listeners)
	ln, err := api.Listen(e.core.cfg.AdminSocket())
	if err != nil {
		return fmt.Errorf("server: listen: admin: %w", err)
	}
	e.listeners = append(e.listeners, listener{"admin", ln, e.admin.Serve})
	return nil
}

// announce prints where the server listens; scripts wait for these lines.
func (e *edges) announce(out io.Writer) {
	for _, l := range e.listeners {
		if l.kind == "admin" {
			continue // not for clients; `parlance user` finds it by the data folder
		}
		fmt.Fprintf(out, "listening %s %s\n", l.kind, l.ln.Addr())
	}
}

func (e *edges) close() {
	for _, l := range e.listeners {
		if err := l.ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			e.core.log.Warn("server: a listener did not close", "kind", l.kind, "err", err)
		}
	}
}

// farewell is how long connected clients have to hear that the server stops.
const farewell = 5 * time.Second

// run serves until ctx ends or a listener fails: then nobody new is let in, and
// everybody is told.
func (e *edges) run(ctx context.Context) error {
	failed := make(chan error, len(e.listeners))
	for _, l := range e.listeners {
		go func() { failed <- l.run(e.live, l.ln) }()
	}
	var errs []error
	left := len(e.listeners)
	select {
	case <-ctx.Done():
	case err := <-failed:
		left--
		errs = append(errs, err)
	}
	e.close()
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	e.c2s.Shutdown(bye)
	e.http.Shutdown(bye)
	e.cancel()
	for range left {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
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
