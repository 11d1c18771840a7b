package c2s

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// Server serves client connections.
type Server struct {
	conf    Config
	home    *Host // the first hosted domain
	buffers edge.Buffers
	began   time.Time

	lot edge.Lot // of idle connections

	mu     sync.Mutex
	links  map[*link]struct{} // mu
	framed int                // mu; how many of links are WebSockets
	closed bool               // mu
	empty  chan struct{}      // mu; closed when links is empty after closed
}

// New makes a server. It starts nothing.
func New(conf Config) (*Server, error) {
	switch {
	case conf.Core == nil || conf.Credentials == nil || conf.Log == nil:
		return nil, errors.New("c2s: Core, Credentials and Log are required")
	}
	if conf.Gate == nil {
		conf.Gate = edge.NewGate(edge.DefaultGate())
	}
	if conf.Files == nil {
		conf.Files = edge.NewFiles(0)
	}
	conf.Meter = cmp.Or(conf.Meter, new(meter.Meter))
	home := Host{Domain: conf.Domain, Mechanisms: conf.Mechanisms, Register: conf.Register, Guests: conf.Guests != nil}
	if conf.Features != nil {
		home.Features = conf.Features()
	}
	first, err := NewHost(home)
	if err != nil {
		return nil, err
	}
	s := &Server{
		conf:  conf,
		home:  first,
		began: time.Now(),
		lot:   edge.Lot{Tick: tick(conf.Limits)},
		links: make(map[*link]struct{}),
		empty: make(chan struct{}),
	}
	return s, nil
}

// Serve accepts connections that begin in plain text and secure themselves by
// STARTTLS (RFC 6120 §5), until ln is closed or ctx ends.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	return edge.Serve(ctx, ln, s.conf.Files, s.conf.Log, func(c *edge.Conn) {
		s.enter(ctx, c, func(p *edge.Pass) {
			s.Run(ctx, Opening{Conn: c, Pass: p})
		})
	})
}

// ServeTLS accepts connections that are TLS from the first byte (XEP-0368).
func (s *Server) ServeTLS(ctx context.Context, ln net.Listener) error {
	return edge.Serve(ctx, ln, s.conf.Files, s.conf.Log, func(c *edge.Conn) {
		s.enter(ctx, c, func(p *edge.Pass) {
			t, err := edge.Handshake(ctx, c, p, s.conf.TLS, s.conf.Limits.Handshake)
			if err != nil {
				s.conf.Log.Debug("tls handshake failed", "remote", c.RemoteAddr().String(), "error", err)
				p.Leave()
				c.Close()
				return
			}
			// What the handshake made of the stack is not carried on.
			go s.Run(ctx, Opening{Conn: t, Pass: p})
		})
	})
}

// enter takes a place among the connections that are not logged in, or closes.
func (s *Server) enter(ctx context.Context, c *edge.Conn, then func(*edge.Pass)) {
	pass, err := s.conf.Gate.Enter(ctx, edge.Source(c))
	if err != nil {
		c.Close()
		return
	}
	then(pass)
}

// Opening is a connection to be served.
type Opening struct {
	// Conn is an *edge.Conn, or a TLS connection above one after its handshake.
	Conn net.Conn
	Pass *edge.Pass // its place at the gate; nil if it needs none
	// Framing and Decoder are nil for TCP.
	Framing stream.Framing
	Decoder Decoder
	// Initial are bytes that were read already. Not allowed to be plain text
	// before TLS, of course.
	Initial []byte
}

// Decoder takes bytes as read, which it may change, and gives the stream what is
// complete. It returns what must be presented again, in front of further bytes.
type Decoder interface {
	Feed(ctx context.Context, st *Stream, buf []byte) (rest []byte, err error)
}

// Run serves one connection. It returns when negotiation is over or the
// connection has ended; the rest goes on in a goroutine of its own.
func (s *Server) Run(ctx context.Context, o Opening) {
	l := newLink(ctx, s, o)
	if l == nil || !s.add(l) {
		o.Pass.Leave()
		o.Conn.Close()
		return
	}
	l.begin(o.Initial)
}

func (s *Server) add(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.links[l] = struct{}{}
	if l.st.out.frames.Framed() {
		s.framed++
	}
	return true
}

func (s *Server) remove(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.links[l]; ok && l.st.out.frames.Framed() {
		s.framed--
	}
	delete(s.links, l)
	if s.closed && len(s.links) == 0 {
		close(s.empty)
		s.empty = make(chan struct{}) // a second close can't happen: nothing is added any more
	}
}

// Idle is where connections are held without a goroutine.
func (s *Server) Idle() *edge.Lot { return &s.lot }

// Connections is how many there are.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.links)
}

// Framed is how many of the connections are WebSockets.
func (s *Server) Framed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.framed
}

// Shutdown ends every connection with system-shutdown (RFC 6120 §4.9.3.22) and
// waits for them until ctx ends, when it closes what is left. The caller has
// closed the listeners before, and ends Serve's context after: what is being
// committed is not to be cut off.
func (s *Server) Shutdown(ctx context.Context) {
	s.bye(ctx)
	s.lot.Close()
}

func (s *Server) bye(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	left := make([]*link, 0, len(s.links))
	for l := range s.links {
		left = append(left, l)
	}
	empty := s.empty
	s.mu.Unlock()
	if len(left) == 0 {
		return
	}
	down := &ending{reason: stream.Fail("system-shutdown", "The server is going down. Please connect again in a moment."), over: true, drain: true}
	for _, l := range left {
		l.st.out.end(down)
	}
	select {
	case <-empty:
		return
	case <-ctx.Done():
	}
	for _, l := range left {
		l.base.Close()
	}
	select {
	case <-empty:
	case <-time.After(lastWrite):
		s.conf.Log.Warn("connections are still busy at the end", "connections", s.Connections())
	}
}

// tick is how exact the times of idle connections are.
func tick(l Limits) time.Duration {
	return min(max(min(l.Idle, l.Grace)/8, 10*time.Millisecond), time.Second)
}

// binding is what ties a login to its TLS connection; zero without TLS.
func (s *Server) binding(c net.Conn, base *edge.Conn) sasl.Binding {
	t, ok := c.(*tls.Conn)
	if !ok {
		return sasl.Binding{}
	}
	state := t.ConnectionState()
	var shown *x509.Certificate
	if s.conf.Keys != nil {
		shown = s.conf.Keys.Shown(base)
	}
	b := sasl.Bind(&state, shown)
	if a := s.conf.Authorities; a != nil {
		var err error
		// At each connection anew: a TLS session may outlast the certificate.
		if b.Certified, err = a.Addresses(state.PeerCertificates, time.Now()); err != nil {
			s.conf.Log.Info("client certificate refused", "remote", base.RemoteAddr().String(), "error", err)
		}
	}
	return b
}

// preAuth are the scanner's limits before login.
func (s *Server) preAuth(secure bool) elem.Limits {
	lim := s.conf.Limits.PreAuth
	if secure {
		// Whether it is a login element is known only when it has come: see Stream.early.
		lim.Bytes = max(lim.Bytes, s.conf.Limits.LoginBytes)
	}
	return lim
}
