package edgetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/account"
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

	// Without are the hash functions nobody has keys for, until they are upgraded.
	Without map[sasl.Hash]bool

	once sync.Once
	keys map[sasl.Hash]sasl.Keys

	mu     sync.Mutex
	fast   map[string]string // mu; device and mechanism: token
	counts map[string]int64  // mu; device: last count
	guests int               // mu
	Due    bool              // every token is to be replaced
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
		for _, h := range []sasl.Hash{sasl.SHA1, sasl.SHA256, sasl.SHA512} {
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

// Secrets gives a device's token and one that nobody has.
func (p *People) Secrets(_ context.Context, who jid.JID, mech string, u sasl.Use) (sasl.Secrets, error) {
	if p.Limited != nil {
		return sasl.Secrets{}, p.Limited
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := who.String() + " " + u.Device
	token, ok := p.fast[key+" "+mech]
	if !ok {
		token = "nobody has this"
	}
	return sasl.Secrets{
		Tokens: [][]byte{[]byte(token), []byte("nor this")},
		Verdict: func(_ context.Context, i int) (bool, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if i != 0 || !ok || u.Count > 0 && u.Count <= p.counts[key] {
				return false, sasl.Denied()
			}
			p.counts[key] = u.Count
			if u.Invalidate {
				delete(p.fast, key+" "+mech)
			}
			return p.Due && !u.Invalidate, nil
		},
	}, nil
}

// Mint gives a token, as c2s.Devices has it.
func (p *People) Mint(_ context.Context, who jid.JID, d account.Device, mech string, _ time.Time) (string, time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fast == nil {
		p.fast, p.counts = map[string]string{}, map[string]int64{}
	}
	token := rand.Text()
	p.fast[who.String()+" "+d.ID+" "+mech] = token
	return token, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), nil
}

// Lacking lists Without, for c2s.Upgrades.
func (p *People) Lacking() (out []sasl.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range []sasl.Hash{sasl.SHA512, sasl.SHA256, sasl.SHA1} {
		if p.Without[h] {
			out = append(out, h)
		}
	}
	return out
}

// Lacks says the same of everybody.
func (p *People) Lacks(_ context.Context, _ jid.JID, h sasl.Hash) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Without[h], nil
}

// Salt is that of everybody.
func (p *People) Salt() ([]byte, int) { return []byte("0123456789abcdef"), 64 }

// Add takes keys that are those of Password.
func (p *People) Add(_ context.Context, _ jid.JID, h sasl.Hash, k sasl.Keys, _ time.Time) error {
	want, err := sasl.Derive(h, Password, k.Salt, k.Iterations)
	if err != nil || !bytes.Equal(want.StoredKey, k.StoredKey) {
		return errors.New("edgetest: other keys than those of the password")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.Without, h)
	return nil
}

// Certificate lets those in who exist.
func (p *People) Certificate(_ context.Context, who jid.JID) error {
	switch ok, disabled := p.known(who); {
	case !ok:
		return sasl.Denied()
	case disabled:
		return sasl.Fail(sasl.AccountDisabled, "This account is disabled.")
	}
	return nil
}

// Guest makes one.
func (p *People) Guest(_ context.Context, domain string) (jid.JID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guests++
	return jid.New("guest-"+strings.ToLower(rand.Text()), domain, "")
}

// Leave counts them.
func (p *People) Leave(jid.JID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guests--
}

// Visitors are the guests who have not left.
func (p *People) Visitors() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.guests
}

// Limit is a limiter's answer.
func Limit() *sasl.Failure {
	return &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "Try again later.", Retry: time.Minute}
}
