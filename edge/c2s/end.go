package c2s

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"runtime/debug"
	"time"

	"github.com/parlance-im/parlance/xmpp/stream"
)

// finish ends the connection: the stream's last words, the session, the socket.
func (l *link) finish(err error) {
	if l.buf != nil {
		l.srv.buffers.Put(l.buf)
		l.buf, l.n = nil, 0
	}
	end := l.st.out.ending.Load()
	bad, isStream := errors.AsType[*stream.Error](err)
	over := isStream || err == errFooter || end != nil && end.over
	if (err == errFooter || end != nil && end.drain) && l.st.sess != nil {
		// RFC 6120 §4.4: the peer still reads; what it asked for before its closing tag is answered.
		_ = l.base.SetWriteDeadline(time.Now().Add(lastWrite))
		l.st.out.flush()
	}
	l.st.out.close()
	if s := l.st.sess; s != nil && !over {
		// At once: everything this connection has brought is handled and counted,
		// and another one may be waiting to take the session up.
		l.srv.conf.Core.Detach(s, &l.st.out)
	}
	polite, wait := false, err != errFooter
	if !wait {
		l.st.out.mu.Lock()
		l.base.Hold()
		l.st.out.mu.Unlock()
	}
	switch {
	case isStream || err == errFooter:
		polite = l.farewell(bad)
	case end != nil && !end.broken:
		polite = l.farewell(end.reason)
	}
	if s := l.st.sess; s != nil && over {
		l.srv.conf.Core.End(context.WithoutCancel(l.ctx), s)
	}
	if polite && wait {
		l.linger()
	}
	if polite {
		_ = l.nc.Close() // under TLS: close_notify
	}
	l.close()
}

func (l *link) close() {
	l.srv.lot.Leave(l.base)
	_ = l.base.Close()
	if l.st.nego != nil {
		l.st.nego.pass.Leave()
	}
	dismiss(&l.st)
	l.srv.remove(l)
}

// farewell writes a stream error, if there is one, and our closing tag (RFC
// 6120 §4.4, §4.9.1), and says whether that worked. No write may hold the end
// up for long.
func (l *link) farewell(reason *stream.Error) bool {
	l.st.out.ending.CompareAndSwap(nil, &ending{reason: reason})
	_ = l.base.SetWriteDeadline(time.Now().Add(lastWrite))
	return nil == l.st.out.send(func(dst []byte, f stream.Framing) []byte {
		if !l.st.open {
			// RFC 6120 §4.9.1.2: an error needs a stream to stand on.
			dst = f.Open(dst, &stream.Header{From: l.st.speaker().Domain, ID: rand.Text()})
		}
		if reason != nil {
			el, nameEnd := reason.AppendTo(nil)
			dst = f.Element(dst, el, nameEnd)
		}
		return f.Close(dst)
	})
}

// linger gives the peer a moment to close its stream too (RFC 6120 §4.4).
// Bytes left unread would make the kernel reset the connection, and the peer
// lose our last words.
func (l *link) linger() {
	if t, ok := l.nc.(interface{ CloseWrite() error }); ok {
		_ = t.CloseWrite() // under TLS: close_notify
	}
	_ = l.base.SetReadDeadline(time.Now().Add(l.srv.conf.Limits.Farewell))
	_, _ = io.CopyN(io.Discard, l.nc, farewellMost)
}

// farewellMost is how much of a peer that goes on talking is thrown away.
const farewellMost = 1 << 20

// broken ends the connection after a panic.
func (l *link) broken() {
	l.st.out.close()
	if s := l.st.sess; s != nil {
		l.srv.conf.Core.Detach(s, &l.st.out)
	}
	l.close()
}

// guard is deferred at a goroutine's top: a panic ends its connection alone. It
// is logged under an incident id, then after is called.
func (s *Server) guard(what string, after func()) {
	p := recover()
	if p == nil {
		return
	}
	s.conf.Log.Error("connection ended by a panic", "in", what, "incident", incident(), "panic", p, "stack", string(debug.Stack()))
	after()
}

// incident names one failure in the log and to the person who met it.
func incident() string { return rand.Text()[:10] }
