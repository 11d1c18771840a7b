package vhost

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// XEP-0215 §3.2: who asked for a host's services is told when they change; who did
// not ask and another host's people are not.
func TestServices_changesArePushed(t *testing.T) {
	s := server.Test(t, server.Parlance)
	withOther(t, s, "calls.services=stun:one.test")
	asked, silent, elsewhere := login(t, s, "alice", other, "one"), login(t, s, "bob", other, "one"), login(t, s, "alice", server.Domain, "one")
	const all = "<services xmlns='urn:xmpp:extdisco:2'/>"
	for c, want := range map[*client.Client]bool{asked: true, elsewhere: false} {
		domain := server.Domain
		if want {
			domain = other
		}
		iq, err := c.IQ(within, "get", domain, all)
		if err != nil || iq.Get("type") != "result" || strings.Contains(iq.String(), "one.test") != want {
			t.Fatalf("%s: %v %v", domain, iq, err)
		}
	}
	parlance(t, s, "host", "set", other, "calls.services=turn:two.test")
	push, err := asked.Take(within, func(n *client.Node) bool { return n.Get("type") == "set" })
	if err != nil {
		t.Fatal(err)
	}
	text := push.String()
	if push.Get("from") != other || strings.Count(text, "action=") != 2 || !strings.Contains(text, "two.test") || !strings.Contains(text, "one.test") {
		t.Errorf("pushed: %s", text)
	}
	if iq, err := asked.IQ(within, "get", other, all); err != nil || !strings.Contains(iq.String(), "two.test") || strings.Contains(iq.String(), "one.test") {
		t.Errorf("asked again: %v %v", iq, err)
	}
	for _, c := range []*client.Client{silent, elsewhere} {
		if err := c.Fence(within); err != nil {
			t.Fatal(err)
		}
		for _, n := range c.Drain() {
			if strings.Contains(n.String(), "extdisco") {
				t.Errorf("told without having asked, or of another host: %s", n)
			}
		}
	}
}
