package c2s

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// link is a connection and the goroutine that reads it. It is the only part
// that waits for bytes.
type link struct {
	srv  *Server
	base *edge.Conn
	nc   net.Conn // base, or TLS above it
	dec  Decoder  // nil for TCP
	st   Stream

	// ctx lasts as long as connections may; kept because whoever goes on with a
	// parked connection has no other.
	ctx    context.Context
	buf    []byte // borrowed while n > 0
	n      int
	one    [1]byte
	probed bool      // the peer was asked for a sign of life
	heard  bool      // something came since due was set
	stays  bool      // it can't be parked
	until  time.Time // the read deadline that is set
	due    time.Time // when silence has lasted too long; zero before a session is bound
}

func newLink(ctx context.Context, srv *Server, o Opening) *link {
	base := edge.Base(o.Conn)
	if base == nil {
		return nil
	}
	// Negotiation is limited from when the connection came, handshake included
	// (HARDENING X8); a WebSocket may begin later on one that served other requests.
	framing, since := o.Framing, base.Since()
	if framing == nil {
		framing = stream.TCP{}
	} else if base.Requests() > 1 {
		since = time.Now()
	}
	l := &link{srv: srv, base: base, nc: o.Conn, dec: o.Decoder, ctx: ctx}
	st := &l.st
	st.srv, st.step = srv, onHeader
	st.out.srv, st.out.base, st.out.frames, st.out.w = srv, base, framing, o.Conn
	st.out.bits.Store(held)
	st.nego = &negotiation{s: st, started: since, remote: edge.Source(base), pass: o.Pass}
	st.nego.binding = srv.binding(o.Conn, base)
	st.nego.secure = st.nego.binding.TLS
	st.scan = elem.NewScanner(srv.preAuth(st.nego.secure))
	if framing.Framed() {
		st.scan.SetFramed(true)
	}
	return l
}

// begin serves a new connection.
func (l *link) begin(initial []byte) {
	if len(initial) == 0 {
		l.run()
		return
	}
	defer l.srv.guard("read", l.broken)
	l.hold(len(initial))
	l.n = copy(l.buf, initial)
	if err := l.feed(l.ctx); err != nil {
		l.finish(err)
		return
	}
	l.run()
}

// run reads until the connection ends or is parked. When handshake, login or a
// request have grown its stack, it goes on in a fresh goroutine before it waits:
// a grown stack is not given back while the goroutine waits in a read (8 KB
// stay, a fresh one needs 4).
func (l *link) run() {
	defer l.srv.guard("read", l.broken)
	for {
		err := l.read()
		if err == errPark {
			if l.park() {
				return
			}
			continue
		}
		if err == nil {
			err = l.feed(l.ctx)
		}
		if err == errStartTLS {
			err = l.secure(l.ctx)
		}
		if err != nil {
			l.finish(err)
			return
		}
		if l.st.deep && l.n == 0 {
			l.st.deep = false
			go l.run()
			return
		}
	}
}

// read waits for bytes, holding no buffer if none are pending, and takes what
// has arrived with them.
func (l *link) read() error {
	for {
		l.expect()
		if l.st.out.ending.Load() != nil {
			return ErrGone
		}
		var k int
		var err error
		if l.n == 0 {
			if k, err = l.nc.Read(l.one[:]); k == 1 {
				l.hold(1)
				l.buf[0] = l.one[0]
			}
		} else {
			if err := l.grow(); err != nil {
				return err
			}
			k, err = l.nc.Read(l.buf[l.n:])
		}
		l.n += k
		switch {
		case k > 0:
			l.probed, l.heard = false, true
			return l.gather()
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := l.silence(); err != nil {
				return err
			}
		default:
			return ErrGone
		}
	}
}

// gather reads what else is there, up to one large buffer: messages in it are
// committed together.
func (l *link) gather() error {
	l.base.NoWait(true)
	defer l.base.NoWait(false)
	for l.n < gatherMost {
		if l.n == len(l.buf) {
			if err := l.grow(); err != nil {
				return err
			}
		}
		k, err := l.nc.Read(l.buf[l.n:])
		l.n += k
		if err != nil {
			return nil // nothing more now; a real error comes again with the next read
		}
	}
	return nil
}

const gatherMost = 16 << 10

// hold borrows a buffer for at least n bytes.
func (l *link) hold(n int) { l.buf = l.srv.buffers.Get(n) }

// grow makes room behind the pending bytes. The scanner's limit ends a stream
// long before this could be used to fill the memory.
func (l *link) grow() error {
	if l.n < len(l.buf) {
		return nil
	}
	old := l.buf
	l.hold(2 * len(old))
	copy(l.buf, old[:l.n])
	l.srv.buffers.Put(old)
	return nil
}

// feed gives the stream what was read and keeps the rest.
func (l *link) feed(ctx context.Context) error {
	var rest []byte
	var err error
	if l.dec != nil {
		rest, err = l.dec.Feed(ctx, &l.st, l.buf[:l.n])
	} else {
		var used int
		used, err = l.st.Feed(ctx, l.buf[:l.n])
		rest = l.buf[used:l.n]
	}
	if l.n = copy(l.buf, rest); l.n == 0 {
		l.srv.buffers.Put(l.buf)
		l.buf = nil
	}
	if l.st.nego != nil && !l.st.nego.pass.Hold(len(l.buf)) && err == nil {
		// Before login all connections share a budget.
		err = stream.Fail("resource-constraint", "Too many logins are under way. Please try again in a moment.")
	}
	return err
}

// secure is STARTTLS (RFC 6120 §5.4.2.3, §5.4.3).
func (l *link) secure(ctx context.Context) error {
	if l.n > 0 {
		return injected()
	}
	if err := l.st.out.element([]byte("<proceed xmlns='"+stream.TLSSpace+"'/>"), 0); err != nil {
		return err
	}
	l.base.Wants(l.st.host.Domain.Domain())
	l.st.scan.Reset(l.srv.preAuth(true)) // now, so that whoever is waited for holds nothing
	t, err := edge.Handshake(ctx, l.base, l.st.nego.pass, l.srv.conf.TLS, l.srv.conf.Limits.Handshake)
	if err != nil {
		l.srv.conf.Log.Debug("tls handshake failed", "remote", l.base.RemoteAddr().String(), "error", err)
		return ErrGone
	}
	l.nc, l.until = t, time.Time{}
	l.st.deep = true
	o := &l.st.out
	o.mu.Lock()
	o.w, o.limit = t, 0 // the handshake has cleared the deadline
	o.mu.Unlock()
	n := l.st.nego
	n.binding = l.srv.binding(t, l.base)
	n.secure = true
	l.st.restart()
	return nil
}
