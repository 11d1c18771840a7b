package server

import (
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
)

func TestProsody_everyWayIn(t *testing.T) { everyWayIn(t, Prosody) }

func everyWayIn(t *testing.T, kind Kind) {
	s := Test(t, kind)
	for _, mech := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"} {
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
