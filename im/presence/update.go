package presence

import (
	"context"
	"strconv"
	"strings"

	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Update takes a presence without "to": available or unavailable. first says
// that the session became available and was not before.
func (f *Flow) Update(ctx context.Context, s *session.Session, st *stanza.Stanza) (first bool, err error) {
	switch st.Type {
	case stanza.Available:
		return f.available(ctx, s, st)
	case stanza.Unavailable:
		return false, f.leave(ctx, s, st, true)
	}
	// RFC 6121 §3 and §4.3: the other types are for somebody.
	return false, stanza.Fail("bad-request", "presence of this type needs an address")
}

func (f *Flow) available(ctx context.Context, s *session.Session, st *stanza.Stanza) (first bool, err error) {
	prio, err := priority(st)
	if err != nil {
		return false, err
	}
	if f.cfg.Ready != nil && !s.Standing().Available {
		if err := f.cfg.Ready(ctx, s.JID().Bare()); err != nil {
			return false, err
		}
	}
	kept := *st
	kept.From, kept.To = s.JID(), jid.JID{}
	p := session.Presence{Available: true, Priority: prio, Stanza: &kept, Since: f.cfg.Now()}
	var rel *roster.Relations
	later := false
	err = f.with(ctx, s.JID().Bare(), func(r *roster.Relations) {
		if !f.bound(s) {
			return // another session has its name now
		}
		rel = r
		var greet *session.Session
		if first = !s.SetPresence(p).Available; first {
			greet = s
		}
		later = f.tell(r, &kept, greet)
	})
	if err != nil || !first {
		return false, err
	}
	if !later {
		f.welcome(ctx, s, rel)
	}
	return true, nil
}

// priority reads RFC 6121 §4.7.2.3: an integer between -128 and +127, 0 if absent.
func priority(st *stanza.Stanza) (int8, error) {
	n := 0
	for i := range st.Kids {
		if st.Kids[i].Local == "priority" && st.Kids[i].Space == stanza.Space {
			n++
		}
	}
	if n == 0 {
		return 0, nil
	}
	v, err := strconv.ParseInt(strings.TrimSpace(st.Text(stanza.Space, "priority")), 10, 8)
	if n > 1 || err != nil {
		return 0, stanza.Fail("bad-request", "a priority is one whole number between -128 and 127")
	}
	return int8(v), nil
}

// welcome tells a session that became available who else is there: what probes
// would find (RFC 6121 §4.2.2, §4.3), and the requests waiting for an answer.
func (f *Flow) welcome(ctx context.Context, s *session.Session, rel *roster.Relations) {
	own := s.JID().Bare()
	cost := 0
	mu := f.lock(own)
	mu.Lock()
	for _, o := range f.cfg.Routes.Sessions(own) {
		if o != s {
			cost += f.show(o, s)
		}
	}
	mu.Unlock()
	for contact := range rel.With(roster.To) {
		if f.cfg.Routes.Sessions(contact) == nil {
			continue
		}
		err := f.with(ctx, contact, func(theirs *roster.Relations) {
			// RFC 6121 §4.3.2: the contact's own roster says who may see it.
			if !theirs.Of(own).Is(roster.From) {
				return
			}
			for _, o := range f.cfg.Routes.Sessions(contact) {
				cost += f.show(o, s)
			}
		})
		if err != nil {
			f.cfg.Log.Error("presence: probe", "account", contact.String(), "err", err)
		}
	}
	f.pace.spend(own, cost)
	if rel.Waiting() > 0 {
		f.requests(ctx, s)
	}
}

// requests is RFC 6121 §3.1.3: whatever waits is delivered again to each
// session that becomes available, until it is answered.
func (f *Flow) requests(ctx context.Context, s *session.Session) {
	pending, err := f.cfg.Rosters.Pending(ctx, s.JID().Bare())
	if err != nil {
		f.cfg.Log.Error("presence: requests", "account", s.JID().Bare().String(), "err", err)
		return
	}
	for _, w := range pending {
		if f.cfg.May(w.From, s.JID()) {
			f.cfg.Routes.Push(s, &session.Frame{Bytes: w.Stanza, NameEnd: len("<presence"), Kind: stanza.Presence, Urgent: true})
		}
	}
}

// Gone says unavailable for a session that ended. The table must not route to
// it any more.
func (f *Flow) Gone(ctx context.Context, s *session.Session) {
	// Its contacts hear of it even when whatever ended it is over.
	ctx = context.WithoutCancel(ctx)
	if err := f.leave(ctx, s, unavailable(s.JID()), false); err != nil {
		f.cfg.Log.Error("presence: gone", "session", s.JID().String(), "err", err)
	}
}

// leave is RFC 6121 §4.5.2 for a session that said so, and §4.5.4 for one that did not.
func (f *Flow) leave(ctx context.Context, s *session.Session, st *stanza.Stanza, said bool) error {
	out := *st
	out.From, out.To = s.JID(), jid.JID{}
	own := s.JID().Bare()
	last := false
	defer f.leaving.Delete(own)
	err := f.with(ctx, own, func(rel *roster.Relations) {
		if said && !f.bound(s) {
			return
		}
		// Who asks before it is on disk finds it here: an account that is offline
		// is never one that was never seen.
		f.leaving.Store(own, seen{f.cfg.Now(), out.Text(stanza.Space, "status")})
		was := s.SetPresence(session.Presence{}).Available
		if was && !f.replaced(s) {
			f.tell(rel, &out, nil)
		}
		if said && was {
			// RFC 6121 §4.5.2: the resource itself gets it too.
			f.cfg.Routes.Push(s, frame(&out, own, s.JID().String()))
		}
		f.retract(s, rel, &out, was)
		last = was && !f.Online(own)
	})
	if err != nil {
		return err
	}
	if last {
		// Of an account that was removed nothing is kept.
		if here, err := f.cfg.Accounts.Exists(ctx, own); err != nil || !here {
			return err
		}
		return f.saw(ctx, own, out.Text(stanza.Space, "status"))
	}
	return nil
}

// replaced says that another session has the full JID and is available: what
// is known of it stays true.
func (f *Flow) replaced(s *session.Session) bool {
	now := f.cfg.Routes.Session(s.JID())
	return now != nil && now != s && now.Standing().Available
}

// Online says whether an account has an available session.
func (f *Flow) Online(account jid.JID) bool {
	for _, s := range f.cfg.Routes.Sessions(account) {
		if s.Standing().Available {
			return true
		}
	}
	return false
}
