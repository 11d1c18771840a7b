package http

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/im/meter"
)

// Server serves the HTTPS port.
type Server struct {
	conf Config
	pace *pacer
	http *http.Server
	in   chan net.Conn // connections past their handshake
	done chan struct{} // closed by Shutdown
	once sync.Once
}

// New makes a server. It starts nothing.
func New(conf Config) (*Server, error) {
	if conf.Assets == nil || conf.Tokens == nil || conf.Credentials == nil || conf.Log == nil || conf.TLS == nil {
		return nil, errors.New("http: Assets, Tokens, Credentials, TLS and Log are required")
	}
	if conf.Handshake <= 0 {
		conf.Handshake = 10 * time.Second
	}
	conf.Timeout = cmp.Or(conf.Timeout, 30*time.Second)
	if conf.Gate == nil {
		conf.Gate = edge.NewGate(edge.DefaultGate())
	}
	if conf.Files == nil {
		conf.Files = edge.NewFiles(0)
	}
	conf.Meter = cmp.Or(conf.Meter, new(meter.Meter))
	if conf.Pace == (Pace{}) {
		conf.Pace = DefaultPace()
	}
	s := &Server{conf: conf, pace: newPacer(conf.Pace), in: make(chan net.Conn), done: make(chan struct{})}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       conf.Timeout,
		WriteTimeout:      conf.Timeout,
		// Nobody who says nothing stays longer than this (HARDENING X8).
		IdleTimeout:    30 * time.Second,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(conf.Log.Handler(), slog.LevelDebug),
		TLSConfig:      conf.TLS,
		ConnState: func(c net.Conn, now http.ConnState) {
			if b := edge.Base(c); b != nil && now == http.StateActive {
				b.CountRequest()
			}
		},
	}
	return s, nil
}

// Serve accepts connections until ln is closed or ctx ends, and returns after
// Shutdown; the end of ctx shuts down as well, without patience.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.http.Serve(&listener{s, ln.Addr()}) }) // ends with Shutdown
	stop := context.AfterFunc(ctx, func() { s.Shutdown(ctx) })
	defer stop()
	err := edge.Serve(ctx, ln, s.conf.Files, s.conf.Log, func(c *edge.Conn) { s.accept(ctx, c) })
	<-s.done
	wg.Wait()
	return err
}

// accept makes the handshake and hands the connection to who speaks what it
// asked for.
func (s *Server) accept(ctx context.Context, c *edge.Conn) {
	pass, err := s.conf.Gate.Enter(ctx, edge.Source(c))
	if err != nil {
		c.Close()
		return
	}
	t, err := edge.Handshake(ctx, c, pass, s.conf.TLS, s.conf.Handshake)
	if err != nil {
		s.conf.Log.Debug("tls handshake failed", "remote", c.RemoteAddr().String(), "error", err)
		pass.Leave()
		c.Close()
		return
	}
	if t.ConnectionState().NegotiatedProtocol == xmppClient {
		if s.conf.XMPP == nil {
			pass.Leave()
			t.Close()
			return
		}
		go s.conf.XMPP(ctx, t, pass) // on a fresh stack
		return
	}
	// A browser has no login on its connection; from here on net/http's
	// timeouts bound it.
	pass.Leave()
	select {
	case s.in <- t:
	case <-s.done:
		t.Close()
	}
}

// listener gives net/http the connections past their handshake.
type listener struct {
	s    *Server
	addr net.Addr
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.s.in:
		return c, nil
	case <-l.s.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { return nil }
func (l *listener) Addr() net.Addr { return l.addr }

// Shutdown lets requests finish until ctx ends; then it closes what is left.
// The caller has closed the listener before. Streams are not its business.
func (s *Server) Shutdown(ctx context.Context) {
	s.once.Do(func() { close(s.done) })
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
}
