package presence

import (
	"context"

	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// maxDirected is how many entities a session may be showing itself to beside
// its subscribers.
const maxDirected = 500

// errRemote answers presence to servers we don't talk to.
var errRemote = stanza.Fail("remote-server-not-found", "this server is not connected to others")

// Direct takes a presence with "to", available or unavailable (RFC 6121 §4.6).
func (f *Flow) Direct(ctx context.Context, s *session.Session, st *stanza.Stanza) error {
	if !f.cfg.LocalDomain(st.To.Domain()) {
		return errRemote
	}
	if st.To.Local() == "" {
		return nil // RFC 6121 §4.6: to the server itself; it takes note of nothing
	}
	gone := st.Type == stanza.Unavailable
	if !gone && len(s.Directed(false)) >= maxDirected {
		return stanza.Fail("resource-constraint", "too many directed presences; take some back first")
	}
	out := *st
	out.From = s.JID()
	return f.with(ctx, s.JID().Bare(), func(rel *roster.Relations) {
		if !f.bound(s) {
			return
		}
		reached := f.reach(&out, st.To, false)
		switch {
		case gone:
			s.RemoveDirected(st.To)
		case !reached:
			// Nobody got it: there is nothing to take back later.
		case s.Standing().Available && rel.Of(st.To.Bare()).Is(roster.From):
			// RFC 6121 §4.6.2: a subscriber hears of the end anyway.
		default:
			s.AddDirected(st.To)
		}
	})
}

// reach delivers a presence to a full or bare JID of ours (RFC 6121 §8.5.2.1.2,
// §8.5.3.1). told says that available sessions have heard of it otherwise.
func (f *Flow) reach(st *stanza.Stanza, to jid.JID, told bool) bool {
	if !to.IsFull() {
		return !told && f.send(st, to, f.cfg.May) > 0
	}
	t := f.cfg.Routes.Session(to)
	if t == nil || (told && t.Standing().Available) || !f.cfg.May(st.From, to) {
		return false
	}
	f.cfg.Routes.Push(t, frame(st, to, st.From.String()))
	return true
}

// retract sends unavailable presence to those a session showed itself to
// (RFC 6121 §4.6.3), but not twice to those a broadcast has reached.
func (f *Flow) retract(s *session.Session, rel *roster.Relations, st *stanza.Stanza, broadcast bool) {
	for _, to := range s.Directed(true) {
		own := to.Bare() == rel.Owner()
		f.reach(st, to, broadcast && (own || rel.Of(to.Bare()).Is(roster.From)))
	}
}

// Probe answers a probe of one of our sessions (RFC 6121 §4.3.2).
func (f *Flow) Probe(ctx context.Context, st *stanza.Stanza) error {
	if !f.cfg.LocalDomain(st.To.Domain()) {
		if st.To.IsZero() {
			return stanza.Fail("bad-request", "a probe needs an address")
		}
		return errRemote
	}
	s := f.cfg.Routes.Session(st.From)
	asker, owner := st.From.Bare(), st.To.Bare()
	if s == nil || owner.Local() == "" || !f.cfg.May(owner, st.From) {
		return nil
	}
	if f.asks(st) {
		return nil
	}
	allowed, shown := false, 0
	err := f.with(ctx, owner, func(rel *roster.Relations) {
		allowed = owner == asker || rel.Of(asker).Is(roster.From)
		for _, o := range f.cfg.Routes.Sessions(owner) {
			// RFC 6121 §4.3.2: also those who showed themselves to the asker.
			if (allowed || knows(o, st.From)) && (!st.To.IsFull() || o.JID() == st.To) {
				shown += f.show(o, s)
			}
		}
	})
	f.pace.spend(asker, shown)
	if err != nil || shown > 0 {
		return err
	}
	answer := &stanza.Stanza{Kind: stanza.Presence, Type: stanza.Unavailable, From: owner, ID: st.ID}
	if !allowed {
		// RFC 6121 §4.3.2: whoever may not see it is told that there is no subscription.
		answer.Type = stanza.Unsubscribed
	}
	f.cfg.Routes.Push(s, frame(answer, st.From, ""))
	return nil
}

// knows says whether a session has sent directed presence to j.
func knows(s *session.Session, j jid.JID) bool {
	for _, d := range s.Directed(false) {
		if d == j || d == j.Bare() {
			return true
		}
	}
	return false
}
