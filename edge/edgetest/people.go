package edgetest

import (
	"context"
	"sync"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Domain is the hosted one.
const Domain = "acme.test"

// Password is everybody's: alice, bob and carol exist, dave is disabled.
const Password = "parlance"

// People meets sasl.Credentials.
type People struct {
	Tokens map[string]jid.JID
	// Limited, if set, is the answer to everybody.
	Limited *sasl.Failure

	once sync.Once
	keys map[sasl.Hash]sasl.Keys
}

func (p *People) known(who jid.JID) (ok, disabled bool) {
	switch who.Local() {
	case "alice", "bob", "carol":
		return true, false
	case "dave":
		return true, true
	}
	return false, false
}

// SCRAM gives keys of few rounds.
func (p *People) SCRAM(_ context.Context, who jid.JID, h sasl.Hash) (sasl.Keys, error) {
	if p.Limited != nil {
		return sasl.Keys{}, p.Limited
	}
	p.once.Do(func() {
		p.keys = map[sasl.Hash]sasl.Keys{}
		for _, h := range []sasl.Hash{sasl.SHA1, sasl.SHA256} {
			p.keys[h], _ = sasl.Derive(h, Password, []byte("0123456789abcdef"), 64)
		}
	})
	k := p.keys[h]
	k.Known, k.Disabled = p.known(who)
	return k, nil
}

// Password checks it.
func (p *People) Password(_ context.Context, who jid.JID, password string) error {
	if p.Limited != nil {
		return p.Limited
	}
	ok, disabled := p.known(who)
	switch {
	case !ok || password != Password:
		return sasl.Denied()
	case disabled:
		return sasl.Fail(sasl.AccountDisabled, "This account is disabled.")
	}
	return nil
}

// Token looks it up.
func (p *People) Token(_ context.Context, token string) (jid.JID, error) {
	if j, ok := p.Tokens[token]; ok {
		return j, nil
	}
	return jid.JID{}, sasl.Denied()
}

// Limit is a limiter's answer.
func Limit() *sasl.Failure {
	return &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "Try again later.", Retry: time.Minute}
}
