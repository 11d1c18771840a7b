package sasl

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Mechanisms of hashed tokens (draft-schmaus-kitten-sasl-ht-09), which log in
// without a round trip: the peer proves to have a token this server gave it
// (XEP-0484). The last part names what the proof is bound to.
const (
	HTExporter = "HT-SHA-256-EXPR" // tls-exporter
	HTEndPoint = "HT-SHA-256-ENDP" // tls-server-end-point
	HTNone     = "HT-SHA-256-NONE" // nothing
)

// Use is what a peer says of the token it logs in with (XEP-0484 §3.4, §3.6).
type Use struct {
	Device     string // whose it is: the id of the user agent (XEP-0388 §2.3)
	Count      int64  // 0: none
	Invalidate bool
}

// Secrets are the tokens a device may have.
type Secrets struct {
	// Tokens are as many for an account or a device that does not exist, made up
	// (HARDENING A6).
	Tokens [][]byte
	// Verdict is called once, with the index of the token that was proven, or
	// -1; a *Failure it returns ends the login. It also counts, uses up and moves
	// the token, and says whether it is time for another.
	Verdict func(ctx context.Context, proven int) (due bool, err error)
}

// TokenMechanisms lists those of tokens for a connection, strongest first; none
// without TLS (XEP-0484 §6).
func (b Binding) TokenMechanisms() (out []string) {
	for _, m := range []string{HTExporter, HTEndPoint, HTNone} {
		if _, ok := b.token(m); ok {
			out = append(out, m)
		}
	}
	return out
}

// token is what proofs of a mechanism are bound to.
func (b Binding) token(mech string) (data []byte, ok bool) {
	if !b.TLS {
		return nil, false
	}
	switch mech {
	case HTExporter:
		data = b.data(TLSExporter)
	case HTEndPoint:
		data = b.data(TLSServerEndPoint)
	case HTNone:
		return nil, true
	}
	return data, data != nil
}

// TokenExchange is a login with a token: one message.
type TokenExchange struct {
	conf    Config
	mech    string
	binding []byte
	use     Use
	creds   Credentials
	who     jid.JID
	due     bool
	end     bool
}

// StartToken begins a login with a token. The error is a *Failure.
func (c Config) StartToken(mech string, b Binding, u Use, creds Credentials) (*TokenExchange, error) {
	data, ok := b.token(mech)
	switch {
	case !ok:
		return nil, Fail(InvalidMechanism, "This mechanism is not offered here.")
	case u.Device == "":
		return nil, Fail(MalformedRequest, "A token belongs to a device: name it with <user-agent id=''/> (XEP-0484 §4.1).")
	}
	return &TokenExchange{conf: c, mech: mech, binding: data, use: u, creds: creds}, nil
}

// JID meets Exchange.
func (x *TokenExchange) JID() jid.JID { return x.who }

// Due says that the token is to be replaced by a new one (XEP-0484 §3.5).
func (x *TokenExchange) Due() bool { return x.due }

// Next meets Exchange. The peer's message is `user NUL HMAC(token, "Initiator"
// binding)`, the answer to a right one `HMAC(token, "Responder" binding)`.
func (x *TokenExchange) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if x.end {
		return nil, false, Fail(MalformedRequest, "The exchange is over.")
	}
	x.end = true
	user, proof, ok := bytes.Cut(response, []byte{0})
	if !ok || len(user) == 0 || len(proof) != sha256.Size || strings.ToValidUTF8(string(user), "") != string(user) {
		return nil, false, Fail(MalformedRequest, "Malformed message of a token.")
	}
	who, f := x.conf.account(string(user))
	if f != nil {
		return nil, false, f
	}
	s, err := x.creds.Secrets(ctx, who, x.mech, x.use)
	if err != nil {
		return nil, false, failure(err)
	}
	proven := -1
	for i, token := range s.Tokens { // all of them, whichever is right
		if hmac.Equal(x.sign(token, "Initiator"), proof) {
			proven = i
		}
	}
	if x.due, err = s.Verdict(ctx, proven); err != nil {
		return nil, false, failure(err)
	}
	if proven < 0 {
		return nil, false, Denied()
	}
	x.who = who
	return x.sign(s.Tokens[proven], "Responder"), true, nil
}

func (x *TokenExchange) sign(token []byte, side string) []byte {
	m := hmac.New(sha256.New, token)
	m.Write([]byte(side))
	m.Write(x.binding)
	return m.Sum(nil)
}

// KnownToken says whether a mechanism of tokens of this name exists here.
func KnownToken(mech string) bool {
	return slices.Contains([]string{HTExporter, HTEndPoint, HTNone}, mech)
}
