package presence

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const lockCount = 256

// herald tells sessions of this node what is known of others, in order.
type herald struct {
	cfg   Config
	seed  maphash.Seed
	locks [lockCount]sync.Mutex // by account, see the package's doc
}

func (h *herald) lock(account jid.JID) *sync.Mutex {
	return &h.locks[maphash.String(h.seed, account.String())%lockCount]
}

// relateTries bounds how often a roster that changes meanwhile is looked up again.
const relateTries = 8

// with runs fn under an account's lock, with the roster as it stands then.
func (h *herald) with(ctx context.Context, account jid.JID, fn func(*roster.Relations)) error {
	mu := h.lock(account)
	for try := 1; ; try++ {
		rel, err := h.cfg.Rosters.Relations(ctx, account)
		if err != nil {
			return err
		}
		mu.Lock()
		// It is in memory now, so that looking again does no I/O.
		if h.cfg.Rosters.Peek(account) == rel || try == relateTries {
			fn(rel)
			mu.Unlock()
			return nil
		}
		mu.Unlock()
	}
}

// bound says whether s is still the session of its full JID.
func (h *herald) bound(s *session.Session) bool { return h.cfg.Routes.Session(s.JID()) == s }

// send gives a presence to the available sessions of one account, encoded once.
// sieve may be nil; it is asked with a session's full JID.
func (h *herald) send(st *stanza.Stanza, account jid.JID, sieve func(from, to jid.JID) bool) (reached bool) {
	var fr *session.Frame
	for _, t := range h.cfg.Routes.Sessions(account) {
		if !t.Standing().Available || (sieve != nil && !sieve(st.From, t.JID())) {
			continue
		}
		if fr == nil {
			fr = frame(st, account, st.From.String())
		}
		h.cfg.Routes.Push(t, fr)
		reached = true
	}
	return reached
}

// broadcast sends a presence to the account's own available sessions and to its
// subscribers (RFC 6121 §4.2.2, §4.4.2, §4.5.2).
func (h *herald) broadcast(rel *roster.Relations, st *stanza.Stanza) {
	h.send(st, rel.Owner(), nil)
	for contact := range rel.With(roster.From) {
		h.send(st, contact, h.cfg.May)
	}
}

// show tells one session the present presence of another.
func (h *herald) show(of, to *session.Session) bool {
	p := of.Presence()
	if !p.Available {
		return false
	}
	if of.JID().Bare() != to.JID().Bare() && !h.cfg.May(of.JID(), to.JID()) {
		return false
	}
	h.cfg.Routes.Push(to, frame(p.Stanza, to.JID(), of.JID().String()))
	return true
}
