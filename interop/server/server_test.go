package server

import (
	"os"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
)

func TestMain(m *testing.M) {
	code := m.Run()
	CleanBinary()
	os.Exit(code)
}

func TestProsody_everyWayIn(t *testing.T) {
	everyWayIn(t, Prosody, "SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN")
}

// RFC 9266: channel binding by tls-exporter, besides the plain mechanisms.
func TestParlance_everyWayIn(t *testing.T) {
	everyWayIn(t, Parlance, "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "PLAIN")
}

// One hole in a firewall is enough: the HTTPS port speaks XMPP to who asks for
// it by ALPN (XEP-0368 §4).
func TestParlance_xmppOnTheHTTPSPort(t *testing.T) {
	s := Test(t, Parlance)
	o := s.Options("alice", "one-port")
	o.Addr, o.DirectTLS = s.HTTP, true
	if err := s.LoginWith(t, o).Fence(5 * time.Second); err != nil {
		t.Error(err)
	}
}

func everyWayIn(t *testing.T, kind Kind, mechanisms ...string) {
	s := Test(t, kind)
	for _, mech := range mechanisms {
		o := s.Options("alice", "r"+mech)
		o.Mechanism, o.SM = mech, true
		c := s.LoginWith(t, o)
		if c.SMID == "" {
			t.Errorf("%s: no resumption id", mech)
		}
		if err := c.Fence(5 * time.Second); err != nil {
			t.Errorf("%s: fence: %v", mech, err)
		}
	}
	o := s.Options("bob", "direct")
	o.Addr, o.DirectTLS = s.C2STLS, true
	b := s.LoginWith(t, o)
	a := s.Login(t, "alice", "x")
	if err := a.Send("<message to='" + b.JID + "' type='chat'><body>hi</body></message>"); err != nil {
		t.Fatal(err)
	}
	m, err := b.Take(5*time.Second, func(n *client.Node) bool { return n.Body() == "hi" })
	if err != nil || m.Get("from") != a.JID {
		t.Fatalf("message over direct TLS: %v, %v", m, err)
	}
}
