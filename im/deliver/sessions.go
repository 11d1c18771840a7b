package deliver

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Bind makes a session for an account. Without a resource the server makes one
// up (RFC 6120 §7.6); a session that has the resource is ended (RFC 6120
// §7.7.2.2, third way).
func (p *Path) Bind(ctx context.Context, account jid.JID, resource string, w session.Wire) (*session.Session, error) {
	if resource == "" {
		var b [10]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		resource = base32.StdEncoding.EncodeToString(b[:])
	}
	full, err := account.WithResource(resource)
	if err != nil {
		return nil, stanza.Fail("bad-request", "this is not a valid resource")
	}
	s, old, err := p.cfg.Routes.Bind(full, w)
	if err != nil {
		return nil, err
	}
	if old != nil {
		old.Kick(session.Conflict("this device has signed in again"))
		p.finish(ctx, old)
	}
	return s, nil
}

// Resume gives a session a new connection (XEP-0198 §5). h is what the client
// has handled. Whose session it is, is decided by the account, not by the id
// alone (HARDENING A11). The caller holds back its writes until <resumed/> is out.
func (p *Path) Resume(ctx context.Context, account jid.JID, id string, h uint32, w session.Wire) (*session.Session, error) {
	var found *session.Session
	for _, s := range p.cfg.Routes.Sessions(account.Bare()) {
		sm := s.StreamManagement()
		if sm.On && sm.Resume && subtle.ConstantTimeCompare([]byte(sm.ID), []byte(id)) == 1 {
			found = s
		}
	}
	if found == nil {
		return nil, stanza.Fail("item-not-found", "there is no such session to resume; bind a new one")
	}
	if err := p.fence(ctx, found); err != nil {
		return nil, err
	}
	if err := found.Attach(w, h); err != nil {
		return nil, err
	}
	p.wake(found)
	return found, nil
}

// fenceWait is how long a connection that is taken over has to finish what it
// has read: a commit at most.
const fenceWait = 5 * time.Second

// fence ends the connection a session still has and waits until its edge has
// let go: what it had read is archived and counted then. Otherwise the client
// would send it again and it would be counted twice, and what is counted is
// believed to be on disk.
func (p *Path) fence(ctx context.Context, s *session.Session) error {
	lost := s.Lost()
	s.Kick(session.Conflict("the session was resumed on another connection"))
	t := time.NewTimer(fenceWait)
	defer t.Stop()
	select {
	case <-lost:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return stanza.Fail("item-not-found", "the old connection has not ended yet; bind a new session")
	}
}

func (p *Path) wake(s *session.Session) {
	p.mu.Lock()
	delete(p.hibernating, s)
	p.mu.Unlock()
}

// Detach says that a connection was lost without a word. A session that can be
// resumed hibernates, another one ends.
func (p *Path) Detach(s *session.Session, w session.Wire) {
	sm := s.StreamManagement()
	if !s.Detach(w, p.cfg.Now()) {
		return // it has another connection, or has ended
	}
	if !sm.On || !sm.Resume || p.cfg.Window <= 0 || s.Overflowed() {
		p.finish(context.Background(), s)
		return
	}
	p.mu.Lock()
	p.hibernating[s] = struct{}{}
	p.mu.Unlock()
	p.thin(s.JID().Bare())
}

// thin ends the longest hibernating session of an account that has too many.
func (p *Path) thin(account jid.JID) {
	var oldest *session.Session
	n := 0
	for _, s := range p.cfg.Routes.Sessions(account) {
		at := s.Detached()
		if at.IsZero() {
			continue
		}
		n++
		if oldest == nil || at.Before(oldest.Detached()) {
			oldest = s
		}
	}
	if p.cfg.Hibernating > 0 && n > p.cfg.Hibernating {
		p.finish(context.Background(), oldest)
	}
}

// End ends a session whose client said goodbye.
func (p *Path) End(ctx context.Context, s *session.Session) { p.finish(ctx, s) }

// finish ends a session: nothing is routed to it any more, its contacts hear
// of it, and what it has not confirmed waits for the next session (the ledger
// follows messages; requests get an error here).
func (p *Path) finish(ctx context.Context, s *session.Session) {
	p.wake(s)
	p.cfg.Routes.Remove(s)
	left, w, first := s.End()
	if !first {
		return
	}
	if w != nil {
		w.Kick(nil)
	}
	p.cfg.Presence.Gone(ctx, s)
	p.cfg.Rooms.Unavailable(ctx, s, nil)
	for _, f := range left {
		if f.Request == nil {
			continue
		}
		// RFC 6120 §8.2.3: a request is answered, if only with an error.
		if from := p.cfg.Routes.Session(f.Request.From); from != nil {
			p.reply(from, f.Request, stanza.Fail("recipient-unavailable", "the device went away before it answered"))
		}
	}
}

// Disconnect ends all sessions of an account, hibernating ones too: it was
// disabled, removed, or its password changed (HARDENING A12).
func (p *Path) Disconnect(ctx context.Context, account jid.JID, reason string) {
	for _, s := range p.cfg.Routes.Sessions(account.Bare()) {
		if s.Flags().Spared {
			continue // it is the one that has changed the password
		}
		s.Kick(session.NotAuthorized(reason))
		p.finish(ctx, s)
	}
}

// janitorEvery is how often hibernating sessions are looked at.
const janitorEvery = 5 * time.Second

// runJanitor ends sessions nobody came back for, and those that overflowed.
func (p *Path) runJanitor(ctx context.Context) {
	t := time.NewTicker(janitorEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-p.ending:
			p.finish(ctx, s)
		case <-t.C:
			for _, s := range p.expired() {
				p.finish(ctx, s)
			}
		}
	}
}

func (p *Path) expired() (out []*session.Session) {
	now := p.cfg.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.hibernating {
		at := s.Detached()
		if at.IsZero() {
			continue
		}
		window := p.cfg.Window
		if w := s.StreamManagement().Window; w > 0 {
			window = min(window, w) // XEP-0198 §3: what was announced to it
		}
		if now.Sub(at) > window || s.Overflowed() {
			out = append(out, s)
		}
	}
	return out
}
