package c2s_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func startGuests(t *testing.T) *bench {
	t.Helper()
	people := &edgetest.People{}
	b := start2(t, func(c *c2s.Config) {
		c.Guests, c.Devices, c.Upgrades = people, people, people
		c.Credentials = func(netip.Addr) sasl.Credentials { return people }
	})
	b.people = people
	return b
}

// XEP-0175 §3: a guest is somebody new each time, and gone with the connection.
func TestGuest_comesAndGoes(t *testing.T) {
	if c := start2(t).secured(); slices.Contains(c.Mechanisms(), "ANONYMOUS") {
		t.Error("offered though nobody switched it on")
	}
	b := startGuests(t)
	seen := map[string]bool{}
	for _, trace := range []string{"", "alice@acme.test"} {
		c := b.secured()
		// Not resumable: there would be nobody to come back to.
		send(t, c, client.Authenticate("ANONYMOUS", trace, agent(phoneID)+strings.Replace(bind2, "</bind>", enableSM+"</bind>", 1)+
			"<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"))
		n := next(t, c)
		who, _, _ := strings.Cut(identity(authenticated(t, n, nil)), "/")
		if !strings.HasPrefix(who, "guest-") || len(who) < 40 || seen[who] {
			t.Errorf("guest %q", who)
		}
		seen[who] = true
		if on := n.Path("bound", "enabled"); on == nil || on.Get("id") != "" {
			t.Errorf("%v", on)
		}
		// The first may still be leaving when the second comes.
		if n := b.people.Visitors(); n != 1 && len(seen) == 1 {
			t.Errorf("%d guests", n)
		}
		c.Close()
		if !b.core.Await("detach "+identity(n), patience) {
			t.Fatal("not seen")
		}
	}
	b.srv.Shutdown(t.Context())
	if n := b.people.Visitors(); n != 0 {
		t.Errorf("%d guests left behind", n)
	}
}

func TestGuest_profileOfOld(t *testing.T) {
	b := startGuests(t)
	c := b.secured()
	send(t, c, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	if n := next(t, c); n.Name.Local != "challenge" { // RFC 4505 §2: the trace may be empty, but is sent
		t.Fatal(n)
	}
	send(t, c, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	if n := next(t, c); n.Name.Local != "success" {
		t.Fatal(n)
	}
	if err := c.OpenStream(); err != nil {
		t.Fatal(err)
	}
	if full, err := c.Bind("phone"); err != nil || !strings.HasPrefix(full, "guest-") {
		t.Fatal(full, err)
	}
}

// A login that fails behind the mechanism leaves no guest.
func TestGuest_failedLoginLeavesNobody(t *testing.T) {
	b := startGuests(t)
	b.core.BindErr = stanza.Fail("resource-constraint", "Too many.")
	c := b.secured()
	for range 3 {
		send(t, c, client.Authenticate("ANONYMOUS", "", bind2))
		if n := next(t, c); n.Name.Local != "failure" {
			t.Fatal(n)
		}
	}
	send(t, c, client.Authenticate("ANONYMOUS", strings.Repeat("x", 1021), bind2))
	if n := next(t, c); n.Kid("", "malformed-request") == nil {
		t.Errorf("%v", n)
	}
	if n := b.people.Visitors(); n != 0 {
		t.Errorf("%d guests of failed logins", n)
	}
}
