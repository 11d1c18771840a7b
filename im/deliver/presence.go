package deliver

import (
	"context"

	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// other takes presence and iq through the path.
func (in *Inlet) other(ctx context.Context, st *stanza.Stanza) error {
	j, refusal := in.p.judge(ctx, st)
	if refusal != nil {
		return refusal
	}
	if j == nil {
		return nil
	}
	if st.Kind == stanza.IQ {
		return in.p.iq(ctx, in.s, j)
	}
	return in.p.presence(ctx, in.s, j)
}

// presence sends each type its way (RFC 6121 §3 and §4).
func (p *Path) presence(ctx context.Context, s *session.Session, j *judged) error {
	st := j.st
	if p.cfg.Rooms.Serves(st.To) {
		return p.cfg.Rooms.Presence(ctx, s, st)
	}
	switch st.Type {
	case stanza.Available, stanza.Unavailable:
		if !st.To.IsZero() {
			return p.cfg.Presence.Direct(ctx, s, st)
		}
		if st.Type == stanza.Available {
			return p.available(ctx, s, st)
		}
		_, err := p.cfg.Presence.Update(ctx, s, st)
		p.cfg.Rooms.Unavailable(ctx, s, st) // XEP-0045 §7.14
		s.Rest()                            // afterwards: a catch-up that ends now sees the presence, or is undone here
		return err
	case stanza.Probe:
		return p.cfg.Presence.Probe(ctx, st)
	case stanza.Error_:
		// RFC 6121 §8.5.3.1: an error goes to the resource it names, or nowhere.
		if to := p.cfg.Routes.Session(st.To); to != nil {
			p.cfg.Routes.Push(to, route.Encode(st))
		}
		return nil
	}
	return p.cfg.Presence.Subscription(ctx, s, st)
}
