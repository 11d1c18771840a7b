package deliver

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// counted is a judge that only counts invitations, as the server's last stage does;
// its time stands still.
type counted struct {
	invites *room.Invites
	now     time.Time
}

func (c counted) Judge(_ context.Context, st *stanza.Stanza) Verdict {
	if e := c.invites.Refuse(st, c.now); e != nil {
		return Verdict{Action: Refuse, Stage: "invitations", Error: e}
	}
	return Verdict{}
}

// HARDENING M4: of 10,000 invitations of one account, of every kind and from two of
// its devices, thirty get out and into the archive; what cannot be read is refused;
// the victim talks on and finds its archive in order.
func TestInvites_floodOnThePath(t *testing.T) {
	total := 10_000
	if testing.Short() {
		total = 1000
	}
	w := roomWorld(t, storetest.SQLite(t), session.Limits{Frames: 100_000, Bytes: 1 << 28, Held: 10})
	w.path.cfg.Judge = counted{room.NewInvites(), time.Now()}
	a, a2, v, c := w.bind("a@x.test/1"), w.bind("a@x.test/2"), w.bind("v@x.test/1"), w.bind("c@x.test/1")
	v.available()
	c.available()
	a.enter("r", "A")
	a.configure("r")
	a2.enter("r", "A2")
	const mediated = "<message to='r@rooms.x.test' id='%d'><x xmlns='http://jabber.org/protocol/muc#user'>%s</x></message>"
	for i := range total {
		d := a
		if i%2 == 1 {
			d = a2
		}
		switch i % 5 {
		case 0, 1:
			d.try("<message to='v@x.test' id='%d'><x xmlns='jabber:x:conference' jid='r@rooms.x.test'/></message>", i)
		case 2:
			d.try(mediated, i, "<invite to='v@x.test'/>")
		case 3: // poison
			d.try(mediated, i, "<invite to='@'/>")
		case 4:
			d.try(mediated, i, strings.Repeat("<invite to='v@x.test'/>", 3))
		}
	}
	c.try("<message to='v@x.test' type='chat'><body>still there?</body></message>")
	v.await("still there", 0)
	v.mu.Lock()
	got := strings.Count(strings.Join(v.all, ""), "jabber:x:conference") + strings.Count(strings.Join(v.all, ""), "<invite ")
	v.mu.Unlock()
	// What is malformed and what would go beyond the thirty counts, and does not arrive.
	if got < room.InvitesPerMinute/2 || got > room.InvitesPerMinute {
		t.Errorf("%d invitations arrived, want 30 at most", got)
	}
	a2.await(`type="error" id="3".*<jid-malformed`, 0)
	a.await(fmt.Sprintf(`type="error" id="%d".*<error type="wait"><policy-violation`, total-2), 0)
	p, err := w.arch.Read(t.Context(), archive.Query{Owner: jid.MustParse("v@x.test"), Max: 100})
	if err != nil || len(p.Messages) != got+1 {
		t.Errorf("the victim's archive has %d messages, %d arrived, %v", len(p.Messages), got+1, err)
	}
	v.try("<message to='c@x.test' type='chat'><body>yes</body></message>")
	c.await("<body>yes</body>", 0)
}

// XEP-0486: a card is kept over a restart, also one set before the room was first
// configured, and goes with the room.
func TestRoom_cardSurvives(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		w := roomWorld(t, db, session.DefaultLimits)
		a := w.bind("a@x.test/1")
		card := func(r, picture string) {
			a.try("<iq to='%s@rooms.x.test' type='set' id='card-%s'><vCard xmlns='vcard-temp'><PHOTO><BINVAL>%s</BINVAL></PHOTO></vCard></iq>", r, r, picture)
			a.await(`id="card-`+r+`" type="result"`, 0)
		}
		a.enter("early", "A")
		card("early", "b25l")
		a.configure("early", "roomconfig_persistentroom", "1")
		a.enter("late", "A")
		a.configure("late", "roomconfig_persistentroom", "1")
		card("late", "dHdv")
		w.stop()

		w = roomWorld(t, db, session.DefaultLimits)
		a = w.bind("a@x.test/2")
		for r, picture := range map[string]string{"early": "b25l", "late": "dHdv"} {
			a.try("<iq to='%s@rooms.x.test' type='get' id='get-%s'><vCard xmlns='vcard-temp'/></iq>", r, r)
			if f, _ := a.await(`id="get-`+r+`"`, 0); !strings.Contains(f, picture) {
				t.Errorf("%s has the card %s", r, f)
			}
		}
		a.try("<iq to='late@rooms.x.test' type='set' id='d'><query xmlns='" + owner + "'><destroy/></query></iq>")
		a.await(`id="d" type="result"`, 0)
		a.enter("late", "A")
		a.try("<iq to='late@rooms.x.test' type='get' id='anew'><vCard xmlns='vcard-temp'/></iq>")
		if f, _ := a.await(`id="anew"`, 0); strings.Contains(f, "BINVAL") {
			t.Errorf("a new room has the old one's card: %s", f)
		}
	})
}
