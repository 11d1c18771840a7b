package c2s

import (
	"context"
	"crypto/rand"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// onHeader answers a stream header with ours and the features (RFC 6120 §4.2, §4.3).
func onHeader(s *Stream, _ context.Context, raw *elem.Raw) error {
	h, bad := stream.ReadHeader(raw, s.out.frames.Framed())
	if bad == nil {
		bad = s.nego.addressed(h)
	}
	if bad != nil {
		return bad // the answer's header goes in front of it: see farewell
	}
	s.step = onNegotiate
	if !s.who.IsZero() {
		s.step = onBind
	}
	s.open = true
	// RFC 6120 §4.7.4: remembered for the stanzas of this stream; one that begins
	// anew (RFC 6120 §4.3.3) says it anew.
	s.nego.lang, s.nego.from = h.Lang, h.From
	return s.out.send(func(dst []byte, f stream.Framing) []byte {
		dst = f.Open(dst, s.nego.opening(h))
		el, nameEnd := s.nego.features(nil)
		return f.Element(dst, el, nameEnd)
	})
}

// addressed checks whom the header names.
func (n *negotiation) addressed(h stream.Header) *stream.Error {
	switch {
	case h.To.IsZero():
		// RFC 6120 §4.7.2: the initiating entity must say which host it wants.
		return stream.Fail("improper-addressing", "Say in \"to\" which domain you want.")
	case n.s.host != nil && h.To != n.s.host.Domain:
		// RFC 6120 §4.9.3.6: the stream began with another host, whose certificate it was
		// shown and to which it has logged in (HARDENING X11).
		return stream.Fail("host-unknown", "This stream is for "+n.s.host.Domain.String()+".")
	}
	host := n.s.srv.host(h.To) // at each header anew: it may have been removed since
	switch {
	case host == nil && n.s.host != nil:
		return stream.Fail("host-gone", "This server does not serve "+h.To.String()+" any more.") // RFC 6120 §4.9.3.5
	case host == nil:
		return stream.Fail("host-unknown", "This server does not serve "+h.To.String()+".") // RFC 6120 §4.9.3.6
	}
	n.s.host = host
	switch {
	case n.s.who.IsZero() && !h.From.IsZero() && h.From.Domain() != host.Domain.Domain():
		// XEP-0388 §2.1: nobody of another domain logs in here.
		return stream.Fail("invalid-from", "\"from\" is not of this domain.")
	case !n.s.who.IsZero() && !h.From.IsZero() && h.From.Bare() != n.s.who:
		return stream.Fail("invalid-from", "\"from\" is not who has logged in.") // RFC 6120 §4.9.3.9
	}
	return nil
}

// opening is our header (RFC 6120 §4.7): a fresh id of 128 bits or more.
func (n *negotiation) opening(h stream.Header) *stream.Header {
	a := &stream.Header{From: n.s.host.Domain, ID: rand.Text()}
	if !n.s.who.IsZero() {
		a.To = n.s.who
	} else if h.From.IsBare() {
		a.To = h.From // RFC 6120 §4.7.2: told back
	}
	return a
}
