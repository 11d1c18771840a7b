package deliver

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

// HARDENING M1, XEP-0045 §7.2.8: a nickname that is the same by RFC 8266, or is read as the same, is refused to everybody
// else while somebody has it or has reserved it; who has left gives it free, and the next
// one under it has another occupant id (XEP-0421 §4.1), the same at every visit and after a restart.
func TestRoom_lookalikes(t *testing.T) {
	db := storetest.SQLite(t)
	w := roomWorld(t, db, session.DefaultLimits)
	a, b := w.bind("a@x.test/1"), w.bind("b@x.test/1")
	a.enter("r", "Paul Scope")
	a.configure("r", "roomconfig_persistentroom", "1")
	for _, nick := range []string{"Paul Scope", "paul scope", "PAUL SCOPE", " Paul  Scope ", "Раul Scope", "Paul Ѕсоре", "Ρaul Scope", "Ｐａｕｌ Scope", "раuӏ ѕсоре"} {
		b.try("<presence to='r@rooms.x.test/%s' id='n'>"+mucX+"</presence>", nick)
	}
	if n := b.count("<conflict"); n != 9 {
		t.Errorf("%d of 9 names that look like a's were refused", n)
	}
	first, _ := a.await(selfPresence, 0)
	a.try("<presence to='r@rooms.x.test/x' type='unavailable'/>")
	b.enter("r", "Paul Scope")
	second, _ := b.await(selfPresence, 0)
	if occupantID(first) == occupantID(second) {
		t.Error("two people under one nickname have one occupant id")
	}
	ids := map[string]bool{occupantID(first): true, occupantID(second): true}
	for i := range 300 { // HARDENING M1: a flood of entries makes no two alike
		c := w.bind(strings.Repeat("c", 1+i/26%12) + string(rune('a'+i%26)) + "@x.test/1")
		c.enter("r", "C")
		f, _ := c.await(selfPresence, 0)
		if ids[occupantID(f)] {
			t.Fatalf("an occupant id of somebody else: %s", f)
		}
		ids[occupantID(f)] = true
		w.path.End(t.Context(), c.s)
	}
	w.stop()
	w = roomWorld(t, db, session.DefaultLimits)
	a = w.bind("a@x.test/2")
	a.enter("r", "Other")
	if again, _ := a.await(selfPresence, 0); occupantID(again) != occupantID(first) {
		t.Error("an occupant id changed with nickname and restart")
	}
}

// HARDENING I6: what somebody wrote is not taken back, corrected or reacted to in his name by who has his nickname
// after him: a retraction changes nothing, and the rest carries another occupant
// id (XEP-0421), by which clients tell (XEP-0308 §5, XEP-0444 §4.2). He himself may, under another nickname.
func TestRoom_sameNickNewOwner(t *testing.T) {
	w := roomWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a, b, c := w.bind("a@x.test/1"), w.bind("b@x.test/1"), w.bind("c@x.test/1")
	a.enter("r", "A")
	a.configure("r", "roomconfig_persistentroom", "1")
	b.enter("r", "B")
	said := func(text string) string {
		b.groupchat("r", text)
		f, _ := b.await("<body>"+text+"</body>", 0)
		_, rest, _ := strings.Cut(f, `by="r@rooms.x.test" id="`)
		id, _, _ := strings.Cut(rest, `"`)
		return id
	}
	foreign, own := said("stays"), said("goes")
	b.try("<presence to='r@rooms.x.test/B' type='unavailable'/>")
	c.enter("r", "B")
	id, _ := c.await("<body>stays</body>", 0)
	for what, x := range map[string]string{
		"retraction": "<retract xmlns='urn:xmpp:message-retract:1' id='" + foreign + "'/><body>took it back</body>",
		"correction": "<replace xmlns='urn:xmpp:message-correct:0' id='" + foreign + "'/><body>other words</body>",
		"reaction":   "<reactions xmlns='urn:xmpp:reactions:0' id='" + foreign + "'><reaction>+</reaction></reactions>",
	} {
		c.try("<message to='r@rooms.x.test' type='groupchat' id='%s'>%s<occupant-id xmlns='urn:xmpp:occupant-id:0' id='%s'/></message>", what, x, occupantID(id))
		f, _ := a.await(`id="`+what+`"`, 0)
		if strings.Count(f, "<occupant-id") != 1 || occupantID(f) == occupantID(id) {
			t.Errorf("a %s passes as the first owner's: %s", what, f)
		}
	}
	if n := w.kept("r@rooms.x.test", "stays"); n != 1 {
		t.Error("what one wrote was taken back by another under his nickname")
	}
	b.enter("r", "Bee")
	b.try("<message to='r@rooms.x.test' type='groupchat' id='mine'><retract xmlns='urn:xmpp:message-retract:1' id='%s'/><body>x</body></message>", own)
	b.await(`id="mine"`, 0)
	if n := w.kept("r@rooms.x.test", "goes"); n != 0 {
		t.Error("who comes back under another nickname can't take back what he wrote")
	}
}

// XEP-0317, XEP-0045 §9.9, XEP-0307: hats, requests and what a group is outlive a restart, and go with the room.
func TestRoom_hatsAndRequestsSurvive(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		w := roomWorld(t, db, session.DefaultLimits)
		a, b := w.bind("a@x.test/1"), w.bind("b@x.test/1")
		a.try("<iq to='rooms.x.test' type='get' id='u'><unique xmlns='http://jabber.org/protocol/muc#unique'/></iq>")
		f, _ := a.await(`<unique`, 0)
		_, rest, _ := strings.Cut(f, `muc#unique">`)
		name, _, _ := strings.Cut(rest, "<")
		hats := func(node, fields string) {
			a.try("<iq to='%s@rooms.x.test' type='set' id='%s'><command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:%s'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:hats:commands</value></field>%s</x></command></iq>", name, node, node, fields)
			a.await(`id="`+node+`" type="result"`, 0)
		}
		a.enter(name, "A")
		hats("create", "<field var='hats#uri'><value>urn:h</value></field><field var='hats#title'><value>Early</value></field>") // before the first configuration
		a.configure(name)
		a.configure(name, "roomconfig_changesubject", "1")
		hats("assign", "<field var='hats#uri'><value>urn:h</value></field><field var='hats#jid'><value>a@x.test</value></field>")
		a.try("<iq to='%s@rooms.x.test' type='set' id='c3'><query xmlns='"+owner+"'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='{urn:parlance:room}registration'><value>approve</value></field></x></query></iq>", name)
		b.try("<iq to='%s@rooms.x.test' type='set' id='r'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>Bee</value></field></x></query></iq>", name)
		b.await(`id="r" type="result"`, 0)
		w.stop()

		w = roomWorld(t, db, session.DefaultLimits)
		a, b = w.bind("a@x.test/2"), w.bind("b@x.test/2")
		a.enter(name, "A")
		if f, _ := a.await(selfPresence, 0); !strings.Contains(f, `<hat title="Early" uri="urn:h"/>`) {
			t.Errorf("a hat is lost: %s", f)
		}
		b.enter(name, "Bee")
		b.await(`<registration-required`, 0)
		a.try("<message to='%s@rooms.x.test' id='yes'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#jid'><value>b@x.test</value></field><field var='muc#register_allow'><value>1</value></field></x></message>", name)
		b.enter(name, "Bee")
		b.await(selfPresence, 0)
		a.try("<iq to='%s@rooms.x.test' type='get' id='i'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", name)
		if f, _ := a.await(`id="i"`, 0); !strings.Contains(f, `name="a, b"`) || !strings.Contains(f, "muc_nonanonymous") {
			t.Errorf("the group is one no more: %s", f)
		}
		a.try("<iq to='%s@rooms.x.test' type='set' id='d'><query xmlns='"+owner+"'><destroy/></query></iq>", name)
		a.await(`id="d" type="result"`, 0)
		a.enter(name, "Anew")
		if f, _ := a.await(`from="`+name+`@rooms.x.test/Anew".*code="110"`, 0); strings.Contains(f, "<hat") {
			t.Errorf("a new room has the old one's hats: %s", f)
		}
	})
}
