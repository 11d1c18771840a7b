package c2s

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// onBind waits for a resource binding (RFC 6120 §7) or the resumption of an
// earlier session (XEP-0198 §5).
func onBind(s *Stream, ctx context.Context, raw *elem.Raw) error {
	switch string(raw.Space) {
	case stream.Client:
		if string(raw.Local) == "iq" && string(attr(raw, "type")) == "set" && len(raw.Kids) == 1 && !raw.Prefixed &&
			string(raw.Kids[0].Space) == stream.BindSpace && string(raw.Kids[0].Local) == "bind" {
			return s.bind(ctx, raw)
		}
		// RFC 6120 §7.1: no stanza before a resource is bound.
		return stream.Fail("not-authorized", "Bind a resource before you send stanzas (RFC 6120 §7).")
	case stream.SMSpace:
		if string(raw.Local) == "resume" {
			return s.resume(ctx, raw)
		}
		// XEP-0198 §3: only after binding.
		return s.failed("unexpected-request", nil)
	case stream.SASLSpace, stream.SASL2Space, stream.TLSSpace: // XEP-0388 §4.8 among them
		return stream.Fail("policy-violation", "You are logged in already.")
	}
	return stream.Fail("not-authorized", "Bind a resource first (RFC 6120 §7).")
}

func (s *Stream) bind(ctx context.Context, raw *elem.Raw) error {
	id := string(attr(raw, "id"))
	el, err := raw.KidElement(0)
	if err != nil {
		return syntax(err)
	}
	resource := el.ChildText("resource")
	if resource == "" {
		resource = rand.Text() // RFC 6120 §7.6
	}
	full, err := s.who.WithResource(resource)
	if id == "" || err != nil {
		return s.iqError(id, stanza.Fail("bad-request", "The resource is not acceptable.")) // RFC 6120 §7.6.2.1… bad-request
	}
	sess, err := s.srv.conf.Core.Bind(ctx, s.who, full.Resource(), &s.out)
	if err != nil {
		if e, ok := errors.AsType[*stanza.Error](err); ok {
			return s.iqError(id, e) // RFC 6120 §7.6.2.1: resource-constraint, and others
		}
		return s.internal(err)
	}
	s.sess = sess
	sess.SetLanguage(s.nego.lang)
	sess.SetDevice(s.nego.device)
	jid := elem.New(stream.BindSpace, "bind").Add(elem.New(stream.BindSpace, "jid").SetText(sess.JID().String()))
	iq := elem.New(stream.Client, "iq", "type", "result", "id", id).Add(jid)
	if err := s.iq(iq); err != nil {
		return err
	}
	return s.bound()
}

// bound begins the stanza loop; frames flow from now on.
func (s *Stream) bound() error {
	// Who lost the account between login and now was not among the sessions
	// that were ended for it (HARDENING A12).
	if f := s.srv.conf.Revoked; f != nil && f(s.who, s.nego.device, s.nego.login) {
		// At once: what came in the same segment is not to be looked at.
		return session.NotAuthorized("Please log in again.")
	}
	s.inlet = s.srv.conf.Core.Open(s.sess)
	s.step = onStanza
	s.deep = true
	s.nego = nil
	s.out.release(s.sess)
	return nil
}

func (s *Stream) iqError(id string, e *stanza.Error) error {
	iq := elem.New(stream.Client, "iq", "type", "error").Add(e.Element())
	if id != "" {
		iq.Set("id", id)
	}
	return s.iq(iq)
}

func (s *Stream) iq(e *elem.Element) error {
	return s.out.element(e.AppendTo(nil, stream.Client), len("<iq"))
}
