package c2s

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/im/trace"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Core is the path as an edge needs it; im/deliver.Path meets it but for Open,
// whose result server wraps.
type Core interface {
	Bind(ctx context.Context, account jid.JID, resource string, w session.Wire) (*session.Session, error)
	Open(s *session.Session) Inlet
	Resume(ctx context.Context, account jid.JID, smID string, h uint32, w session.Wire) (*session.Session, error)
	Detach(s *session.Session, w session.Wire)
	End(ctx context.Context, s *session.Session)
}

// Inlet takes one connection's stanzas in order.
type Inlet interface {
	Stanza(ctx context.Context, raw *elem.Raw) error
	Flush(ctx context.Context) error
}

// Devices gives a device a token (XEP-0484); since is when the login began that
// asks for it. im/account.Devices meets it.
type Devices interface {
	Mint(ctx context.Context, who jid.JID, d account.Device, mech string, since time.Time) (token string, expires time.Time, err error)
}

// Upgrades gives an account keys of another hash function (XEP-0480);
// im/account.Upgrades meets it.
type Upgrades interface {
	// Lacking lists the hash functions for which some account has no keys.
	Lacking() []sasl.Hash
	// Lacks says whether an account has keys, but none for h.
	Lacks(ctx context.Context, who jid.JID, h sasl.Hash) (bool, error)
	// Salt gives what new keys are made with.
	Salt() (salt []byte, iterations int)
	// Add keeps them; since is when the login began.
	Add(ctx context.Context, who jid.JID, h sasl.Hash, k sasl.Keys, since time.Time) error
}

// Register answers who has no account yet; feature/register meets it.
type Register interface {
	Offers() (open, invited bool)
	// Answer takes one request. token is the invitation the connection has shown
	// before, accepted what it has then; a *stanza.Error is told.
	Answer(ctx context.Context, source netip.Addr, token string, set bool, q *elem.Element) (result *elem.Element, accepted string, err error)
}

// Guests hears when one has left whom Credentials.Guest let in; im/account.Guests meets it.
type Guests interface{ Leave(who jid.JID) }

// Limits bound one connection (HARDENING §0).
type Limits struct {
	Negotiation time.Duration // from the first byte to a bound session
	Handshake   time.Duration // TLS
	Idle        time.Duration // silence before the peer is asked for a sign of life
	Grace       time.Duration // and how long it has for it
	Park        time.Duration // silence before a bound connection gives its goroutine up
	Write       time.Duration // one write
	Farewell    time.Duration // how long the peer's </stream:stream> is waited for
	Resume      time.Duration // announced in <enabled max=''/> (XEP-0198 §3)

	PreAuth    elem.Limits // one element before login
	LoginBytes int         // one <auth/> or <response/> under TLS
	Elements   int         // elements before login
	Attempts   int         // failed logins
	Stanza     elem.Limits // one stanza after login
}

// DefaultLimits are those of HARDENING §0.
func DefaultLimits() Limits {
	return Limits{
		Negotiation: 30 * time.Second,
		Handshake:   10 * time.Second,
		Idle:        60 * time.Second,
		Grace:       30 * time.Second,
		Park:        2 * time.Second, // nobody is parked in the middle of a conversation
		Write:       20 * time.Second,
		Farewell:    500 * time.Millisecond,
		Resume:      10 * time.Minute,
		PreAuth:     elem.Limits{Bytes: 10000, Depth: 50, Elements: 32, Attrs: 64, Decls: 64},
		LoginBytes:  64 << 10,
		Elements:    32,
		Attempts:    5,
		Stanza:      elem.DefaultLimits(),
	}
}

// browsers are credentials that know which browser a token belonged to (its
// owner can sign it out as a device); im/account.Login meets it.
type browsers interface{ Browser() string }

// Config is what a Server is made of.
type Config struct {
	Domain jid.JID // the first hosted domain
	// Hosts finds a hosted domain, the first one too; nil if there is none of that
	// name. Without it there is but Domain, with the Mechanisms, Register, Guests and Features below.
	Hosts func(domain string) *Host
	Core  Core
	// Credentials gives the secrets for logins from an address.
	Credentials func(source netip.Addr) sasl.Credentials
	Mechanisms  []string // offered ones; empty: all
	// Authorities are those whose certificates let people in; nil: there are none.
	Authorities *edge.Authorities
	Register    Register // nil: accounts are made elsewhere
	Guests      Guests   // nil: nobody without an account is let in
	Devices     Devices  // nil: no device gets a token
	Upgrades    Upgrades // nil: every account has all keys
	// Begin prepares a session that was bound with XEP-0386 and gives what
	// <bound/> tells of its archive; nil: nothing.
	Begin func(ctx context.Context, s *session.Session) *elem.Element
	// Plaintext permits login without TLS on loopback connections (HARDENING A2).
	Plaintext bool
	Keys      *edge.Keys
	TLS       *tls.Config // of STARTTLS and of direct TLS; made by Keys.Config
	Gate      *edge.Gate
	Files     *edge.Files
	Limits    Limits
	// Revoked says whether an account was disabled, removed or given another
	// password since then, or the device ("" for none) taken from it (HARDENING A12); nil: nobody ever is.
	Revoked func(account jid.JID, device string, since time.Time) bool
	// Features are added to the stream features after login.
	Features func() []*elem.Element
	Log      *slog.Logger
	Meter    *meter.Meter // nil: nobody reads what is counted
	Trace    *trace.Tracer
}
