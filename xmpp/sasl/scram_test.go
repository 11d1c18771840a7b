package sasl

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// fixed is Credentials of one account with the salt of a known answer.
type fixed struct {
	people
	keys Keys
}

func (f *fixed) SCRAM(context.Context, jid.JID, Hash) (Keys, error) { return f.keys, nil }

func TestSCRAM_knownAnswers(t *testing.T) {
	for _, c := range []struct {
		name, mech          string
		hash                Hash
		salt, nonce         string
		first, challenge    string
		final, verification string
	}{
		{
			"RFC 5802 §5", ScramSHA1, SHA1, "QSXCR+Q6sek8bf92", "3rfcNHYJY1ZVvWVs7j",
			"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
			"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
		},
		{
			"RFC 7677 §3", ScramSHA256, SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
			"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, err := Derive(c.hash, "pencil", b64(c.salt), 4096)
			if err != nil {
				t.Fatal(err)
			}
			conf := Config{Domain: "acme.test", nonce: func() string { return c.nonce }}
			x, err := conf.Start(c.mech, tls12, &fixed{keys: keys})
			if err != nil {
				t.Fatal(err)
			}
			ch, done, err := x.Next(t.Context(), []byte(c.first))
			if err != nil || done || string(ch) != c.challenge {
				t.Fatalf("challenge %q done %v err %v", ch, done, err)
			}
			ch, done, err = x.Next(t.Context(), []byte(c.final))
			if err != nil || !done || string(ch) != c.verification {
				t.Fatalf("verification %q done %v err %v", ch, done, err)
			}
			if x.JID() != jid.MustParse("user@acme.test") {
				t.Errorf("JID %v", x.JID())
			}
		})
	}
}

// client is the peer's side of SCRAM, written from RFC 5802 §3 for the tests
// alone, so that server and client do not share a mistake.
type client struct {
	hash                  Hash
	gs2, user, password   string
	binding               []byte
	cbind                 string // overrides c=
	extra                 string // extensions of the final message
	firstBare, serverLine string
	serverKey             []byte
}

func (c *client) first() []byte {
	c.firstBare = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.user) + ",r=clientnonce"
	return []byte(c.gs2 + c.firstBare)
}

func (c *client) final(t *testing.T, challenge []byte) []byte {
	t.Helper()
	c.serverLine = string(challenge)
	f := strings.Split(c.serverLine, ",")
	n, err := strconv.Atoi(strings.TrimPrefix(f[2], "i="))
	if err != nil {
		t.Fatal(err)
	}
	salted, err := pbkdf2.Key(c.hash.new(), c.password, b64(strings.TrimPrefix(f[1], "s=")), n, c.hash.Size())
	if err != nil {
		t.Fatal(err)
	}
	c.serverKey = c.mac(salted, "Server Key")
	clientKey := c.mac(salted, "Client Key")
	h := c.hash.new()()
	h.Write(clientKey)
	cbind := c.cbind
	if cbind == "" {
		cbind = base64.StdEncoding.EncodeToString(append([]byte(c.gs2), c.binding...))
	}
	without := "c=" + cbind + "," + f[0] + c.extra
	proof := c.mac(h.Sum(nil), c.firstBare+","+c.serverLine+","+without)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	c.serverLine = c.firstBare + "," + c.serverLine + "," + without
	return []byte(without + ",p=" + base64.StdEncoding.EncodeToString(proof))
}

func (c *client) mac(key []byte, text string) []byte {
	m := hmac.New(c.hash.new(), key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// login runs a whole exchange and gives where it ended.
func login(t *testing.T, conf Config, mech string, b Binding, p Credentials, c *client) (jid.JID, error) {
	t.Helper()
	c.hash = SHA256
	switch {
	case strings.Contains(mech, "SHA-512"):
		c.hash = SHA512
	case strings.Contains(mech, "SHA-1"):
		c.hash = SHA1
	}
	x, err := conf.Start(mech, b, p)
	if err != nil {
		return jid.JID{}, err
	}
	ch, done, err := x.Next(t.Context(), c.first())
	if err != nil {
		return x.JID(), err
	}
	if done {
		t.Fatal("done after the first message")
	}
	ch, done, err = x.Next(t.Context(), c.final(t, ch))
	if err != nil {
		if !x.JID().IsZero() {
			t.Errorf("JID %v after a failure", x.JID())
		}
		return x.JID(), err
	}
	if !done {
		t.Fatal("not done after the proof")
	}
	want := "v=" + base64.StdEncoding.EncodeToString(c.mac(c.serverKey, c.serverLine))
	if string(ch) != want {
		t.Errorf("server signature %q, want %q", ch, want)
	}
	return x.JID(), nil
}

func TestSCRAM_everyMechanism(t *testing.T) {
	for _, mech := range []string{ScramSHA1, ScramSHA256, ScramSHA512} {
		p := newPeople()
		who, err := login(t, conf(), mech, tls13, p, &client{gs2: "n,,", user: "alice", password: "correct horse"})
		if err != nil || who != jid.MustParse("alice@acme.test") {
			t.Errorf("%s: %v, %v", mech, who, err)
		}
		if fmt.Sprint(p.outcomes) != "[true]" {
			t.Errorf("%s: outcomes %v", mech, p.outcomes)
		}
		for kind, data := range map[string][]byte{TLSExporter: tls13.Exporter, TLSServerEndPoint: tls13.EndPoint} {
			c := &client{gs2: "p=" + kind + ",,", user: "alice", password: "correct horse", binding: data}
			who, err = login(t, conf(), mech+"-PLUS", tls13, newPeople(), c)
			if err != nil || who != jid.MustParse("alice@acme.test") {
				t.Errorf("%s-PLUS %s: %v, %v", mech, kind, who, err)
			}
		}
	}
}

func TestA3_loginThroughAnotherTLSConnectionFails(t *testing.T) {
	// The proxy has its own TLS session, and another certificate.
	for kind, data := range map[string][]byte{TLSExporter: bytes.Repeat([]byte{1}, 32), TLSServerEndPoint: tls13.Exporter} {
		c := &client{gs2: "p=" + kind + ",,", user: "alice", password: "correct horse", binding: data}
		_, err := login(t, conf(), ScramSHA256Plus, tls13, newPeople(), c)
		wantCondition(t, err, NotAuthorized)
	}
}

// TestA4_channelBindingFlags decides every pair of mechanism and flag as RFC
// 5802 §6 does, for connections where -PLUS was and was not offered.
func TestA4_channelBindingFlags(t *testing.T) {
	onlyPlain := Config{Domain: "acme.test", Only: []string{ScramSHA256}}
	for _, c := range []struct {
		name, mech string
		conf       Config
		b          Binding
		gs2        string
		want       string // "" = login
	}{
		{"n, -PLUS offered, client cannot", ScramSHA256, conf(), tls13, "n,,", ""},
		{"y, -PLUS offered: downgrade", ScramSHA256, conf(), tls13, "y,,", NotAuthorized},
		{"p in a mechanism without -PLUS", ScramSHA256, conf(), tls13, "p=tls-exporter,,", MalformedRequest},
		{"n in -PLUS", ScramSHA256Plus, conf(), tls13, "n,,", MalformedRequest},
		{"y in -PLUS", ScramSHA256Plus, conf(), tls13, "y,,", MalformedRequest},
		{"p in -PLUS", ScramSHA256Plus, conf(), tls13, "p=tls-exporter,,", ""},
		{"p of a type we lack", ScramSHA256Plus, conf(), tls13, "p=tls-unique,,", NotAuthorized},
		{"p of a type this connection lacks", ScramSHA256Plus, conf(), Binding{TLS: true, Exporter: tls13.Exporter},
			"p=tls-server-end-point,,", NotAuthorized},
		{"n, -PLUS not offered", ScramSHA256, conf(), tls12, "n,,", ""},
		{"y, -PLUS not offered", ScramSHA256, conf(), tls12, "y,,", ""},
		{"y, -PLUS switched off", ScramSHA256, onlyPlain, tls13, "y,,", ""},
		{"p, -PLUS not offered", ScramSHA256, conf(), tls12, "p=tls-exporter,,", MalformedRequest},
		{"-PLUS not offered", ScramSHA256Plus, conf(), tls12, "p=tls-exporter,,", InvalidMechanism},
		{"flag outside the grammar", ScramSHA256, conf(), tls13, "F,n,,", MalformedRequest},
		{"p without a type", ScramSHA256Plus, conf(), tls13, "p=,,", MalformedRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := &client{gs2: c.gs2, user: "alice", password: "correct horse"}
			if strings.HasPrefix(c.gs2, "p=") {
				cl.binding = tls13.Exporter
			}
			who, err := login(t, c.conf, c.mech, c.b, newPeople(), cl)
			if c.want == "" {
				if err != nil || who.IsZero() {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			wantCondition(t, err, c.want)
		})
	}
}

func TestA4_headerChangedBetweenTheMessages(t *testing.T) {
	// "n" was sent, a proxy's "y" confirmed: c= must repeat the header (RFC 5802 §5.1).
	c := &client{gs2: "n,,", user: "alice", password: "correct horse", cbind: base64.StdEncoding.EncodeToString([]byte("y,,"))}
	_, err := login(t, conf(), ScramSHA256, tls12, newPeople(), c)
	wantCondition(t, err, NotAuthorized)
}

func TestA5_authzidMustBeOneself(t *testing.T) {
	for _, c := range []struct{ authzid, want string }{
		{"alice@acme.test", ""},
		{"Alice@ACME.test", ""}, // the same account
		{"bob@acme.test", InvalidAuthzid},
		{"alice@b.test", InvalidAuthzid},
		{"alice@acme.test/phone", InvalidAuthzid}, // RFC 6120 §6.3.8: a bare JID
		{"alice", InvalidAuthzid},                 // is a domain, not an account
		{"acme.test", InvalidAuthzid},
		{"admin@acme.test", InvalidAuthzid},
		{"аlice@acme.test", InvalidAuthzid}, // Cyrillic а
		{"alice=2Cx@acme.test", InvalidAuthzid},
		{"alice=ZZ@acme.test", MalformedRequest},
	} {
		cl := &client{gs2: "n,a=" + c.authzid + ",", user: "alice", password: "correct horse"}
		who, err := login(t, conf(), ScramSHA256, tls12, newPeople(), cl)
		if c.want == "" {
			if err != nil || who != jid.MustParse("alice@acme.test") {
				t.Errorf("authzid %q: %v, %v", c.authzid, who, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("authzid %q logged in as %v", c.authzid, who)
			continue
		}
		wantCondition(t, err, c.want)
	}
}

func TestA5_variantsOfAUserNameAreOneAccount(t *testing.T) {
	alice := jid.MustParse("alice@acme.test")
	for _, user := range []string{"alice", "Alice", "ALICE", "alice@acme.test", "Alice@Acme.Test", "ａlice"} {
		p := newPeople()
		who, err := login(t, conf(), ScramSHA256, tls12, p, &client{gs2: "n,,", user: user, password: "correct horse"})
		if err != nil || who != alice {
			t.Errorf("user %q: %v, %v", user, who, err)
		}
	}
	for _, user := range []string{"alice@b.test", "alice@acme.test/x", "@acme.test", "a b", "alice,", "аlice"} {
		who, err := login(t, conf(), ScramSHA256, tls12, newPeople(), &client{gs2: "n,,", user: user, password: "correct horse"})
		if err == nil {
			t.Errorf("user %q logged in as %v", user, who)
			continue
		}
		wantCondition(t, err, NotAuthorized)
	}
}

func TestA6_unknownAndDisabledLookLikeAWrongPassword(t *testing.T) {
	var shape []string
	for _, user := range []string{"alice", "nobody", "bob"} {
		p := newPeople()
		x, _ := conf().Start(ScramSHA256, tls13, p)
		c := &client{hash: SHA256, gs2: "n,,", user: user, password: "wrong"}
		ch, _, err := x.Next(t.Context(), c.first())
		if err != nil {
			t.Fatalf("%s: refused before the proof: %v", user, err)
		}
		parts := strings.Split(string(ch), ",")
		_, _, err = x.Next(t.Context(), c.final(t, ch))
		f := wantCondition(t, err, NotAuthorized)
		shape = append(shape, fmt.Sprint(len(parts[0]), len(parts[1]), parts[2], f.Text, p.outcomes))
	}
	if shape[0] != shape[1] || shape[0] != shape[2] {
		t.Errorf("replies differ: %q", shape)
	}
}

func TestSCRAM_unknownAccountFailsEvenWithAMatchingProof(t *testing.T) {
	_, err := login(t, conf(), ScramSHA256, tls13, newPeople(), &client{gs2: "n,,", user: "nobody", password: "no such account"})
	wantCondition(t, err, NotAuthorized)
}

func TestSCRAM_disabledIsToldAfterACorrectProof(t *testing.T) {
	p := newPeople()
	_, err := login(t, conf(), ScramSHA256, tls13, p, &client{gs2: "n,,", user: "bob", password: "battery staple"})
	wantCondition(t, err, AccountDisabled)
	if fmt.Sprint(p.outcomes) != "[true]" {
		t.Errorf("outcomes %v", p.outcomes)
	}
}

func TestA8_verdictHidesWhetherTheProofWasRight(t *testing.T) {
	for _, password := range []string{"correct horse", "wrong"} {
		p := newPeople()
		p.verdict = Fail(TemporaryAuthFailure, "Too many attempts.")
		who, err := login(t, conf(), ScramSHA256, tls12, p, &client{gs2: "n,,", user: "alice", password: password})
		wantCondition(t, err, TemporaryAuthFailure)
		if !who.IsZero() {
			t.Errorf("logged in as %v", who)
		}
	}
}

func TestSCRAM_malformedMessages(t *testing.T) {
	for _, first := range []string{
		"n", "n,", "n,,", "n,,n=", "n,,n=,r=abc", "n,,n=alice", "n,,n=alice,", "n,,n=alice,r=", "n,,n=alice,r=a b", "n,,n=alice,r=\x7f",
		"n,,m=ext,n=alice,r=abc", "n,,r=abc,n=alice", "n,,n=al=ice,r=abc", "n,,n=al=2cice,r=abc", "n,,n=\xff,r=abc", "n,,n=a\x00,r=abc",
		"n,alice,n=alice,r=abc", "n,a=,n=alice,r=abc", "q,,n=alice,r=abc", "ny,,n=alice,r=abc", "N,,n=alice,r=abc", "\x00",
	} {
		p := newPeople()
		x, _ := conf().Start(ScramSHA256, tls12, p)
		_, _, err := x.Next(t.Context(), []byte(first))
		wantCondition(t, err, MalformedRequest)
		if len(p.asked) > 0 {
			t.Errorf("%q: the store was asked", first)
		}
		_, _, err = x.Next(t.Context(), []byte("n,,n=alice,r=abc"))
		wantCondition(t, err, MalformedRequest)
	}
	for _, final := range []string{"", "c=biws", "c=biws,r=", "c=biws,r=wrong,p=AAAA", "c=!,r=x,p=y", "p=AAAA,r=x,c=biws", "c=biws,r=x,p=" + strings.Repeat("A", 9000)} {
		x, _ := conf().Start(ScramSHA256, tls12, newPeople())
		if _, _, err := x.Next(t.Context(), []byte("n,,n=alice,r=abc")); err != nil {
			t.Fatal(err)
		}
		_, _, err := x.Next(t.Context(), []byte(final))
		wantCondition(t, err, NotAuthorized)
		_, _, err = x.Next(t.Context(), []byte(final))
		wantCondition(t, err, MalformedRequest)
	}
}

func TestA10_serverNonceIsFreshAndLong(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		x, _ := conf().Start(ScramSHA256, tls12, newPeople())
		ch, _, err := x.Next(t.Context(), []byte("n,,n=alice,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		nonce, _, _ := strings.Cut(strings.TrimPrefix(string(ch), "r=abc"), ",")
		// 22 characters of base64 are 132 bits.
		if len(nonce) < 22 || seen[nonce] {
			t.Fatalf("nonce %q is short or repeated", nonce)
		}
		seen[nonce] = true
	}
}
