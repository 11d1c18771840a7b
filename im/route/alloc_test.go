//go:build !race

package route

import (
	"fmt"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

type noBook struct{}

func (noBook) Taken(jid.JID, session.Pos)    {}
func (noBook) Track(jid.JID, *session.Frame) {}

// fanned gives what handing a message to n devices of one account allocates.
func fanned(t *testing.T, n int) float64 {
	t.Helper()
	table := NewTable(Config{Session: session.DefaultLimits, Ledger: noBook{}, Now: time.Now})
	var wires []*wire
	var sessions []*session.Session
	for i := range n {
		w := &wire{}
		s, _, err := table.Bind(jid.MustParse(fmt.Sprintf("bob@x.test/d%d", i)), w)
		if err != nil {
			t.Fatal(err)
		}
		s.SetPresence(session.Presence{Available: true})
		s.GoLive(0)
		wires, sessions = append(wires, w), append(sessions, s)
	}
	st := message("alice@x.test/desk", "bob@x.test", stanza.Chat)
	var room [4]*session.Frame
	pos := session.Pos(0)
	m := &Message{Stanza: st, Keep: true, Shown: true}
	return testing.AllocsPerRun(500, func() {
		pos++
		m.Pos = pos
		table.Message(m)
		for i, s := range sessions { // as the edges do
			if len(s.Take(wires[i], room[:0])) != 1 {
				t.Fatal("not handed out")
			}
			s.Wrote(wires[i])
		}
	})
}

// A recipient more must cost no allocation of its own.
func TestMessage_allocations(t *testing.T) {
	// Encoding, once whoever gets it: the frame and its bytes; and the list of who got it.
	if one := fanned(t, 1); one != 3 {
		t.Errorf("one recipient: %v allocations, want 3", one)
	}
	// A further recipient costs a place in that list, which doubles: seven times on the way to 65.
	if many := fanned(t, 65); many != 10 {
		t.Errorf("65 recipients: %v allocations, want 10", many)
	}
}
