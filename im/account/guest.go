package account

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Guests are people without an account, for one connection each (XEP-0175). They
// are in memory alone: nothing of them is kept but what they wrote.
type Guests struct {
	domain string
	most   int

	mu   sync.Mutex
	here map[jid.JID]struct{} // owner: mu
}

// NewGuests lets so many in at once; none if most is 0.
func NewGuests(domain string, most int) *Guests {
	return &Guests{domain: domain, most: most, here: map[jid.JID]struct{}{}}
}

// Enter makes a guest: an address that was never anybody's, and never will be.
func (g *Guests) Enter() (jid.JID, error) {
	who, err := jid.New("guest-"+strings.ToLower(rand.Text()), g.domain, "") // 130 bits
	if err != nil {
		return who, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.here) >= g.most {
		return jid.JID{}, &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "Too many guests are here.", Also: "resource-constraint"}
	}
	g.here[who] = struct{}{}
	return who, nil
}

// Leave forgets a guest.
func (g *Guests) Leave(who jid.JID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.here, who)
}

// Is says whether an address is that of a guest who is here; nil knows none.
func (g *Guests) Is(who jid.JID) bool {
	if g == nil || g.most == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.here[who.Bare()]
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

// Guest lets somebody without an account in.
func (l *Login) Guest(context.Context) (jid.JID, error) {
	if l.s.conf.Guests == nil {
		return jid.JID{}, sasl.Denied()
	}
	return l.s.conf.Guests.Enter()
}
