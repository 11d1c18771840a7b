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
// sieve may be nil; it is asked with a session's full JID. It returns how many bytes
// that is, 0 if there is nobody.
func (h *herald) send(st *stanza.Stanza, account jid.JID, sieve func(from, to jid.JID) bool) (bytes int) {
	return h.pass(st, new(*session.Frame), account, sieve)
}

// pass is send with one encoding for many accounts: made for the first session there is.
func (h *herald) pass(st *stanza.Stanza, once **session.Frame, account jid.JID, sieve func(from, to jid.JID) bool) (bytes int) {
	for _, t := range h.cfg.Routes.Sessions(account) {
		if !t.Standing().Available || (sieve != nil && !sieve(st.From, t.JID())) {
			continue
		}
		if *once == nil {
			*once = broadcastFrame(st)
		}
		h.cfg.Routes.Push(t, *once)
		bytes += len((*once).Bytes) + len(account.Local()) + len(account.Domain()) + len(" to='@'")
	}
	return bytes
}

// broadcast sends a presence to the account's own available sessions and to its
// subscribers (RFC 6121 §4.2.2, §4.4.2, §4.5.2). It returns what that cost, in bytes.
func (h *herald) broadcast(rel *roster.Relations, st *stanza.Stanza) (cost int) {
	var once *session.Frame
	cost = h.pass(st, &once, rel.Owner(), nil)
	for contact := range rel.With(roster.From) {
		cost += h.pass(st, &once, contact, h.cfg.May) + contactCost
	}
	return cost
}

// show tells one session the present presence of another; it returns how many bytes
// that is, 0 if there is nothing to tell.
func (h *herald) show(of, to *session.Session) int {
	p := of.Presence()
	if !p.Available {
		return 0
	}
	if of.JID().Bare() != to.JID().Bare() && !h.cfg.May(of.JID(), to.JID()) {
		return 0
	}
	fr := frame(p.Stanza, to.JID(), of.JID().String())
	h.cfg.Routes.Push(to, fr)
	return len(fr.Bytes)
}
