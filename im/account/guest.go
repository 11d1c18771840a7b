package account

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Guests are people without an account, for one connection each (XEP-0175). They
// are in memory alone: nothing of them is kept but what they wrote.
type Guests struct {
	most func(domain string) int // how many a host lets in
	n    atomic.Int64            // how many are here: where nobody is, nobody waits for mu

	mu   sync.Mutex
	here map[string]map[jid.JID]struct{} // owner: mu; by domain
}

// NewGuests lets so many in at once on each host; none where most says 0.
func NewGuests(most func(domain string) int) *Guests {
	return &Guests{most: most, here: map[string]map[jid.JID]struct{}{}}
}

// Enter makes a guest of a host: an address that was never anybody's, and never will be.
func (g *Guests) Enter(domain string) (jid.JID, error) {
	who, err := jid.New("guest-"+strings.ToLower(rand.Text()), domain, "") // 130 bits
	if err != nil {
		return who, err
	}
	most := g.most(who.Domain())
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.here[who.Domain()]) >= most {
		return jid.JID{}, &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "Too many guests are here.", Also: "resource-constraint"}
	}
	if g.here[who.Domain()] == nil {
		g.here[who.Domain()] = map[jid.JID]struct{}{}
	}
	g.here[who.Domain()][who] = struct{}{}
	g.n.Add(1)
	return who, nil
}

// Leave forgets a guest.
func (g *Guests) Leave(who jid.JID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.here[who.Domain()][who]; ok {
		g.n.Add(-1)
		delete(g.here[who.Domain()], who)
	}
	if len(g.here[who.Domain()]) == 0 {
		delete(g.here, who.Domain())
	}
}

// Is says whether an address is that of a guest who is here; nil knows none.
func (g *Guests) Is(who jid.JID) bool {
	if g == nil || g.n.Load() == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.here[who.Domain()][who.Bare()]
	return ok
}

// Certificate says whether an account a certificate names may log in (RFC 4422
// appendix A). The certificate is checked by who calls.
func (l *Login) Certificate(ctx context.Context, who jid.JID) error {
	r, err := l.s.lookup(ctx, who)
	switch {
	case err != nil:
		return err
	case !r.exists:
		return sasl.Denied()
	case r.disabled:
		return sasl.Fail(sasl.AccountDisabled, "This account is disabled.")
	}
	return nil
}

// Guest lets somebody without an account in, as one of a host.
func (l *Login) Guest(_ context.Context, domain string) (jid.JID, error) {
	if l.s.conf.Guests == nil {
		return jid.JID{}, sasl.Denied()
	}
	return l.s.conf.Guests.Enter(domain)
}
