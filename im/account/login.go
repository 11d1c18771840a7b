package account

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/netip"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Login is what xmpp/sasl asks for secrets, for one connection: it knows where
// the connection comes from and refuses who was wrong too often (HARDENING A8).
// The zero source (a unix socket) has no limit of its own, only the account's.
func (s *Store) Login(source netip.Addr) *Login { return &Login{s: s, source: source} }

// Login meets sasl.Credentials.
type Login struct {
	s      *Store
	source netip.Addr
	// browser is set by Token: a connection has one login at a time.
	browser string
}

var _ sasl.Credentials = (*Login)(nil)

// SCRAM gives an account's keys. Unknown accounts, and known ones without keys
// for this hash, get made-up ones; the work is the same.
func (l *Login) SCRAM(ctx context.Context, who jid.JID, h sasl.Hash) (sasl.Keys, error) {
	if err := l.allow(ctx, who); err != nil {
		return sasl.Keys{}, err
	}
	r, err := l.s.lookup(ctx, who)
	if err != nil {
		return sasl.Keys{}, err
	}
	made := l.s.fake.keys(who, h)
	k, ok := r.keys[h]
	if !ok {
		k = made
	}
	k.Disabled = r.disabled
	k.Verdict = func(proven bool) error { return l.verdict(ctx, who, proven) }
	return k, nil
}

// Password checks a password. Unknown accounts cost the same PBKDF2.
func (l *Login) Password(ctx context.Context, who jid.JID, password string) error {
	if err := l.allow(ctx, who); err != nil {
		return err
	}
	r, err := l.s.lookup(ctx, who)
	if err != nil {
		return err
	}
	since := l.s.now()
	proven, err := l.proves(ctx, who, r, password)
	if err != nil {
		return err
	}
	if err := l.verdict(ctx, who, proven); err != nil {
		return err
	}
	switch {
	case !proven:
		return sasl.Denied()
	case r.disabled:
		// RFC 6120 §6.5.2, told only to who knows the password.
		return sasl.Fail(sasl.AccountDisabled, "This account is disabled.")
	}
	if len(r.keys) < len(hashes()) {
		if prepared, err := sasl.Prepare(password); err == nil {
			l.refresh(ctx, who, r, prepared, since)
		}
	}
	return nil
}

// Token gives the account of an OAUTHBEARER token.
func (l *Login) Token(ctx context.Context, token string) (jid.JID, error) {
	who, err := l.check(ctx, token)
	if errors.Is(err, ErrNoToken) {
		return jid.JID{}, sasl.Denied()
	}
	return who, err
}

func (l *Login) allow(ctx context.Context, who jid.JID) error {
	return l.limit(ctx, who, func() (bool, time.Duration) { return l.s.limiter.Allow(l.source, who.String()) })
}

func (l *Login) verdict(ctx context.Context, who jid.JID, proven bool) error {
	return l.limit(ctx, who, func() (bool, time.Duration) { return l.s.limiter.Judge(l.source, who.String(), proven) })
}

// limit asks the limiter, and if it refuses whether the source was known before the start.
func (l *Login) limit(ctx context.Context, who jid.JID, ask func() (bool, time.Duration)) error {
	ok, retry := ask()
	if !ok && l.s.sources.recall(ctx, l.source, who) {
		ok, retry = ask()
	}
	return tooOften(ok, retry)
}

// tooOften is the same for every account, existing or not.
func tooOften(ok bool, retry time.Duration) error {
	if ok {
		return nil
	}
	// RFC 6120 §6.5.11: a temporary error of the receiving entity.
	return &sasl.Failure{
		Condition: sasl.TemporaryAuthFailure, Retry: retry,
		Text: "Too many failed attempts. Try again later.",
	}
}

// proves runs PBKDF2 and compares. Only so many run at a time (HARDENING A9).
func (l *Login) proves(ctx context.Context, who jid.JID, r *record, password string) (bool, error) {
	h := sasl.SHA256
	if _, ok := r.keys[h]; !ok {
		for _, other := range hashes() {
			if _, ok := r.keys[other]; ok {
				h = other
			}
		}
	}
	made := l.s.fake.keys(who, h)
	k, known := r.keys[h]
	if !known {
		k = made
	}
	prepared, perr := sasl.Prepare(password)
	if perr != nil {
		prepared = "-" // the work is done all the same
	}
	select {
	case l.s.hashing <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-l.s.hashing }()
	got, err := sasl.Derive(h, prepared, k.Salt, k.Iterations)
	if err != nil {
		return false, err
	}
	same := subtle.ConstantTimeCompare(got.StoredKey, k.StoredKey) == 1
	return same && known && perr == nil, nil
}
