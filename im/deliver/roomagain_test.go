package deliver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// kept counts what is in an archive with a body.
func (w *world) kept(owner, body string) (n int) {
	w.t.Helper()
	p, err := w.arch.ReadRoom(w.t.Context(), archive.Query{Owner: jid.MustParse(owner), Max: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range p.Messages {
		if strings.Contains(string(m.Stanza), "<body>"+body+"</body>") {
			n++
		}
	}
	return n
}

// count is how many frames match so far, behind a fence.
func (d *device) count(part string) (n int) {
	d.w.t.Helper()
	d.mu.Lock()
	from := len(d.all)
	d.mu.Unlock()
	d.try("<iq to='rooms.x.test' type='get' id='fence-count'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	d.await(`id="fence-count"`, from)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.all {
		if strings.Contains(quoted(f), part) {
			n++
		}
	}
	return n
}

// XEP-0500, XEP-0359: what is sent again inside slow mode's interval is not refused,
// for it is kept; whoever sent it gets its reflection, nobody else a second copy.
// What was not sent before is refused.
func TestRoom_slowModeKnowsWhatIsSentAgain(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		w := roomWorld(t, db, session.DefaultLimits)
		a, b := w.bind("a@x.test/1"), w.bind("b@x.test/1")
		a.enter("slow", "A")
		a.configure("slow", "roomconfig_slow_mode_duration", "3600", "roomconfig_persistentroom", "1")
		b.enter("slow", "B")
		const one = "<message to='slow@rooms.x.test' type='groupchat' id='m%d'><body>%s</body><origin-id xmlns='urn:xmpp:sid:0' id='%s'/></message>"
		b.raw(fmt.Sprintf(one, 1, "first", "o1")) // twice before anything is committed
		b.try(one, 2, "first", "o1")
		b.try(one, 3, "first", "o1")
		b2 := w.bind("b@x.test/2")
		b2.enter("slow", "B")
		b2.try(one, 4, "first", "o1")
		b.try(one, 5, "second", "o2")
		b.try(one, 6, "another text under a known id", "o1")
		for id, want := range map[string]string{"m5": "policy-violation", "m6": "policy-violation"} {
			if f, _ := b.await(`id="`+id+`"`, 0); !strings.Contains(f, want) {
				t.Errorf("%s: %s, want %s", id, f, want)
			}
		}
		if n := b.count(`<policy-violation`) + b2.count(`<policy-violation`); n != 2 {
			t.Errorf("%d refusals, want 2", n)
		}
		if n := b2.count(`id="m4"`) + b2.count(`id="m1"`); n == 0 {
			t.Error("the other device has no reflection of what it sent again")
		}
		if n := a.count(`<body>first</body>`); n != 1 {
			t.Errorf("the others got it %d times", n)
		}
		if n := w.kept("slow@rooms.x.test", "first"); n != 1 {
			t.Errorf("it is kept %d times", n)
		}
		w.stop()

		w = roomWorld(t, db, session.DefaultLimits)
		b = w.bind("b@x.test/3")
		b.enter("slow", "B")
		b.try(one, 7, "third", "o3")
		b.try(one, 8, "first", "o1") // kept before the restart; another was accepted since
		if n := b.count(`<policy-violation`); n != 0 {
			t.Error("refused, and yet kept before the restart")
		}
		if n := w.kept("slow@rooms.x.test", "first"); n != 1 {
			t.Errorf("after a restart it is kept %d times", n)
		}
	})
}

// XEP-0359: a message kept when it was sent before is not refused by a room its
// sender is no more in, nor by anybody else.
func TestRoom_keptAndNotRefused(t *testing.T) {
	w := roomWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a, b := w.bind("a@x.test/1"), w.bind("b@x.test/1")
	a.enter("r", "A")
	a.configure("r", "roomconfig_persistentroom", "1")
	b.enter("r", "B")
	const speech = "<message to='r@rooms.x.test' type='groupchat' id='%s'><body>x</body><origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>"
	const whisper = "<message to='r@rooms.x.test/A' type='chat' id='%s'><body>y</body><origin-id xmlns='urn:xmpp:sid:0' id='p'/></message>"
	const direct = "<message to='c@x.test/1' type='normal' id='%s'><body>z</body><origin-id xmlns='urn:xmpp:sid:0' id='q'/></message>"
	c := w.bind("c@x.test/1")
	b.try(speech, "1")
	b.try(whisper, "2")
	b.try(direct, "3")
	b.try("<presence to='r@rooms.x.test/B' type='unavailable'/>")
	w.path.End(t.Context(), c.s)
	b.try(speech, "1a")
	b.try(whisper, "2a")
	b.try(direct, "3a")
	b.try("<message to='r@rooms.x.test' type='groupchat' id='new'><body>n</body><origin-id xmlns='urn:xmpp:sid:0' id='n'/></message>")
	if n := b.count(`type="error"`); n != 1 {
		t.Errorf("%d errors, want the one for what was never sent before: %s", n, strings.Join(b.all, "\n"))
	}
	if n := a.count(`<body>x</body>`) + a.count(`<body>y</body>`); n != 2 {
		t.Errorf("%d messages arrived, want 2", n)
	}
}

// XEP-0045 §7.8.2: of several invitations in one message all are sent or none; what is refused was not kept, nor
// has it made members; sent again they arrive once.
func TestRoom_lettersAllOrNone(t *testing.T) {
	w := roomWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a, b, c := w.bind("a@x.test/1"), w.bind("b@x.test/1"), w.bind("c@x.test/1")
	b.available()
	c.available()
	a.enter("r", "A")
	a.configure("r", "roomconfig_membersonly", "1")
	a.affiliate("r", "c@x.test", "outcast")
	const invite = "<message to='r@rooms.x.test' id='%s'><x xmlns='http://jabber.org/protocol/muc#user'>%s</x><origin-id xmlns='urn:xmpp:sid:0' id='%s'/></message>"
	a.try(invite, "i1", "<invite to='b@x.test'/><invite to='c@x.test'/>", "o1")
	if f, _ := a.await(`id="i1"`, 0); !strings.Contains(f, "<not-allowed") {
		t.Errorf("a banned person was invited: %s", f)
	}
	a.try(invite, "i2", "<invite to='b@x.test'/><invite to='nobody@elsewhere.test'/>", "o2")
	if f, _ := a.await(`id="i2"`, 0); !strings.Contains(f, "<item-not-found") {
		t.Errorf("somebody who does not exist was invited: %s", f)
	}
	if n := b.count("<invite "); n != 0 {
		t.Errorf("%d invitations arrived that were refused", n)
	}
	a.try("<iq to='r@rooms.x.test' type='get' id='l'><query xmlns='" + admin + "'><item affiliation='member'/></query></iq>")
	if f, _ := a.await(`id="l"`, 0); strings.Contains(f, "b@x.test") {
		t.Errorf("a refused invitation made a member: %s", f)
	}
	a.affiliate("r", "c@x.test", "none")
	for _, id := range []string{"i3", "i4"} {
		a.try(invite, id, "<invite to='b@x.test'/><invite to='c@x.test'/>", "o3")
	}
	if n := b.count("<invite "); n != 1 {
		t.Errorf("b has %d invitations, want 1", n)
	}
	if n := c.count("<invite "); n != 1 {
		t.Errorf("c has %d invitations, want 1", n)
	}
}
