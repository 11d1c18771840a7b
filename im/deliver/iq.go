package deliver

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// iq answers a request to the server or to an account, or passes it on to the
// session it names (RFC 6120 §10.3.3, RFC 6121 §8.5).
func (p *Path) iq(ctx context.Context, s *session.Session, j *judged) error {
	st := j.st
	to := st.To
	self := s.JID().Bare()
	switch {
	case to.IsZero():
		return p.answer(ctx, s, st, self, im.ToSelf)
	case to == self:
		return p.answer(ctx, s, st, to, im.ToSelf)
	case !p.cfg.Local(to.Domain()):
		return stanza.Fail("remote-server-not-found", "this server does not exchange stanzas with "+to.Domain())
	case to.IsDomain():
		return p.answer(ctx, s, st, to, im.ToHost)
	case to.IsBare():
		// RFC 6120 §13.11, HARDENING A6: who does not exist is not asked for; the
		// handlers answer as they do to a stranger of somebody who does.
		return p.answer(ctx, s, st, to, im.ToAccount)
	}
	return p.forward(st)
}

// forward is RFC 6121 §8.5.3: the connected resource or an error.
func (p *Path) forward(st *stanza.Stanza) error {
	to := p.cfg.Routes.Session(st.To)
	if to == nil {
		return stanza.Fail("service-unavailable", "this device is not connected")
	}
	f := route.Encode(st)
	if st.Type == stanza.Get || st.Type == stanza.Set {
		f.Request = st
	}
	p.cfg.Routes.Push(to, f)
	return nil
}

// answer asks the handler that claims the payload.
func (p *Path) answer(ctx context.Context, s *session.Session, st *stanza.Stanza, to jid.JID, scope im.Scope) error {
	if st.Type != stanza.Get && st.Type != stanza.Set {
		if scope == im.ToSelf && p.cfg.Answered != nil {
			p.cfg.Answered(ctx, s, st) // what it makes nothing of was for a push of ours
		}
		return nil
	}
	k := st.Kids[0]
	h := p.handlers[handlerKey{scope, st.Type, k.Space, k.Local}]
	if h == nil {
		return stanza.Fail("service-unavailable", "nobody here answers this request")
	}
	payload, err := st.Element(k)
	if err != nil {
		return stanza.Fail("bad-request", "the request can't be read")
	}
	raw, err := st.Standalone(k)
	if err != nil {
		return stanza.Fail("bad-request", "the request can't be read")
	}
	q := &im.IQ{Type: st.Type, ID: st.ID, Lang: st.Lang, From: st.From, To: to, Payload: payload, Raw: raw, Session: s}
	result, err := h(ctx, q)
	if err != nil {
		return err
	}
	// RFC 6120 §8.2.3: the result comes from whom the request was addressed to.
	out := elem.New(stanza.Space, "iq", "from", to.String(), "to", s.JID().String(), "id", st.ID, "type", "result")
	if result != nil {
		out.Add(result)
	}
	p.cfg.Routes.Push(s, route.EncodeElement(stanza.IQ, out))
	return nil
}
