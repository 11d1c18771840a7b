package attack

import (
	"fmt"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// X7 for rooms, personal nodes, files, commands and invitations: what people choose is data in
// everything the server writes about it, to them and to others.
func TestX7_roomsNodesAndFilesAreEscaped(t *testing.T) {
	t.Parallel()
	p := target(t)
	for i, bad := range evil {
		p.echoRoom(t, i, bad)
	}
}

func (p *place) echoRoom(t *testing.T, i int, bad string) {
	t.Helper()
	e := client.Escape(bad)
	a, b := p.login(t, p.person(t), "a"), p.login(t, p.person(t), "b")
	befriend(t, a, b)
	room := fmt.Sprintf("x7-%d-%s@conference.%s", i, "room", server.Domain)
	const muc, form = "http://jabber.org/protocol/muc", "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>"
	send := func(c *client.Client, stanzas ...string) {
		t.Helper()
		for _, s := range stanzas {
			if err := c.Send(s); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Fence(patience); err != nil {
			t.Fatalf("%q: the stream: %v", bad, err)
		}
	}
	ids := map[string]int{}
	ask := func(typ, to, payload string) string {
		id := bad + fmt.Sprint(len(ids))
		ids[id] = 0
		if to != "" {
			to = " to='" + to + "'"
		}
		return "<iq id='" + client.Escape(id) + "' type='" + typ + "'" + to + ">" + payload + "</iq>"
	}
	caps := "<query xmlns='http://jabber.org/protocol/disco#info'/>"
	send(b, "<presence/>")
	send(a, "<presence/>", "<presence to='"+room+"/"+e+"'><x xmlns='"+muc+"'/></presence>",
		ask("set", room, "<query xmlns='"+muc+"#owner'>"+form+muc+"#roomconfig</value></field><field var='muc#roomconfig_roomname'><value>"+e+
			"</value></field><field var='muc#roomconfig_roomdesc'><value>"+e+"</value></field></x></query>"))
	send(b, "<presence to='"+room+"/b"+e+"'><x xmlns='"+muc+"'><password>"+e+"</password></x><status>"+e+"</status></presence>")
	send(a, "<message type='groupchat' id='"+e+"' to='"+room+"'><subject>"+e+"</subject></message>",
		"<message type='groupchat' id='g"+e+"' to='"+room+"'><body>"+e+"</body><thread>"+e+"</thread></message>",
		"<message type='chat' id='"+e+"' to='"+room+"/b"+e+"'><body>"+e+"</body><x xmlns='"+muc+"#user'/></message>",
		"<message to='"+room+"'><x xmlns='"+muc+"#user'><invite to='"+b.JID+"'><reason>"+e+"</reason></invite></x></message>",
		ask("get", room, caps), ask("get", room, "<query xmlns='http://jabber.org/protocol/disco#items'/>"),
		ask("get", "conference."+server.Domain, "<query xmlns='http://jabber.org/protocol/disco#items'/>"),
		ask("get", room, "<query xmlns='"+muc+"#owner'/>"), ask("get", room, "<query xmlns='http://jabber.org/protocol/disco#info' node='"+e+"'/>"),
		ask("set", room, "<query xmlns='"+muc+"#admin'><item affiliation='member' jid='x@"+server.Domain+"' nick='"+e+"'><reason>"+e+"</reason></item></query>"),
		ask("get", room, "<query xmlns='"+muc+"#admin'><item affiliation='member'/></query>"),
		ask("set", room, "<query xmlns='urn:xmpp:mam:2' queryid='"+e+"'/>"), ask("get", room+"/"+e, "<ping xmlns='urn:xmpp:ping'/>"),
		ask("set", room, "<query xmlns='"+muc+"#admin'><item role='none' nick='b"+e+"'><reason>"+e+"</reason></item></query>"),
		// Personal nodes, which b sees.
		ask("set", "", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='"+e+"'><item id='"+e+"'><x xmlns='urn:x7' a='"+e+"'>"+e+"</x></item></publish></pubsub>"),
		ask("get", "", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='"+e+"'/></pubsub>"),
		ask("get", "", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='no"+e+"'><item id='"+e+"'/></items></pubsub>"),
		ask("get", "", "<query xmlns='http://jabber.org/protocol/disco#items'/>"),
		ask("set", "", "<query xmlns='jabber:iq:private'><x xmlns='urn:x7' a='"+e+"'>"+e+"</x></query>"), ask("get", "", "<query xmlns='jabber:iq:private'><x xmlns='urn:x7'/></query>"),
		ask("set", "", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:bookmarks:1'><item id='"+room+"'><conference xmlns='urn:xmpp:bookmarks:1' name='"+e+"'><nick>"+e+"</nick></conference></item></publish></pubsub>"),
		ask("get", "", "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>"),
		// Files, commands, invitations, reports.
		ask("get", server.Domain, "<request xmlns='"+uploadSpace+"' filename='"+e+"' size='5' content-type='"+e+"'/>"),
		ask("set", server.Domain, "<command xmlns='http://jabber.org/protocol/commands' node='"+e+"' sessionid='"+e+"'/>"),
		ask("set", server.Domain, "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite' action='"+e+"'/>"),
		ask("set", "", "<block xmlns='urn:xmpp:blocking'><item jid='y@"+server.Domain+"'><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'><text>"+e+"</text></report></item></block>"),
		"<presence to='"+room+"/"+e+"' type='unavailable'><status>"+e+"</status></presence>")
	for _, n := range heard(t, a) {
		noPwn(t, n)
		if _, mine := ids[n.Get("id")]; mine && n.Name.Local == "iq" {
			ids[n.Get("id")]++
		}
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("request %q got %d answers", id, n)
		}
	}
	body, nick := "", ""
	for _, n := range heard(t, b) {
		noPwn(t, n)
		switch {
		case n.Is("message", "groupchat") && n.Body() != "":
			body = n.Body()
		case n.Is("presence", "") && n.Get("from") == room+"/"+bad:
			nick = bad
		}
	}
	if body != bad || nick != bad {
		t.Errorf("%q came as body %q from nickname %q", bad, body, nick)
	}
}
