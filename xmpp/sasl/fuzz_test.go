package sasl

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzFirst gives any bytes to every mechanism as the first message: no panic,
// and nobody gets in without a password.
func FuzzFirst(f *testing.F) {
	for _, s := range []string{
		"n,,n=alice,r=abc", "p=tls-exporter,a=alice@acme.test,n=alice,r=abc", "y,,n==2C=3D,r=x,ext=1", "n,,m=1,n=a,r=b",
		"\x00alice\x00pw", "a\x00b\x00c", "n,,\x01auth=Bearer tok\x01\x01", "n,a=x,\x01host=h\x01port=1\x01auth=Bearer t\x01\x01", "", ",,", "n,,n=\xff",
	} {
		f.Add([]byte(s))
	}
	mechs := conf().Mechanisms(tls13)
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, m := range mechs {
			p := newPeople()
			p.rounds, p.passwords = 1, nil
			p.tokens = nil
			x, err := conf().Start(m, tls13, p)
			if err != nil {
				t.Fatal(err)
			}
			ch, done, err := x.Next(t.Context(), msg)
			if done || !x.JID().IsZero() {
				t.Fatalf("%s: logged in by %q", m, msg)
			}
			if err == nil && strings.HasPrefix(m, "SCRAM") && !strings.HasPrefix(string(ch), "r=") {
				t.Fatalf("%s: challenge %q", m, ch)
			}
		}
	})
}

// FuzzFinal gives any bytes as SCRAM's second message.
func FuzzFinal(f *testing.F) {
	for _, s := range []string{"c=biws,r=abcN,p=AAAA", "c=biws,r=abcN,x=1,p=", "c=,r=,p=", "", ",,,", "c=biws,r=abcN,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="} {
		f.Add([]byte(s))
	}
	c := conf()
	c.nonce = func() string { return "N" }
	f.Fuzz(func(t *testing.T, msg []byte) {
		p := newPeople()
		p.rounds = 1
		x, err := c.Start(ScramSHA1, tls13, p)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := x.Next(t.Context(), []byte("n,,n=alice,r=abc")); err != nil {
			t.Fatal(err)
		}
		if _, done, err := x.Next(t.Context(), msg); done || err == nil {
			t.Fatalf("logged in by %q", msg)
		}
	})
}

// FuzzHeader: a GS2 header that parses is the one that was meant.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{"n,,x", "p=tls-exporter,a=a=2Cb,rest", "y,a==3D,", "p=,,", "n,a=,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, msg string) {
		h, rest, err := parseHeader(msg)
		if err != nil {
			return
		}
		flag := string(h.flag)
		if h.flag == 'p' {
			flag = "p=" + h.binding
		}
		authz := ""
		if h.authzid != "" {
			authz = "a=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(h.authzid)
		}
		if again := flag + "," + authz + "," + rest; again != msg {
			t.Fatalf("%q read as %q", msg, again)
		}
	})
}

// FuzzToken gives any bytes to the mechanisms of tokens: nobody gets in without one.
func FuzzToken(f *testing.F) {
	for _, s := range [][]byte{
		proof("alice", "guess", "Initiator", nil), proof("Alice@acme.test", "guess", "Initiator", tls13.Exporter), proof("nobody", "", "Initiator", nil),
		[]byte("alice\x00"), {0}, nil, []byte("alice\x00\x00"), append([]byte("al\xffice\x00"), make([]byte, 32)...),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, m := range tls13.TokenMechanisms() {
			p := newPeople()
			x, err := conf().StartToken(m, tls13, Use{Device: "phone"}, p)
			if err != nil {
				t.Fatal(err)
			}
			if _, done, err := x.Next(t.Context(), msg); done || err == nil || !x.JID().IsZero() {
				t.Fatalf("%s: logged in by %q", m, msg)
			}
		}
	})
}

// FuzzAddresses gives any bytes as a subjectAltName: no panic, and every address
// stands in it as it was read (HARDENING A13).
func FuzzAddresses(f *testing.F) {
	for _, s := range []string{
		"\x30\x1f\xa0\x1d\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x05\xa0\x11\x0c\x0falice@acme.test",
		"\x30\x1f\xa0\x1d\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x05\xa0\x11\x16\x0falice@acme.test",
		"\x30\x11\x82\x0falice@acme.test", "\x30\x00", "", "\x30\x80\x00\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, san []byte) {
		list, err := Addresses(&x509.Certificate{Extensions: []pkix.Extension{{Id: oidSAN(), Value: san}}})
		if err != nil && len(list) > 0 {
			t.Fatalf("%v and %v", list, err)
		}
		for _, j := range list {
			if j.IsZero() || !utf8.Valid([]byte(j.String())) {
				t.Fatalf("%q of %q", j, san)
			}
		}
	})
}
