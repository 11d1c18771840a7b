package c2s

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// Stream is one client's XML stream: a state machine fed with bytes. It
// belongs to the goroutine that feeds it, except for its outlet.
type Stream struct {
	srv   *Server
	scan  *elem.Scanner
	step  step // what the next element or header means
	inlet Inlet
	sess  *session.Session // nil until bound
	host  *Host            // the hosted domain its headers name; nil before the first
	who   jid.JID          // bare JID that has logged in
	guest jid.JID          // who, if it is somebody without an account, gone with this connection
	nego  *negotiation     // nil once bound
	open  bool             // our header is out
	deep  bool             // what was done since has grown the stack
	out   outlet
}

// step is a state: a function that takes the next header or element.
type step func(s *Stream, ctx context.Context, raw *elem.Raw) error

// negotiation is what is needed until a session is bound.
type negotiation struct {
	s          *Stream
	started    time.Time
	login      time.Time // when the login that succeeded began
	remote     netip.Addr
	pass       *edge.Pass
	binding    sasl.Binding
	secure     bool    // TLS is on
	lang       string  // of the client's stream (RFC 6120 §4.7.4)
	from       jid.JID // whom its header names; zero if nobody
	said       sasl.Announced
	exchange   sasl.Exchange
	mech       string           // of the exchange
	creds      sasl.Credentials // of the exchange
	device     string           // the one that has logged in: what it said over XEP-0388, or the browser it is; empty if nobody knows
	ask        *request         // of a login over XEP-0388; nil over RFC 6120
	invite     string           // the invitation it has shown (XEP-0445)
	registered bool             // it has made an account
	failures   int              // failed logins
	refusals   int              // these, and exchanges that ended before there was one
	elements   int              // before login
}

// How feeding ends a connection, beside a *stream.Error.
var (
	errStartTLS = errors.New("c2s: TLS is to start")
	errFooter   = errors.New("c2s: the peer closed its stream")
)

// ErrGone says that the connection is of no use any more; the session may be resumed.
var ErrGone = errors.New("c2s: the connection is gone")

// Feed takes the bytes of a TCP stream and returns how many it has consumed;
// the rest must be presented again, in front of further bytes.
func (s *Stream) Feed(ctx context.Context, buf []byte) (n int, err error) {
	for err == nil {
		if s.out.ending.Load() != nil {
			err = ErrGone // the session is another connection's, or nobody's
			break
		}
		if s.header() && s.nego.elements > 0 {
			// White space behind the old stream's last element is not the new one's.
			n += len(buf[n:]) - len(bytes.TrimLeft(buf[n:], " \t\r\n"))
		}
		ev, k, bad := s.scan.Next(buf[n:])
		n += k
		if bad != nil {
			err = syntax(bad)
			break
		}
		if ev == elem.NeedMore {
			err = s.nego.early(buf[n:])
			break
		}
		err = s.take(ctx, ev, buf[n:])
	}
	return n, s.settle(ctx, err)
}

// Message takes one message of a framed stream (RFC 7395 §3.3): one element.
func (s *Stream) Message(ctx context.Context, msg []byte) error {
	if s.out.ending.Load() != nil {
		return ErrGone
	}
	ev, n, bad := s.scan.Next(msg)
	switch {
	case bad != nil:
		return syntax(bad)
	case ev != elem.Stanza || n != len(msg):
		// RFC 7395 §3.3.3: exactly one element, nothing around it.
		return stream.Fail("not-well-formed", "Every WebSocket message holds exactly one element (RFC 7395 §3.3.3).")
	}
	err := s.take(ctx, ev, nil)
	_, _, _ = s.scan.Next(nil) // gives its scratch space back
	return err
}

// MessageLimit is how long a message may be now.
func (s *Stream) MessageLimit() int {
	switch {
	case !s.who.IsZero():
		return stanzaLimits(s).Bytes
	case s.nego.secure:
		return s.srv.preAuth(true).Bytes
	}
	return s.srv.conf.Limits.PreAuth.Bytes
}

// Control writes bytes that are the transport's own, between elements.
func (s *Stream) Control(p []byte) error {
	return s.out.send(func(dst []byte, _ stream.Framing) []byte { return append(dst, p...) })
}

// Flush commits the messages collected. It is called when nothing complete is left to feed.
func (s *Stream) Flush(ctx context.Context) error { return s.settle(ctx, nil) }

// settle commits what was collected before the reason to stop.
func (s *Stream) settle(ctx context.Context, err error) error {
	if s.inlet == nil {
		return err
	}
	if bad := s.inlet.Flush(ctx); bad != nil && (err == nil || err == errFooter) {
		return s.internal(bad)
	}
	return err
}

// take gives one event to the state; rest is what follows it.
func (s *Stream) take(ctx context.Context, ev elem.Event, rest []byte) error {
	switch ev {
	case elem.Space: // RFC 6120 §4.6.1: keepalive
		if s.nego != nil && s.nego.ask != nil {
			// XEP-0388 §2.4: nothing else, not even this, until the login is over.
			return stream.Fail("policy-violation", "Nothing but the login may be sent before it is over (XEP-0388 §2.4).")
		}
		return nil
	case elem.Footer:
		return errFooter
	case elem.Header:
		return s.step(s, ctx, s.scan.Raw())
	}
	raw := s.scan.Raw()
	if s.nego != nil && s.who.IsZero() {
		if err := s.nego.counted(raw); err != nil {
			return err
		}
	}
	if s.out.frames.Framed() && string(raw.Space) == stream.FramedSpace {
		switch string(raw.Local) {
		case "close": // RFC 7395 §3.6
			return errFooter
		case "open":
			if !s.header() {
				return stream.Fail("policy-violation", "The stream is open already.")
			}
		}
	}
	err := s.step(s, ctx, raw)
	if err == errStartTLS && len(rest) > 0 {
		return injected()
	}
	return err
}

// header says that a stream header is what is expected now.
func (s *Stream) header() bool { return s.nego != nil && s.nego.exchange == nil && !s.open }

// counted applies the limits before login.
func (n *negotiation) counted(raw *elem.Raw) error {
	lim := &n.s.srv.conf.Limits
	if n.elements++; n.elements > lim.Elements {
		return stream.Failf("policy-violation", "Log in within %d elements.", lim.Elements)
	}
	if len(raw.Buf) > lim.PreAuth.Bytes && string(raw.Space) != stream.SASLSpace && string(raw.Space) != stream.SASL2Space {
		return n.tooLong()
	}
	return nil
}

// early refuses an incomplete element before login that has grown beyond what
// only a login element may have.
func (n *negotiation) early(buf []byte) error {
	if n == nil || !n.s.who.IsZero() || len(buf) <= n.s.srv.conf.Limits.PreAuth.Bytes {
		return nil
	}
	if bytes.HasPrefix(buf, []byte("<auth")) || bytes.HasPrefix(buf, []byte("<response")) {
		return nil
	}
	return n.tooLong()
}

func (n *negotiation) tooLong() error {
	return stream.Failf("policy-violation", "Before login an element may have %d bytes (XEP-0478).", n.s.srv.conf.Limits.PreAuth.Bytes)
}

// syntax turns the scanner's verdict into the stream error it names.
func syntax(err error) error {
	if bad, ok := errors.AsType[*elem.SyntaxError](err); ok {
		return stream.Fail(bad.Condition, bad.Msg)
	}
	return stream.Fail("not-well-formed", "")
}

// internal turns trouble of ours into a stream error; details go to the log.
func (s *Stream) internal(err error) error {
	if e, ok := errors.AsType[*stream.Error](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) {
		return stream.Fail("system-shutdown", "The server is going down. Please connect again in a moment.")
	}
	id := incident()
	s.srv.conf.Log.Error("stream ended by an internal error", "account", s.who.String(), "incident", id, "error", err)
	return stream.Fail("internal-server-error", "Something went wrong here. Incident "+id+".")
}

// deadline is when negotiation must be over; zero after it.
func (s *Stream) deadline() time.Time {
	if s.nego == nil {
		return time.Time{}
	}
	return s.nego.started.Add(s.srv.conf.Limits.Negotiation)
}
