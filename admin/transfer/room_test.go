package transfer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// XEP-0227 §4.10: nodes come in pieces, large ones before their account is complete;
// what another server exported is derived from afterwards.
func TestImport_nodes(t *testing.T) {
	dir := t.TempDir()
	big := strings.Repeat("x", 180_000)
	items := ""
	for i := range 8 {
		items += fmt.Sprintf("<item id='%d'><v xmlns='urn:v'>%s</v></item>", i, big)
	}
	write(t, dir, "u.xml", user("al", "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='n'/><affiliations node='n'/></pubsub>"+
		"<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='n'>"+items+"</items><junk/></pubsub>"+
		"<query xmlns='jabber:iq:private'><a xmlns='u:a'/></query>"))
	w, sum := load(t, dir, Options{})
	want := []string{"al n configure ", "al n affiliations "}
	for i := range 8 {
		want = append(want, fmt.Sprintf("al n item %d", i))
	}
	if want = append(want, "al derived 1"); !slices.Equal(w.pieces, want) {
		t.Errorf("%q", w.pieces)
	}
	if sum.Nodes != 1 || sum.Items != 8 || sum.Left["junk"] != 1 || !slices.Equal(w.parts, []string{"al query"}) {
		t.Errorf("%+v %v", sum, w.parts)
	}
}

// Rooms come with their archive, in the order of all messages; who said it is kept.
func TestImport_rooms(t *testing.T) {
	dir := t.TempDir()
	x := "xmlns='" + SpaceExport + "'"
	said := "<result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:01Z'/>" +
		"<message xmlns='jabber:client' from='cave@rooms.a.test/Al' type='groupchat'><body>in the cave</body></message></forwarded></result>"
	said = strings.Replace(said, "<forwarded", "<sender "+x+" jid='al@a.test/x'/><forwarded", 1)
	write(t, dir, "a.xml", user("al", mam(archived("2", "2026-01-01T00:00:02Z", "al@a.test/x", "bo@a.test", "second"))))
	write(t, dir, "r.xml", "<server-data xmlns='urn:xmpp:pie:0'><host jid='rooms.a.test'><rooms "+x+" secret='c2VjcmV0'/><room "+x+" name='cave' created='1'><x xmlns='jabber:x:data' type='submit'/>"+
		mam(said)+"</room></host><host jid='other.test'><room "+x+" name='no'>"+mam(said)+"</room></host></server-data>")
	w, sum := load(t, dir, Options{})
	if !slices.Equal(w.rooms, []string{"secret c2VjcmV0", "cave@rooms.a.test 1"}) || sum.Rooms != 1 || sum.Messages != 2 {
		t.Errorf("%v %+v", w.rooms, sum)
	}
	if len(w.kept) != 2 || w.kept[0].Sender.String() != "al@a.test/x" || !w.kept[0].Stanza.To.IsZero() || w.kept[0].Owners[0].String() != "cave@rooms.a.test" ||
		!w.kept[1].Sender.IsZero() {
		t.Errorf("%+v", w.kept)
	}
}
