package c2s

import (
	"context"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// onStanza is the bound stream: stanzas for the path, and what is about the stream itself.
func onStanza(s *Stream, ctx context.Context, raw *elem.Raw) error {
	switch string(raw.Space) {
	case stream.Client:
		return s.stanza(ctx, raw)
	case stream.SMSpace:
		return onManage(s, ctx, raw)
	case stream.CSISpace:
		return s.state(raw)
	case stream.Space:
		if string(raw.Local) == "error" {
			return errFooter // RFC 6120 §4.9.1.1: the peer is about to close
		}
	case stream.SASLSpace, stream.SASL2Space, stream.TLSSpace:
		return stream.Fail("policy-violation", "You are logged in already.")
	}
	if kind(raw) != 0 {
		// RFC 6120 §4.8.2: stanzas are in the content namespace.
		return stream.Fail("invalid-namespace", "Stanzas belong to "+stream.Client+".")
	}
	return stream.Fail("unsupported-stanza-type", "Send <message/>, <presence/> or <iq/>.") // RFC 6120 §4.9.3.24
}

func (s *Stream) stanza(ctx context.Context, raw *elem.Raw) error {
	k := kind(raw)
	switch {
	case k == 0:
		return stream.Fail("unsupported-stanza-type", "Send <message/>, <presence/> or <iq/>.")
	case raw.Prefixed:
		// RFC 6120 §4.8.5: the content namespace is the default one, unprefixed.
		return stream.Fail("bad-namespace-prefix", "Write stanzas without a prefix (RFC 6120 §4.8.5).")
	case k == stanza.IQ && isOldSession(raw, s.speaker().Domain.String()):
		return s.oldSession(ctx, raw)
	}
	s.deep = s.deep || k != stanza.Message
	if err := s.inlet.Stanza(ctx, raw); err != nil {
		return s.internal(err)
	}
	return nil
}

func kind(raw *elem.Raw) stanza.Kind {
	switch string(raw.Local) {
	case "message":
		return stanza.Message
	case "presence":
		return stanza.Presence
	case "iq":
		return stanza.IQ
	}
	return 0
}

// isOldSession recognises the session request of RFC 3921 §3, which goes to the
// server: one to somebody else is theirs.
func isOldSession(raw *elem.Raw, server string) bool {
	to := attr(raw, "to")
	return (len(to) == 0 || string(to) == server) && len(raw.Kids) == 1 && string(raw.Kids[0].Space) == stream.OldSession &&
		string(raw.Kids[0].Local) == "session" && string(attr(raw, "type")) == "set"
}

// oldSession answers it: there is nothing to do any more. Both stanzas count (XEP-0198 §4).
func (s *Stream) oldSession(ctx context.Context, raw *elem.Raw) error {
	if err := s.inlet.Flush(ctx); err != nil {
		return s.internal(err)
	}
	s.sess.CountIn(1)
	iq := elem.New(stream.Client, "iq", "type", "result", "id", string(attr(raw, "id")))
	s.push(stanza.IQ, iq)
	return nil
}

// push queues a stanza the edge itself sends, so that it is counted and kept
// in order with the others.
func (s *Stream) push(k stanza.Kind, e *elem.Element) {
	f := &session.Frame{Bytes: e.AppendTo(nil, stream.Client), NameEnd: 1 + len(k.String()), Kind: k, Urgent: true}
	if s.sess.Push(f) == session.Full {
		s.srv.conf.Meter.Overflow.Add(1)
		s.out.end(&ending{reason: stream.Fail("resource-constraint", "Too much waits to be sent to you."), over: true})
	}
}

// state is XEP-0352 §3.
func (s *Stream) state(raw *elem.Raw) error {
	var inactive bool
	switch string(raw.Local) {
	case "active":
	case "inactive":
		inactive = true
	default:
		return stream.Fail("unsupported-stanza-type", "Send <active/> or <inactive/> (XEP-0352).")
	}
	s.sess.Switch(func(f *session.Flags) { f.Inactive = inactive })
	return nil
}
