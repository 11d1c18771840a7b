package c2s_test

import (
	"encoding/base64"
	"testing"

	"github.com/parlance-im/parlance/edge/edgetest"
)

// Debian's slixmpp knows tls-unique alone: it tries each -PLUS with it, then each
// SCRAM with "y", which look like somebody in between, and then logs in with PLAIN.
func TestLogin_attemptsThatGuessNothing(t *testing.T) {
	b := start2(t)
	c := b.secured()
	for _, a := range [][2]string{
		{"SCRAM-SHA-512-PLUS", "p=tls-unique,,"}, {"SCRAM-SHA-256-PLUS", "p=tls-unique,,"}, {"SCRAM-SHA-1-PLUS", "p=tls-unique,,"},
		{"SCRAM-SHA-512", "y,,"}, {"SCRAM-SHA-256", "y,,"}, {"SCRAM-SHA-1", "y,,"},
	} {
		send(t, c, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='"+a[0]+"'>"+
			base64.StdEncoding.EncodeToString([]byte(a[1]+"n=alice,r=abc"))+"</auth>")
		wantFailure(t, c, "not-authorized")
	}
	if err := c.Auth("PLAIN", "alice", edgetest.Password); err != nil {
		t.Fatal(err)
	}
	// Guesses are counted as ever, and so is everything that is sent.
	c = b.secured()
	for i := range 40 {
		if err := c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>" +
			base64.StdEncoding.EncodeToString([]byte("y,,n=alice,r=abc")) + "</auth>"); err != nil {
			t.Fatal(err)
		}
		if n := next(t, c); n.Name.Local == "error" {
			if n.Condition() != "policy-violation" || i != 31 { // <starttls/> was the first of 32
				t.Errorf("%d: %v", i, n)
			}
			return
		}
	}
	t.Error("no end of it")
}
