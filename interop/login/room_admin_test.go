package login

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// XEP-0045 §7.2, §9, §10, §11.2: who administers the service comes into any room and may do to it
// what its owners may, others may not; and when the server stops everybody in
// a room is told that he is out because of that.
func TestRooms_serviceAdminAndShutdown(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	const cave = "cave@conference." + server.Domain
	alice, bob, admin := online(t, s, "alice"), online(t, s, "bob"), online(t, s, "admin")
	enter := func(c *client.Conn, nick string) *client.Node {
		t.Helper()
		if err := c.Send("<presence to='" + cave + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>"); err != nil {
			t.Fatal(err)
		}
		return upTo(t, c, func(n *client.Node) bool {
			return n.Name.Local == "presence" && n.Get("from") == cave+"/"+nick
		})
	}
	const (
		ownerNS = "http://jabber.org/protocol/muc#owner"
		adminNS = "http://jabber.org/protocol/muc#admin"
		members = "<query xmlns='" + ownerNS + "'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_membersonly'><value>1</value></field></x></query>"
	)
	enter(alice, "A")
	if n := ask(t, alice, "set", cave, members); n.Get("type") != "result" {
		t.Fatal(n)
	}
	ban := "<query xmlns='" + adminNS + "'><item jid='admin@acme.test' affiliation='outcast'/></query>"
	if n := ask(t, alice, "set", cave, ban); n.Get("type") != "result" {
		t.Fatal(n)
	}
	for c, want := range map[*client.Conn]string{bob: "forbidden", admin: "result"} {
		for _, r := range []string{
			"<query xmlns='" + adminNS + "'><item affiliation='owner'/></query>",
			"<query xmlns='" + ownerNS + "'/>",
		} {
			if got := refusal(ask(t, c, "get", cave, r)); got != want {
				t.Errorf("%s: %q, want %q", r, got, want)
			}
		}
		if got := refusal(ask(t, c, "set", cave, "<query xmlns='"+adminNS+"'><item jid='carol@acme.test' affiliation='admin'/></query>")); got != want {
			t.Errorf("naming an admin: %q, want %q", got, want)
		}
	}
	if n := enter(bob, "B"); n.Get("type") != "error" {
		t.Errorf("bob came into a members-only room: %v", n)
	}
	if n := enter(admin, "Root"); n.Get("type") != "" || !strings.Contains(n.String(), "moderator") {
		t.Errorf("who administers the service is kept out: %v", n)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for who, c := range map[string]*client.Conn{"A": alice, "Root": admin} {
		n := upTo(t, c, func(n *client.Node) bool { return n.Name.Local == "presence" && n.Get("type") == "unavailable" })
		if n.Get("from") != cave+"/"+who || !strings.Contains(n.String(), `code="110"`) && !strings.Contains(n.String(), `code='110'`) || !strings.Contains(n.String(), "332") {
			t.Errorf("%s was told %v", who, n)
		}
	}
}
