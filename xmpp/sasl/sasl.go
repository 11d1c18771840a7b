package sasl

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Names of the mechanisms.
const (
	ScramSHA512Plus = "SCRAM-SHA-512-PLUS"
	ScramSHA256Plus = "SCRAM-SHA-256-PLUS"
	ScramSHA1Plus   = "SCRAM-SHA-1-PLUS"
	ScramSHA512     = "SCRAM-SHA-512"
	ScramSHA256     = "SCRAM-SHA-256"
	ScramSHA1       = "SCRAM-SHA-1"
	OAuthBearer     = "OAUTHBEARER"
	External        = "EXTERNAL"
	Anonymous       = "ANONYMOUS"
	Plain           = "PLAIN"
)

// Conditions of RFC 6120 §6.5 this package and its Credentials answer with.
const (
	Aborted              = "aborted"
	AccountDisabled      = "account-disabled"
	CredentialsExpired   = "credentials-expired"
	EncryptionRequired   = "encryption-required"
	IncorrectEncoding    = "incorrect-encoding"
	InvalidAuthzid       = "invalid-authzid"
	InvalidMechanism     = "invalid-mechanism"
	MalformedRequest     = "malformed-request"
	NotAuthorized        = "not-authorized"
	TemporaryAuthFailure = "temporary-auth-failure"
)

// Failure ends an exchange: a condition of RFC 6120 §6.5, what the person may
// read, and for the log alone the cause.
type Failure struct {
	Condition string
	Text      string
	Retry     time.Duration // when a new attempt makes sense; 0 if that is not known
	Also      string        // what the peer may know more exactly: a condition of RFC 6120 §8.3.3
	Cause     error         // never shown to the peer
	// Untried: it ended at the kind of channel binding. Nobody was named and no
	// proof was looked at, so that it is no attempt at a password.
	Untried bool
}

func (f *Failure) Error() string {
	s := "sasl: " + f.Condition
	if f.Text != "" {
		s += ": " + f.Text
	}
	if f.Cause != nil {
		s += ": " + f.Cause.Error()
	}
	return s
}

func (f *Failure) Unwrap() error { return f.Cause }

// Fail makes a Failure.
func Fail(condition, text string) *Failure { return &Failure{Condition: condition, Text: text} }

// Denied is the one answer to a wrong password, an unknown account and a dead
// token: they must not differ (HARDENING A6).
func Denied() *Failure { return Fail(NotAuthorized, "Wrong user name or password.") }

// failure turns what Credentials returned into a Failure. An error that is
// none already is trouble of ours, not of the person's (RFC 6120 §6.5.11).
func failure(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return &Failure{Condition: TemporaryAuthFailure, Text: "The server cannot check passwords now.", Cause: err}
}

// Exchange is one attempt of one peer. It is used by one goroutine.
type Exchange interface {
	// Next takes the peer's next message and gives the answer. A nil response
	// at the start says that the peer sent no initial response (an empty one
	// is not nil), and is answered with an empty challenge. With done, the
	// challenge is the additional data of <success/> (RFC 6120 §6.4.6). The
	// error is always a *Failure, and final.
	Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error)
	// JID is the bare JID that has logged in; zero until Next says done.
	JID() jid.JID
}

// Config says what a listener lets people do.
type Config struct {
	// Domain is the host people log in to; a user name without one is in it.
	Domain string
	// AllowPlain permits login on a connection without TLS. Only a loopback
	// listener whose configuration says so sets it.
	AllowPlain bool
	// Only, if not empty, lists the mechanisms to offer; others are left out.
	Only []string
	// Without lists hash functions for which not every account has keys: their
	// mechanisms are not offered.
	Without []Hash
	// Guests lets people in who have no account.
	Guests bool
	// Announced, if set, is what the peer was told on this stream, and is what it
	// may choose from; SCRAM proves it (XEP-0474).
	Announced *Announced

	nonce func() string // tests alone: the server's part of the SCRAM nonce
}

// ranking is strongest first. OAUTHBEARER stands before PLAIN: a token that
// lives five minutes is less to lose than a password.
func ranking() []string {
	return []string{External, ScramSHA512Plus, ScramSHA256Plus, ScramSHA1Plus, ScramSHA512, ScramSHA256, ScramSHA1, OAuthBearer, Plain, Anonymous}
}

// Known says whether a mechanism of this name exists here.
func Known(mech string) bool { return slices.Contains(ranking(), mech) }

// Mechanisms lists what to offer on a connection, strongest first; nothing at
// all on a plaintext one, unless AllowPlain (HARDENING A2).
func (c Config) Mechanisms(b Binding) []string {
	if !b.TLS && !c.AllowPlain {
		return nil
	}
	var out []string
	for _, m := range ranking() {
		// Guests are allowed by a switch of their own.
		if len(c.Only) > 0 && m != Anonymous && !slices.Contains(c.Only, m) {
			continue
		}
		switch m {
		case ScramSHA512Plus, ScramSHA256Plus, ScramSHA1Plus, ScramSHA512, ScramSHA256, ScramSHA1:
			// RFC 5802 §6: -PLUS is offered only with channel binding at hand.
			if slices.Contains(c.Without, hashOf(m)) || strings.HasSuffix(m, "-PLUS") && len(b.Types()) == 0 {
				continue
			}
		case External:
			// RFC 6120 §6.3.4: where the client has shown a certificate that will do.
			if len(c.certified(b)) == 0 {
				continue
			}
		case Anonymous:
			if !c.Guests {
				continue
			}
		case OAuthBearer:
			// RFC 7628 §3: TLS is required, loopback or not.
			if !b.TLS {
				continue
			}
		}
		out = append(out, m)
	}
	return out
}

// announced is what the peer may choose from.
func (c Config) announced(b Binding) []string {
	if c.Announced != nil {
		return c.Announced.Mechanisms
	}
	return c.Mechanisms(b)
}

// Start begins an exchange of a mechanism that Mechanisms offers for b.
// The error is a *Failure.
func (c Config) Start(mech string, b Binding, creds Credentials) (Exchange, error) {
	if !b.TLS && !c.AllowPlain {
		return nil, Fail(EncryptionRequired, "Log in over TLS.") // RFC 6120 §6.5.3
	}
	if !slices.Contains(c.announced(b), mech) {
		return nil, Fail(InvalidMechanism, "This mechanism is not offered here.") // RFC 6120 §6.5.7
	}
	switch mech {
	case Plain:
		return &plain{conf: c, creds: creds}, nil
	case External:
		return &external{conf: c, names: c.certified(b), creds: creds}, nil
	case Anonymous:
		return &anonymous{conf: c, creds: creds}, nil
	case OAuthBearer:
		return &bearer{conf: c, creds: creds}, nil
	default:
		return newScram(c, mech, b, creds), nil
	}
}

// Decode reads the text of <auth/> or <response/>: "" gives nil (nothing was
// sent), "=" an empty message (RFC 6120 §6.4.2). The error is a *Failure.
func Decode(text string) ([]byte, error) {
	switch text {
	case "":
		return nil, nil
	case "=":
		return []byte{}, nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, Fail(IncorrectEncoding, "The message is not base64.") // RFC 6120 §6.5.5
	}
	return b, nil
}
