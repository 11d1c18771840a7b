package deliver

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// lifecycle begins, resumes and ends sessions.
type lifecycle struct {
	*replies
	cfg    *Config
	ending chan *session.Session

	mu          sync.Mutex
	hibernating map[*session.Session]struct{} // owner: mu
}

func newLifecycle(cfg *Config, r *replies) *lifecycle {
	return &lifecycle{replies: r, cfg: cfg, ending: make(chan *session.Session, 1024),
		hibernating: make(map[*session.Session]struct{})}
}

// Bind makes a session for an account. Without a resource the server makes one
// up (RFC 6120 §7.6); a session that has the resource is ended (RFC 6120
// §7.7.2.2, third way).
func (l *lifecycle) Bind(ctx context.Context, account jid.JID, resource string, w session.Wire) (*session.Session, error) {
	if resource == "" {
		var b [10]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		resource = base32.StdEncoding.EncodeToString(b[:])
	}
	full, err := account.WithResource(resource)
	if err != nil {
		return nil, stanza.Fail("bad-request", "this is not a valid resource")
	}
	s, old, err := l.cfg.Routes.Bind(full, w)
	if err != nil {
		return nil, err
	}
	if old != nil {
		old.Kick(session.Conflict("this device has signed in again"))
		l.finish(ctx, old)
	}
	return s, nil
}

// Resume gives a session a new connection (XEP-0198 §5). h is what the client
// has handled. Whose session it is, is decided by the account, not by the id
// alone (HARDENING A11). The caller holds back its writes until <resumed/> is out.
func (l *lifecycle) Resume(ctx context.Context, account jid.JID, id string, h uint32, w session.Wire) (*session.Session, error) {
	var found *session.Session
	for _, s := range l.cfg.Routes.Sessions(account.Bare()) {
		sm := s.StreamManagement()
		if sm.On && sm.Resume && subtle.ConstantTimeCompare([]byte(sm.ID), []byte(id)) == 1 {
			found = s
		}
	}
	if found == nil {
		return nil, stanza.Fail("item-not-found", "there is no such session to resume; bind a new one")
	}
	if err := l.fence(ctx, found); err != nil {
		return nil, err
	}
	if err := found.Attach(w, h); err != nil {
		return nil, err
	}
	l.wake(found)
	return found, nil
}

// fenceWait is how long a connection that is taken over has to finish what it
// has read: a commit at most.
const fenceWait = 5 * time.Second

// fence ends the connection a session still has and waits until its edge has
// let go: what it had read is archived and counted then. Otherwise the client
// would send it again and it would be counted twice, and what is counted is
// believed to be on disk.
func (l *lifecycle) fence(ctx context.Context, s *session.Session) error {
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

func (l *lifecycle) wake(s *session.Session) {
	l.mu.Lock()
	delete(l.hibernating, s)
	l.mu.Unlock()
}

// Detach says that a connection was lost without a word. A session that can be
// resumed hibernates, another one ends.
func (l *lifecycle) Detach(s *session.Session, w session.Wire) {
	sm := s.StreamManagement()
	if !s.Detach(w, l.cfg.Now()) {
		return // it has another connection, or has ended
	}
	if !sm.On || !sm.Resume || l.cfg.Window <= 0 || s.Overflowed() {
		l.finish(context.Background(), s)
		return
	}
	l.mu.Lock()
	l.hibernating[s] = struct{}{}
	l.mu.Unlock()
	l.thin(s.JID().Bare())
}

// thin ends the longest hibernating session of an account that has too many.
func (l *lifecycle) thin(account jid.JID) {
	var oldest *session.Session
	n := 0
	for _, s := range l.cfg.Routes.Sessions(account) {
		at := s.Detached()
		if at.IsZero() {
			continue
		}
		n++
		if oldest == nil || at.Before(oldest.Detached()) {
			oldest = s
		}
	}
	if l.cfg.Hibernating > 0 && n > l.cfg.Hibernating {
		l.finish(context.Background(), oldest)
	}
}

// End ends a session whose client said goodbye.
func (l *lifecycle) End(ctx context.Context, s *session.Session) { l.finish(ctx, s) }

// finish ends a session: nothing is routed to it any more, its contacts hear
// of it, and what it has not confirmed waits for the next session (the ledger
// follows messages; requests get an error here).
func (l *lifecycle) finish(ctx context.Context, s *session.Session) {
	l.wake(s)
	l.cfg.Routes.Remove(s)
	left, w, first := s.End()
	if !first {
		return
	}
	if w != nil {
		w.Kick(nil)
	}
	l.cfg.Presence.Gone(ctx, s)
	l.cfg.Rooms.Unavailable(ctx, s, nil)
	for _, f := range left {
		if f.Request == nil {
			continue
		}
		// RFC 6120 §8.2.3: a request is answered, if only with an error.
		if from := l.cfg.Routes.Session(f.Request.From); from != nil {
			l.reply(from, f.Request, stanza.Fail("recipient-unavailable", "the device went away before it answered"))
		}
	}
}

// Disconnect ends all sessions of an account, hibernating ones too: it was
// disabled, removed, or its password changed (HARDENING A12).
func (l *lifecycle) Disconnect(ctx context.Context, account jid.JID, reason string) {
	for _, s := range l.cfg.Routes.Sessions(account.Bare()) {
		if s.Flags().Spared {
			continue // it is the one that has changed the password
		}
		s.Kick(session.NotAuthorized(reason))
		l.finish(ctx, s)
	}
}

// Overflow ends a session whose queue is full; for route.Config. It does not block.
func (l *lifecycle) Overflow(s *session.Session) {
	select {
	case l.ending <- s:
	default:
		// The janitor is far behind: the session takes nothing any more and its
		// connection is being closed, which ends it too.
	}
}

// janitorEvery is how often hibernating sessions are looked at.
const janitorEvery = 5 * time.Second

// runJanitor ends sessions nobody came back for, and those that overflowed.
func (l *lifecycle) runJanitor(ctx context.Context) {
	t := time.NewTicker(janitorEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-l.ending:
			l.finish(ctx, s)
		case <-t.C:
			for _, s := range l.expired() {
				l.finish(ctx, s)
			}
		}
	}
}

func (l *lifecycle) expired() (out []*session.Session) {
	now := l.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.hibernating {
		at := s.Detached()
		if at.IsZero() {
			continue
		}
		window := l.cfg.Window
		if w := s.StreamManagement().Window; w > 0 {
			window = min(window, w) // XEP-0198 §3: what was announced to it
		}
		if now.Sub(at) > window || s.Overflowed() {
			out = append(out, s)
		}
	}
	return out
}
