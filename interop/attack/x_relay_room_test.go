package attack

import (
	"fmt"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// X6 for rooms and personal nodes: an occupant, the room's archive, a subscriber and who asks for
// the items see what the sender's bytes meant.
func TestX6_roomsAndNodes(t *testing.T) {
	t.Parallel()
	p := target(t)
	rng := seeded(t)
	a, b := p.login(t, p.person(t), "a"), p.login(t, p.person(t), "b")
	befriend(t, a, b)
	const muc, event, count = "http://jabber.org/protocol/muc", "http://jabber.org/protocol/pubsub", 100
	room := "x6-" + a.Opt.User + "@conference." + server.Domain
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(a.Send("<presence to='" + room + "/a'><x xmlns='" + muc + "'/></presence>"))
	must(a.Fence(patience))
	_, err := a.IQ(patience, "set", room, "<query xmlns='"+muc+"#owner'><x xmlns='jabber:x:data' type='submit'/></query>")
	must(err)
	must(b.Send("<presence/>")) // who is not there hears of no item
	must(b.Send("<presence to='" + room + "/b'><x xmlns='" + muc + "'/></presence>"))
	must(b.Fence(patience))
	mineInRoom := func(k *client.Node) bool { return mine(k) && k.Name.Local != "occupant-id" }
	said, published := map[string]string{}, map[string]string{}
	seen := map[string]int{}
	compare := func(way, got, want string) {
		t.Helper()
		if seen[way]++; got != want {
			t.Errorf("%s:\nsent %s\ngot  %s", way, want, got)
		}
	}
	for i := range count {
		o := &odd{Rand: rng}
		o.element(3, nil)
		id := fmt.Sprintf("room-%d", i)
		text := "<body>" + id + "</body>" + o.b.String()
		n, err := client.ParseNode("<message>" + text + "</message>")
		must(err)
		said[id] = canon(n, mineInRoom)
		must(a.Send("<message type='groupchat' id='" + id + "' to='" + room + "'>" + text + "</message>"))
		// An item's payload is one element, in a namespace.
		payload := "<x xmlns='urn:x6'>" + o.b.String() + "</x>"
		n, err = client.ParseNode(payload)
		must(err)
		item := fmt.Sprintf("item-%d", i)
		published[item] = canon(n, nil)
		answer, err := a.IQ(patience, "set", "", "<pubsub xmlns='"+event+"'><publish node='urn:x6'><item id='"+item+"'>"+payload+"</item></publish>"+
			"<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>"+event+"#publish-options</value></field><field var='pubsub#max_items'><value>200</value></field></x></publish-options></pubsub>")
		must(err)
		if answer.Get("type") != "result" {
			t.Fatalf("item %d: %s", i, answer)
		}
		if i == 0 {
			sub, err := b.IQ(patience, "set", bare(a.Opt.User), "<pubsub xmlns='"+event+"'><subscribe node='urn:x6' jid='"+b.JID+"'/></pubsub>")
			must(err)
			if sub.Get("type") != "result" {
				t.Fatalf("subscribe: %s", sub)
			}
		}
		got, err := b.IQ(patience, "get", bare(a.Opt.User), "<pubsub xmlns='"+event+"'><items node='urn:x6'><item id='"+item+"'/></items></pubsub>")
		must(err)
		walk(got, func(k *client.Node) {
			if k.Name.Local == "item" && k.Get("id") == item && len(k.Kids) == 1 {
				compare("items", canon(k.Kids[0], nil), published[item])
			}
		})
	}
	must(a.Fence(patience))
	for _, n := range heard(t, b) {
		switch {
		case n.Is("message", "groupchat") && said[n.Get("id")] != "":
			compare("occupant", canon(n, mineInRoom), said[n.Get("id")])
		case n.Name.Local == "message":
			walk(n, func(k *client.Node) {
				if k.Name.Local == "item" && len(k.Kids) == 1 && published[k.Get("id")] != "" {
					compare("event", canon(k.Kids[0], nil), published[k.Get("id")])
				}
			})
		}
	}
	_, err = b.IQ(patience, "set", room, "<query xmlns='"+mam+"'><set xmlns='http://jabber.org/protocol/rsm'><max>"+fmt.Sprint(2*count)+"</max></set></query>")
	must(err)
	for _, n := range b.Drain() {
		walk(n, func(k *client.Node) {
			if k.Name.Local == "message" && k != n && said[k.Get("id")] != "" {
				compare("archive of the room", canon(k, mineInRoom), said[k.Get("id")])
			}
		})
	}
	for way, least := range map[string]int{"occupant": count, "archive of the room": count / 2, "items": count, "event": count - 1} {
		if seen[way] < least {
			t.Errorf("%s: %d seen, sent were %d", way, seen[way], count)
		}
	}
	t.Logf("same on every way: %v", seen)
}
