package metric

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Page is the page of metrics.
type Page struct{ handler http.Handler }

// New makes the page of a server, with the numbers of the Go runtime and of the
// process beside its own.
func New(src Sources) (*Page, error) {
	reg := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		newCollector(src), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("metric: %w", err)
		}
	}
	log := src.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Page{promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxRequestsInFlight: scrapers,
	})}, nil
}

// scrapers is how many may read at the same time, connections how many may be connected.
const (
	scrapers    = 4
	connections = 32
)

// Handler answers with the page, whatever the path.
func (p *Page) Handler() http.Handler { return p.handler }

// Serve answers GET /metrics on l, and nothing else, until ctx ends or l is closed.
func (p *Page) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", p.handler)
	h := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, 0),
	}
	stop := context.AfterFunc(ctx, func() { _ = h.Close() })
	defer stop()
	err := h.Serve(&bounded{Listener: l, free: make(chan struct{}, connections), closed: make(chan struct{})})
	_ = h.Close() // connections of a listener that was closed by its owner
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// bounded is a listener with so many connections at a time, for nobody logs in
// here: the others wait in the kernel.
type bounded struct {
	net.Listener
	free   chan struct{} // as many tokens as connections
	once   sync.Once
	closed chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.free <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.free
		return nil, err
	}
	return &one{Conn: c, free: b.free}, nil
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

type one struct {
	net.Conn
	once sync.Once
	free chan struct{}
}

func (o *one) Close() error {
	o.once.Do(func() { <-o.free })
	return o.Conn.Close()
}
