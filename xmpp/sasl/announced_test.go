package sasl

import (
	"encoding/base64"
	"strings"
	"testing"
)

// XEP-0474 §6.3: the document's own example.
func TestAnnounced_hashOfTheExample(t *testing.T) {
	a := &Announced{Mechanisms: []string{"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"}, Bindings: []string{"tls-server-end-point", "tls-exporter"}}
	if got := a.hash(SHA1); got != "G6k/rBLDqgOhRRaCuuatSDFkJ08=" {
		t.Errorf("%s", got)
	}
	// The order it was written in does not matter, and what was not said is not in it.
	b := &Announced{Mechanisms: []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"}, Bindings: []string{"tls-exporter", "tls-server-end-point"}}
	if a.hash(SHA256) != b.hash(SHA256) {
		t.Error("another order gives another hash")
	}
	b.Bindings = nil
	if want := base64.StdEncoding.EncodeToString(SHA512.sum([]byte("SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS"))); b.hash(SHA512) != want {
		t.Errorf("%s", b.hash(SHA512))
	}
}

// A peer that was shown something else sees it, or can't log in: HARDENING A4
// with XEP-0474. What was cut away is always the best there was.
func TestA4_listChangedOnTheWay(t *testing.T) {
	told := &Announced{Mechanisms: conf().Mechanisms(tls13), Bindings: tls13.Types()}
	without := func(list []string, part string) (out []string) {
		for _, m := range list {
			if !strings.Contains(m, part) {
				out = append(out, m)
			}
		}
		return out
	}
	for _, c := range []struct {
		name string
		seen Announced
		mech string
		gs2  string
	}{
		{"nothing changed", *told, ScramSHA512Plus, "p=tls-exporter,,"},
		{"no binding types seen", Announced{Mechanisms: told.Mechanisms}, ScramSHA512, "n,,"},
		{"strange binding types seen", Announced{told.Mechanisms, []string{"tls-nonsense"}}, ScramSHA512, "n,,"},
		{"the weaker binding alone seen", Announced{told.Mechanisms, []string{TLSServerEndPoint}}, ScramSHA512Plus, "p=tls-server-end-point,,"},
		{"no -PLUS seen, told with n", Announced{without(told.Mechanisms, "PLUS"), told.Bindings}, ScramSHA512, "n,,"},
		{"no SHA-512 seen", Announced{without(told.Mechanisms, "512"), told.Bindings}, ScramSHA256Plus, "p=tls-exporter,,"},
		{"SHA-1 alone seen", Announced{without(without(told.Mechanisms, "512"), "256"), told.Bindings}, ScramSHA1Plus, "p=tls-exporter,,"},
		{"one more seen", Announced{append([]string{"X-OWN"}, told.Mechanisms...), told.Bindings}, ScramSHA512Plus, "p=tls-exporter,,"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cf := conf()
			cf.Announced = told
			x, err := cf.Start(c.mech, tls13, newPeople())
			if err != nil {
				t.Fatal(err)
			}
			cl := &client{hash: hashOf(c.mech), gs2: c.gs2, user: "alice", password: "correct horse"}
			if strings.HasPrefix(c.gs2, "p=") {
				cl.binding = tls13.data(strings.TrimSuffix(c.gs2[2:], ",,"))
			}
			ch, _, err := x.Next(t.Context(), cl.first())
			if err != nil {
				t.Fatal(err)
			}
			line, h, ok := strings.Cut(string(ch), ",h=")
			if !ok {
				t.Fatalf("no h= in %q (XEP-0474 §6.1)", ch)
			}
			mine := c.seen.hash(cl.hash)
			if got := h == mine; got != (c.name == "nothing changed") {
				t.Errorf("the hash says unchanged: %v", got)
			}
			// Somebody in between who also writes the hash anew fails at the proof.
			_, done, err := x.Next(t.Context(), cl.final(t, []byte(line+",h="+mine)))
			if want := c.name == "nothing changed"; done != want {
				t.Errorf("login: %v %v", done, err)
			}
		})
	}
}

func TestStart_onlyWhatWasAnnounced(t *testing.T) {
	cf := conf()
	cf.Announced = &Announced{Mechanisms: []string{ScramSHA256}}
	_, err := cf.Start(ScramSHA1, tls13, newPeople())
	wantCondition(t, err, InvalidMechanism)
}

func TestSCRAM_extensionsOfTheFinalMessage(t *testing.T) {
	for _, c := range []struct {
		extra string
		ok    bool
	}{{"", true}, {",x=more", true}, {",m=must", false}} {
		x, _ := conf().Start(ScramSHA256, tls12, newPeople())
		cl := &client{hash: SHA256, gs2: "n,,", user: "alice", password: "correct horse", extra: c.extra}
		ch, _, err := x.Next(t.Context(), cl.first())
		if err != nil {
			t.Fatal(err)
		}
		if _, done, err := x.Next(t.Context(), cl.final(t, ch)); done != c.ok {
			t.Errorf("%q: %v %v (RFC 5802 §5.1)", c.extra, done, err)
		}
	}
}
