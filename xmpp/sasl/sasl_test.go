package sasl

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// people is Credentials over a map, as im/account behaves.
type people struct {
	passwords map[jid.JID]string
	disabled  map[jid.JID]bool
	tokens    map[string]jid.JID
	broken    error
	salt      []byte
	rounds    int
	outcomes  []bool
	verdict   error
	asked     []jid.JID
	use       Use
}

func newPeople() *people {
	alice, bob := jid.MustParse("alice@acme.test"), jid.MustParse("bob@acme.test")
	return &people{
		passwords: map[jid.JID]string{alice: "correct horse", bob: "battery staple"},
		disabled:  map[jid.JID]bool{bob: true},
		tokens:    map[string]jid.JID{"tok-alice": alice, "tok-other": jid.MustParse("alice@b.test")},
		salt:      []byte("0123456789abcdef"), rounds: 64,
	}
}

func (p *people) SCRAM(_ context.Context, who jid.JID, h Hash) (Keys, error) {
	if p.broken != nil {
		return Keys{}, p.broken
	}
	p.asked = append(p.asked, who)
	pw, ok := p.passwords[who]
	if !ok {
		pw = "no such account"
	}
	k, err := Derive(h, pw, p.salt, p.rounds)
	k.Known, k.Disabled = ok, p.disabled[who]
	k.Verdict = func(ok bool) error {
		p.outcomes = append(p.outcomes, ok)
		return p.verdict
	}
	return k, err
}

func (p *people) Password(_ context.Context, who jid.JID, password string) error {
	if p.broken != nil {
		return p.broken
	}
	p.asked = append(p.asked, who)
	pw, ok := p.passwords[who]
	same := subtle.ConstantTimeCompare([]byte(pw), []byte(password)) == 1
	switch {
	case !ok || !same:
		return Denied()
	case p.disabled[who]:
		return Fail(AccountDisabled, "")
	}
	return nil
}

func (p *people) Token(_ context.Context, token string) (jid.JID, error) {
	if p.broken != nil {
		return jid.JID{}, p.broken
	}
	if j, ok := p.tokens[token]; ok {
		return j, nil
	}
	return jid.JID{}, Denied()
}

// Secrets gives alice's phone two tokens.
func (p *people) Secrets(_ context.Context, who jid.JID, mech string, u Use) (Secrets, error) {
	if p.broken != nil {
		return Secrets{}, p.broken
	}
	p.asked, p.use = append(p.asked, who), u
	known := who == jid.MustParse("alice@acme.test") && u.Device == "phone"
	return Secrets{
		Tokens: [][]byte{[]byte("new " + mech), []byte("current " + mech)},
		Verdict: func(_ context.Context, i int) (bool, error) {
			p.outcomes = append(p.outcomes, i >= 0 && known)
			if p.verdict == nil && !known {
				return false, Denied()
			}
			return i == 1, p.verdict
		},
	}, nil
}

func (p *people) Certificate(_ context.Context, who jid.JID) error {
	if _, ok := p.passwords[who]; !ok {
		return Denied()
	}
	if p.disabled[who] {
		return Fail(AccountDisabled, "")
	}
	return nil
}

func (p *people) Guest(context.Context, string) (jid.JID, error) {
	return jid.MustParse("guest-1@acme.test"), p.broken
}

var (
	tls12  = Binding{TLS: true}
	tls13  = Binding{TLS: true, Exporter: bytes.Repeat([]byte{7}, 32), EndPoint: bytes.Repeat([]byte{9}, 32)}
	plainB = Binding{}
)

func conf() Config { return Config{Domain: "acme.test"} }

func wantCondition(t *testing.T, err error, condition string) *Failure {
	t.Helper()
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		t.Fatalf("error %v, want a Failure %s", err, condition)
	}
	if f.Condition != condition {
		t.Fatalf("condition %s (%v), want %s", f.Condition, f, condition)
	}
	return f
}

func TestMechanisms_whatIsOffered(t *testing.T) {
	all := []string{ScramSHA512Plus, ScramSHA256Plus, ScramSHA1Plus, ScramSHA512, ScramSHA256, ScramSHA1, OAuthBearer, Plain}
	for _, c := range []struct {
		name string
		conf Config
		b    Binding
		want []string
	}{
		{"TLS with binding data", conf(), tls13, all},
		{"not everybody has keys for SHA-512", Config{Domain: "acme.test", Without: []Hash{SHA512}}, tls13,
			[]string{ScramSHA256Plus, ScramSHA1Plus, ScramSHA256, ScramSHA1, OAuthBearer, Plain}},
		{"TLS without binding data: no -PLUS (RFC 5802 §6)", conf(), tls12, all[3:]},
		{"plaintext: nothing (A2)", conf(), plainB, nil},
		{"plaintext where permitted: no OAUTHBEARER (RFC 7628 §3)", Config{Domain: "acme.test", AllowPlain: true}, plainB,
			[]string{ScramSHA512, ScramSHA256, ScramSHA1, Plain}},
		{"plaintext with binding data makes no -PLUS", Config{Domain: "acme.test", AllowPlain: true},
			Binding{Exporter: []byte("x")}, []string{ScramSHA512, ScramSHA256, ScramSHA1, Plain}},
		{"only some", Config{Domain: "acme.test", Only: []string{Plain, ScramSHA256Plus}}, tls13, []string{ScramSHA256Plus, Plain}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.conf.Mechanisms(c.b); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestStart_refusesWhatIsNotOffered(t *testing.T) {
	for _, c := range []struct {
		name, mech string
		conf       Config
		b          Binding
		want       string
	}{
		{"unknown (RFC 6120 §6.5.7)", "CRAM-MD5", conf(), tls13, InvalidMechanism},
		{"lower case: names are case-sensitive", "plain", conf(), tls13, InvalidMechanism},
		{"-PLUS without data", ScramSHA256Plus, conf(), tls12, InvalidMechanism},
		{"switched off", Plain, Config{Domain: "acme.test", Only: []string{ScramSHA256}}, tls13, InvalidMechanism},
		{"plaintext (RFC 6120 §6.5.3)", Plain, conf(), plainB, EncryptionRequired},
		{"plaintext SCRAM", ScramSHA256, conf(), plainB, EncryptionRequired},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.conf.Start(c.mech, c.b, newPeople())
			wantCondition(t, err, c.want)
		})
	}
}

func TestNext_withoutInitialResponseGivesAnEmptyChallenge(t *testing.T) {
	// RFC 6120 §6.4.2: the initial response may be left out.
	for _, mech := range conf().Mechanisms(tls13) {
		x, err := conf().Start(mech, tls13, newPeople())
		if err != nil {
			t.Fatal(err)
		}
		ch, done, err := x.Next(t.Context(), nil)
		if err != nil || done || ch == nil || len(ch) != 0 {
			t.Errorf("%s: challenge %q done %v err %v, want an empty challenge", mech, ch, done, err)
		}
		if !x.JID().IsZero() {
			t.Errorf("%s: JID %v before the login", mech, x.JID())
		}
	}
}

func TestNext_emptyInitialResponseIsMalformed(t *testing.T) {
	for _, mech := range conf().Mechanisms(tls13) {
		x, _ := conf().Start(mech, tls13, newPeople())
		_, _, err := x.Next(t.Context(), []byte{})
		wantCondition(t, err, MalformedRequest)
	}
}

func TestNext_brokenStoreIsTemporary(t *testing.T) {
	// RFC 6120 §6.5.11: not the person's fault, and the cause stays in the log.
	for mech, first := range map[string]string{
		ScramSHA256: "n,,n=alice,r=abc", Plain: "\x00alice\x00pw", OAuthBearer: "n,,\x01auth=Bearer tok-alice\x01\x01",
	} {
		p := newPeople()
		p.broken = errors.New("disk on fire")
		x, _ := conf().Start(mech, tls13, p)
		_, _, err := x.Next(t.Context(), []byte(first))
		f := wantCondition(t, err, TemporaryAuthFailure)
		if !errors.Is(err, p.broken) || bytes.Contains([]byte(f.Text), []byte("fire")) {
			t.Errorf("%s: cause %v, text %q", mech, f.Cause, f.Text)
		}
	}
}

func TestDecode_table(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []byte
		ok   bool
	}{
		{"", nil, true}, {"=", []byte{}, true}, {"YQ==", []byte("a"), true},
		{"YQ", nil, false}, {"YR==", nil, false}, {"Y Q==", nil, false}, {"YQ==YQ==", nil, false}, {"ä", nil, false},
	} {
		got, err := Decode(c.in)
		if c.ok != (err == nil) || !bytes.Equal(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("Decode(%q) = %#v, %v", c.in, got, err)
		}
		if !c.ok {
			wantCondition(t, err, IncorrectEncoding)
		}
	}
}

func b64(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
