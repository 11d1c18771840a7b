package admin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// ask sends a request that must succeed.
func ask(t *testing.T, c *client.Client, typ, to, payload string) *client.Node {
	t.Helper()
	iq, err := c.IQ(within, typ, to, payload)
	if err != nil || iq.Get("type") != "result" {
		t.Fatalf("%s: %s %v", payload, iq, err)
	}
	return iq
}

const (
	cave = "cave@conference.acme.test"
	ps   = "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
)

// personal wants what alice had in prosody's nodes: items in order, whom it was
// open to, bookmarks in both forms (XEP-0402 §5.3).
func personal(t *testing.T, alice, bob *client.Client) {
	t.Helper()
	items := ask(t, bob, "get", "alice@acme.test", ps+"<items node='urn:n'/></pubsub>").Path("pubsub", "items")
	if len(items.Kids) != 3 || items.Kids[0].Get("id") != "i0" || items.Kids[2].Get("id") != "i2" {
		t.Errorf("%s", items)
	}
	for _, node := range []string{"urn:xmpp:bookmarks:1", "storage:bookmarks"} {
		if iq := ask(t, alice, "get", "", ps+"<items node='"+node+"'/></pubsub>"); !strings.Contains(iq.String(), cave) {
			t.Errorf("%s: %s", node, iq)
		}
		if iq, err := bob.IQ(within, "get", "alice@acme.test", ps+"<items node='"+node+"'/></pubsub>"); err != nil || iq.Get("type") != "error" {
			t.Errorf("bob reads %s: %s %v", node, iq, err)
		}
	}
	iq := ask(t, alice, "get", "", "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><affiliations node='urn:n'/></pubsub>")
	if !strings.Contains(iq.String(), "carol@acme.test") {
		t.Errorf("%s", iq)
	}
	if iq := ask(t, alice, "get", "", "<query xmlns='jabber:iq:private'><n xmlns='u:n'/></query>"); iq.Path("query", "n").Text != "x" {
		t.Errorf("%s", iq)
	}
}

// furnish gives alice personal nodes, bookmarks, private data, a card and a room
// with a history, affiliations, a reserved nickname, a subject and a picture.
func furnish(t *testing.T, alice, bob *client.Client) {
	t.Helper()
	const own = "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>"
	form := func(kind, fields string) string {
		return "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" + kind + "</value></field>" + fields + "</x>"
	}
	set := func(to, payload string) { t.Helper(); ask(t, alice, "set", to, payload) }
	field := func(name, v string) string { return "<field var='" + name + "'><value>" + v + "</value></field>" }
	set("", ps+"<create node='urn:n'/><configure>"+form("http://jabber.org/protocol/pubsub#node_config",
		field("pubsub#access_model", "authorize")+field("pubsub#max_items", "max")+field("pubsub#title", "a &lt; b")+field("pubsub#publish_node_full", "reject"))+"</configure></pubsub>")
	for i := range 3 {
		set("", ps+fmt.Sprintf("<publish node='urn:n'><item id='i%d'><v xmlns='urn:v' a='&quot;'>x<b/>y &amp; z</v></item></publish></pubsub>", i))
	}
	set("", own+"<affiliations node='urn:n'><affiliation jid='carol@acme.test' affiliation='publisher'/><affiliation jid='spam@acme.test' affiliation='outcast'/></affiliations></pubsub>")
	ask(t, bob, "set", "alice@acme.test", ps+"<subscribe node='urn:n' jid='bob@acme.test'/><options>"+form("http://jabber.org/protocol/pubsub#subscribe_options", field("pubsub#show-values", "dnd"))+"</options></pubsub>")
	set("", ps+"<publish node='urn:xmpp:bookmarks:1'><item id='"+cave+"'><conference xmlns='urn:xmpp:bookmarks:1' name='Cave' autojoin='true'/></item></publish></pubsub>")
	set("", "<query xmlns='jabber:iq:private'><n xmlns='u:n'>&lt;x&gt;</n></query>")
	set("", "<vCard xmlns='vcard-temp'><FN>Alice A.</FN></vCard>")

	enter := func(c *client.Client, nick string) {
		t.Helper()
		if err := c.Send("<presence to='" + cave + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Take(within, func(n *client.Node) bool { return n.Path("subject") != nil && n.Is("message", "groupchat") }); err != nil {
			t.Fatal(err)
		}
	}
	enter(alice, "Al")
	set(cave, "<query xmlns='http://jabber.org/protocol/muc#owner'>"+form("http://jabber.org/protocol/muc#roomconfig",
		field("muc#roomconfig_roomname", "The &amp; Cave")+field("muc#roomconfig_persistentroom", "1")+field("muc#roomconfig_allowpm", "participants")+field("muc#maxhistoryfetch", "7")+field("muc#roomconfig_slow_mode_duration", "0"))+"</query>")
	set(cave, "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='bob@acme.test' nick='Bobby'/><item affiliation='outcast' jid='spam.test'><reason>spam</reason></item></query>")
	set(cave, "<vCard xmlns='vcard-temp'><NOTE>a room</NOTE></vCard>")
	enter(bob, "Bobby")
	for _, say := range []struct {
		c    *client.Client
		text string
	}{{alice, "<body>first in the cave</body>"}, {bob, "<body>second &lt;3</body><origin-id xmlns='urn:xmpp:sid:0' id='o9'/>"}, {alice, "<subject>Stone</subject>"}} {
		if err := say.c.Send("<message to='" + cave + "' type='groupchat' id='r'>" + say.text + "</message>"); err != nil {
			t.Fatal(err)
		}
		if err := say.c.Fence(within); err != nil {
			t.Fatal(err)
		}
	}
}

// roomMAM is the room's archive as "id time from body", oldest first.
func roomMAM(t *testing.T, c *client.Client) (out []string) {
	t.Helper()
	ask(t, c, "set", cave, "<query xmlns='urn:xmpp:mam:2' queryid='q'><set xmlns='http://jabber.org/protocol/rsm'><max>100</max></set></query>")
	for _, m := range c.Drain() {
		if r := m.Kid("urn:xmpp:mam:2", "result"); r != nil && m.Get("from") == cave {
			f := r.Path("forwarded")
			id := ""
			if o := f.Path("message", "occupant-id"); o != nil {
				id = o.Get("id")
			}
			out = append(out, strings.Join([]string{r.Get("id"), f.Path("delay").Get("stamp"), f.Path("message").Get("from"), id, f.Path("message").Body()}, " "))
		}
	}
	if len(out) < 3 {
		t.Errorf("the room's archive: %v", out)
	}
	return out
}

// settled wants the room and the nodes as they were.
func settled(t *testing.T, s *server.Server, alice *client.Client, was []string) {
	t.Helper()
	if err := alice.Send("<presence to='" + cave + "/Al'><x xmlns='http://jabber.org/protocol/muc'/></presence>"); err != nil {
		t.Fatal(err)
	}
	n, err := alice.Take(within, func(n *client.Node) bool { return n.Path("subject") != nil && n.Is("message", "groupchat") })
	if err != nil || n.Path("subject").Text != "Stone" {
		t.Errorf("subject: %s %v", n, err)
	}
	if now := roomMAM(t, alice); fmt.Sprint(now) != fmt.Sprint(was) {
		t.Errorf("the room's archive\n%v\nwas\n%v", now, was)
	}
	bob := online(t, s, "bob", "desk")
	if iq := ask(t, bob, "get", "alice@acme.test", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><subscriptions/></pubsub>"); iq.Path("pubsub", "subscriptions", "subscription").Get("subscription") != "pending" {
		t.Errorf("%s", iq)
	}
	if iq := ask(t, alice, "get", "", "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>"); iq.Path("query", "storage", "conference").Get("jid") != cave {
		t.Errorf("%s", iq)
	}
}

// contains wants texts in a file.
func contains(t *testing.T, path string, texts ...string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	for _, text := range texts {
		if !strings.Contains(string(b), text) {
			t.Errorf("%s has no %q:\n%s", filepath.Base(path), text, b)
		}
	}
}
