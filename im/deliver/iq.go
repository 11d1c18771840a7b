package deliver

import (
	"context"
	"errors"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// responder finds who answers a request.
type responder struct {
	cfg      *Config
	handlers map[handlerKey]im.Handler // complete before Run
}

type handlerKey struct {
	scope        im.Scope
	typ          stanza.Type
	space, local string
}

func (r *responder) register(feature string, claim im.Route) error {
	types := []stanza.Type{claim.Type}
	if claim.Type == "" {
		types = []stanza.Type{stanza.Get, stanza.Set}
	}
	for _, scope := range []im.Scope{im.ToHost, im.ToSelf, im.ToAccount} {
		if claim.Scope&scope == 0 {
			continue
		}
		for _, t := range types {
			k := handlerKey{scope, t, claim.Space, claim.Local}
			if r.handlers[k] != nil {
				return errors.New("deliver: " + feature + ": " + claim.Space + " " + claim.Local + " is claimed twice")
			}
			r.handlers[k] = claim.Handle
		}
	}
	return nil
}

// iq answers a request to the server or to an account, or passes it on to the
// session it names (RFC 6120 §10.3.3, RFC 6121 §8.5).
func (r *responder) iq(ctx context.Context, s *session.Session, j *judged) error {
	st := j.st
	to := st.To
	self := s.JID().Bare()
	switch {
	case to.IsZero():
		return r.answer(ctx, s, st, self, im.ToSelf)
	case to == self:
		return r.answer(ctx, s, st, to, im.ToSelf)
	case r.cfg.Rooms.Serves(to):
		return r.roomIQ(ctx, s, st)
	case !r.cfg.Local(to.Domain()):
		return stanza.Fail("remote-server-not-found", "this server does not exchange stanzas with "+to.Domain())
	case to.IsDomain():
		return r.answer(ctx, s, st, to, im.ToHost)
	case to.IsBare():
		// RFC 6120 §13.11, HARDENING A6: who does not exist is not asked for; the
		// handlers answer as they do to a stranger of somebody who does.
		return r.answer(ctx, s, st, to, im.ToAccount)
	}
	return r.forward(st)
}

// forward is RFC 6121 §8.5.3: the connected resource or an error.
func (r *responder) forward(st *stanza.Stanza) error {
	to := r.cfg.Routes.Session(st.To)
	if to == nil {
		return stanza.Fail("service-unavailable", "this device is not connected")
	}
	f := route.Encode(st)
	if st.Type == stanza.Get || st.Type == stanza.Set {
		f.Request = st
	}
	r.cfg.Routes.Push(to, f)
	return nil
}

// answer asks the handler that claims the payload.
func (r *responder) answer(ctx context.Context, s *session.Session, st *stanza.Stanza, to jid.JID, scope im.Scope) error {
	if st.Type != stanza.Get && st.Type != stanza.Set {
		if scope == im.ToSelf && r.cfg.Answered != nil {
			r.cfg.Answered(ctx, s, st) // what it makes nothing of was for a push of ours
		}
		return nil
	}
	k := st.Kids[0]
	h := r.handlers[handlerKey{scope, st.Type, k.Space, k.Local}]
	if h == nil {
		return stanza.Fail("service-unavailable", "nobody here answers this request")
	}
	return r.answerWith(ctx, s, st, to, h)
}

// answerWith asks a handler and sends what it says.
func (r *responder) answerWith(ctx context.Context, s *session.Session, st *stanza.Stanza, to jid.JID, h im.Handler) error {
	if st.Type != stanza.Get && st.Type != stanza.Set {
		return nil
	}
	k := st.Kids[0]
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
	r.cfg.Routes.Push(s, route.EncodeElement(stanza.IQ, out))
	return nil
}
