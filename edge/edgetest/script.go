package edgetest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Script is a connection whose peer has said everything already.
type Script struct {
	mu     sync.Mutex
	in     *bytes.Reader
	out    bytes.Buffer
	once   sync.Once
	closed chan struct{}
}

// NewScript makes one; it seems to come from the same machine.
func NewScript(in []byte) *Script {
	return &Script{in: bytes.NewReader(in), closed: make(chan struct{})}
}

// Output is what was written, once the connection was closed.
func (s *Script) Output() []byte {
	<-s.closed
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.out.Bytes())
}

// Read meets net.Conn, as the rest does.
func (s *Script) Read(p []byte) (int, error) {
	select {
	case <-s.closed:
		return 0, net.ErrClosed
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.Read(p)
}

func (s *Script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return 0, io.ErrClosedPipe
	default:
	}
	return s.out.Write(p)
}

// Close ends it.
func (s *Script) Close() error { s.once.Do(func() { close(s.closed) }); return nil }

// LocalAddr and RemoteAddr are loopback addresses.
func (s *Script) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5222} }
func (s *Script) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

// Deadlines do nothing: nothing waits.
func (s *Script) SetDeadline(time.Time) error      { return nil }
func (s *Script) SetReadDeadline(time.Time) error  { return nil }
func (s *Script) SetWriteDeadline(time.Time) error { return nil }

// Panics counts log records of panics.
type Panics struct{ n atomic.Int32 }

// Count is how many there were.
func (p *Panics) Count() int { return int(p.n.Load()) }

// Enabled meets slog.Handler, as the rest does.
func (p *Panics) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

// Handle counts.
func (p *Panics) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "panic" {
			p.n.Add(1)
		}
		return true
	})
	return nil
}

// WithAttrs and WithGroup change nothing.
func (p *Panics) WithAttrs([]slog.Attr) slog.Handler { return p }
func (p *Panics) WithGroup(string) slog.Handler      { return p }
