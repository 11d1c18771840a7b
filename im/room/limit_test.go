package room

import (
	"fmt"
	"testing"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// HARDENING M4: of 10,000 invitations no more than 30 a minute go out, mediated, declines,
// direct or many in one message; what is no invitation is not counted.
func TestInvites_flood(t *testing.T) {
	docs := []string{
		"<message to='r@rooms.x.test'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='v%d@x.test'/></x></message>",
		"<message to='r@rooms.x.test'><x xmlns='http://jabber.org/protocol/muc#user'><decline to='v%d@x.test'/></x></message>",
		"<message to='v%d@x.test'><x xmlns='jabber:x:conference' jid='r@rooms.x.test'/></message>",
		"<message to='r@rooms.x.test'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='v%d@x.test'/><invite to='w@x.test'/></x></message>",
	}
	from := jid.MustParse("flood@x.test/1")
	for _, doc := range docs {
		l, now, passed := NewInvites(), time.Now(), 0
		for i := range 10_000 {
			st := read(t, from, fmt.Sprintf(doc, i))
			if l.Refuse(st, now.Add(time.Duration(i)*time.Millisecond)) == nil {
				passed += invitations(st)
			}
		}
		if passed > InvitesPerMinute || passed < InvitesPerMinute-1 {
			t.Errorf("%s: %d went out in ten seconds", doc, passed)
		}
		if l.Refuse(read(t, from, fmt.Sprintf(doc, 1)), now.Add(61*time.Second)) != nil {
			t.Error("refused a minute later")
		}
	}
	l := NewInvites()
	for range 100 {
		if l.Refuse(read(t, from, "<message to='r@rooms.x.test' type='groupchat'><body>x</body></message>"), time.Now()) != nil {
			t.Fatal("a message that invites nobody was counted")
		}
	}
}
