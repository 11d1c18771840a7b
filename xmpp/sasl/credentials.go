package sasl

import (
	"context"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Hash names the hash function of a SCRAM mechanism.
type Hash string

// The hash functions.
const (
	SHA1   Hash = "SHA-1"
	SHA256 Hash = "SHA-256"
	SHA512 Hash = "SHA-512"
)

// Keys is what a server stores for one account and hash (RFC 5802 §3).
type Keys struct {
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
	// Known is false for made-up keys of an account that does not exist; the
	// exchange goes to its end all the same, and then fails.
	Known bool
	// Disabled accounts learn so after a correct proof, never before.
	Disabled bool
	// Verdict, if set, is called once when the proof was checked and says
	// whether the outcome stands: a *Failure it returns takes its place, be the
	// proof right or wrong. Who has failed too often learns nothing.
	Verdict func(proven bool) error
}

// Credentials is where an exchange gets secrets. Errors are *Failure for what
// the person caused; any other becomes temporary-auth-failure.
type Credentials interface {
	// SCRAM gives the keys of an account. One that does not exist gets stable
	// made-up ones with Known false, not an error (HARDENING A6).
	SCRAM(ctx context.Context, account jid.JID, hash Hash) (Keys, error)
	// Password checks a password sent in the clear over TLS.
	Password(ctx context.Context, account jid.JID, password string) error
	// Token gives the account an OAUTHBEARER token stands for.
	Token(ctx context.Context, token string) (jid.JID, error)
	// Secrets gives the tokens a device of an account may log in with.
	Secrets(ctx context.Context, account jid.JID, mech string, u Use) (Secrets, error)
	// Certificate says whether an account a certificate names may log in.
	Certificate(ctx context.Context, account jid.JID) error
	// Guest makes an account of the domain for one session.
	Guest(ctx context.Context, domain string) (jid.JID, error)
}
