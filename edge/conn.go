package edge

import (
	"crypto/x509"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parlance-im/parlance/im/meter"
)

// Conn is an accepted connection. Beneath TLS it lets the reader ask for what
// is there already without waiting for more, so that buffers are held only
// while bytes are.
//
// Read, NoWait and what lies above them belong to the reading goroutine.
type Conn struct {
	net.Conn
	raw    syscall.RawConn // nil if the connection is no socket
	noWait bool
	// drained says that the last read took less than it could: that was all.
	drained bool
	dst     []byte // of the read under way without waiting
	n       int
	err     error
	try     func(fd uintptr) bool
	served  *x509.Certificate // certificate of the handshake; set before it ends
	wants   string            // host a handshake without a server name is for; set before it begins
	files   *Files            // nil if not counted
	traffic *meter.Traffic    // nil if not counted
	closed  atomic.Bool
	since   time.Time
	asked   atomic.Int32 // HTTP requests that came on it
	berth   int32        // in a Lot; owned by it, 0: none
	held    atomic.Pointer[held]
}

// NewConn wraps an accepted connection.
func NewConn(c net.Conn) *Conn {
	w := &Conn{Conn: c, since: time.Now()}
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			w.raw, w.try = raw, w.read
		}
	}
	return w
}

// CountRequest notes that an HTTP request begins.
func (c *Conn) CountRequest() { c.asked.Add(1) }

// Requests is how many HTTP requests there were.
func (c *Conn) Requests() int { return int(c.asked.Load()) }

// again is the error of a read that would have to wait. TLS does not hold a
// temporary error against the connection (crypto/tls, readRecordOrCCS).
type again struct{}

func (again) Error() string   { return "edge: nothing to read now" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// Again says whether err means that nothing was there to read.
func Again(err error) bool { _, ok := err.(again); return ok }

// NoWait makes the reads that follow return at once. A read that finds nothing
// then fails with an error for which Again is true.
func (c *Conn) NoWait(on bool) { c.noWait = on }

// Read reads from the network.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.noWait {
		n, err := c.Conn.Read(p)
		c.drained = n < len(p)
		c.came(n)
		return n, err
	}
	if c.raw == nil || len(p) == 0 || c.drained {
		return 0, again{}
	}
	c.dst = p
	err := c.raw.Read(c.try)
	c.dst = nil
	switch {
	case err != nil:
		return 0, again{} // closed or past its deadline: the next waiting read says so
	case c.err != nil:
		return 0, c.err
	case c.n == 0:
		return 0, io.EOF
	}
	c.drained = c.n < len(p)
	c.came(c.n)
	return c.n, nil
}

func (c *Conn) came(n int) {
	if c.traffic != nil {
		c.traffic.In.Add(max(n, 0))
	}
}

// Hold keeps what is written from now on back until Close, which sends it in one piece:
// last words and TLS's close_notify. To a peer that has closed already, the second of two
// writes would only raise SIGPIPE.
func (c *Conn) Hold() { c.held.Store(&held{buf: make([]byte, 0, 96)}) }

// held is what Hold keeps back.
type held struct {
	mu  sync.Mutex
	buf []byte // mu
}

func (h *held) write(p []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf = append(h.buf, p...)
}

// Write writes to the network.
func (c *Conn) Write(p []byte) (int, error) {
	if h := c.held.Load(); h != nil {
		h.write(p)
		return len(p), nil
	}
	n, err := c.Conn.Write(p)
	if c.traffic != nil {
		c.traffic.Out.Add(max(n, 0))
	}
	return n, err
}

// read is one attempt at the descriptor; it never asks to be called again.
func (c *Conn) read(fd uintptr) bool {
	for {
		c.n, c.err = syscall.Read(int(fd), c.dst)
		if c.err != syscall.EINTR {
			break
		}
	}
	switch {
	case c.err == syscall.EAGAIN:
		c.err = again{}
	case c.err != nil:
		c.err = os.NewSyscallError("read", c.err)
	}
	return true
}

// Close closes the connection and frees its place among the descriptors.
func (c *Conn) Close() error {
	if h := c.held.Swap(nil); h != nil {
		h.mu.Lock()
		last := h.buf
		h.mu.Unlock()
		_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // TLS has set it to now
		_, _ = c.Write(last)
	}
	err := c.Conn.Close()
	if c.files != nil && c.closed.CompareAndSwap(false, true) {
		c.files.done()
	}
	return err
}

// CloseWrite ends the outgoing half, where the connection has halves.
func (c *Conn) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return nil
}

// Since is when it was accepted.
func (c *Conn) Since() time.Time { return c.since }

// Served is the certificate the peer was shown; nil before the handshake and
// after a resumed one.
func (c *Conn) Served() *x509.Certificate { return c.served }

// Base finds the Conn beneath a TLS connection or a wrapped one; nil if there is none.
func Base(c net.Conn) *Conn {
	for {
		switch t := c.(type) {
		case *Conn:
			return t
		case interface{ NetConn() net.Conn }:
			c = t.NetConn()
		default:
			return nil
		}
	}
}
