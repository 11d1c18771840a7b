package login

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// XEP-0175 §3, XEP-0045 §10.1.1: a guest enters a room and talks, but makes none
// and changes nothing of one.
func TestGuests_enterRoomsAndMakeNone(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance, Config: "[login]\nguests = 1"})
	const muc = "<x xmlns='http://jabber.org/protocol/muc'/>"
	at := func(name string) string { return name + "@conference." + server.Domain }
	enter := func(c *client.Conn, room, nick string) *client.Node {
		if err := c.Send("<presence to='" + at(room) + "/" + nick + "'>" + muc + "</presence>"); err != nil {
			t.Fatal(err)
		}
		return upTo(t, c, func(n *client.Node) bool {
			return n.Name.Local == "presence" && n.Get("from") == at(room)+"/"+nick
		})
	}
	c := open(t, s)
	if err := c.Send(client.Authenticate("ANONYMOUS", "", bind2)); err != nil {
		t.Fatal(err)
	}
	success(t, next(t, c), nil)
	if n := enter(c, "mine", "G"); n.Path("error", "not-allowed") == nil {
		t.Errorf("a guest makes a room: %v", n)
	}
	alice := online(t, s, "alice")
	if n := enter(alice, "mine", "A"); n.Get("type") != "" || !strings.Contains(n.String(), "201") {
		t.Errorf("the room is not free afterwards: %v", n)
	}
	const owner = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>"
	if n := ask(t, alice, "set", at("mine"), owner); n.Get("type") != "result" {
		t.Fatal(n)
	}
	if n := enter(c, "mine", "G"); n.Get("type") != "" {
		t.Errorf("a guest does not come in: %v", n)
	}
	for _, r := range []string{
		owner,
		"<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='A' role='none'/></query>",
		"<vCard xmlns='vcard-temp'/>",
		"<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'/></query>",
		"<moderate xmlns='urn:xmpp:message-moderate:1' id='1'><retract xmlns='urn:xmpp:message-retract:1'/></moderate>",
	} {
		if got := refusal(ask(t, c, "set", at("mine"), r)); got != "forbidden" {
			t.Errorf("%s: %s", r, got)
		}
	}
	if err := c.Send("<message to='" + at("mine") + "' type='groupchat'><body>hello</body></message>"); err != nil {
		t.Fatal(err)
	}
	upTo(t, alice, func(n *client.Node) bool { return n.Body() == "hello" && n.Get("from") == at("mine")+"/G" })
}
