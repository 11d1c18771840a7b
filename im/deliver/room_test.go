package deliver

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stream"
)

const (
	mucX  = "<x xmlns='http://jabber.org/protocol/muc'/>"
	owner = "http://jabber.org/protocol/muc#owner"
	admin = "http://jabber.org/protocol/muc#admin"
)

// roomWorld is a world with rooms at rooms.x.test.
func roomWorld(t testing.TB, db *store.DB, lim session.Limits) *world {
	t.Helper()
	if err := db.Migrate(t.Context(), []store.Migrations{archive.Migrations(), room.Migrations()}); err != nil {
		t.Fatal(err)
	}
	return startWith(t, db, lim, func(w *world, c *Config) {
		var err error
		c.Rooms, err = room.New(t.Context(), room.Setup{DB: db, Archive: w.arch, Routes: w.rt, Service: jid.MustParse("rooms.x.test"), Now: time.Now,
			Submit:   func(ctx context.Context, m *room.Message) error { return w.path.Submit(ctx, m) },
			Settings: room.Settings{Name: "Rooms", Create: true, Most: 5000, History: 50, Default: room.Config{History: 50}}})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// try gives the path a stanza, and commits it.
func (d *device) try(doc string, args ...any) {
	if err := d.in.Stanza(context.Background(), scanRaw(d.w.t, fmt.Sprintf(doc, args...))); err != nil {
		d.w.t.Error(err)
	}
	if err := d.in.Flush(context.Background()); err != nil {
		d.w.t.Error(err)
	}
}

func (d *device) enter(r, nick string) {
	d.try("<presence to='%s@rooms.x.test/%s'>"+mucX+"</presence>", r, nick)
}

func (d *device) groupchat(r, text string) {
	d.try("<message to='%s@rooms.x.test' type='groupchat'><body>%s</body></message>", r, text)
}

// configure submits a configuration.
func (d *device) configure(r string, fields ...string) {
	var b strings.Builder
	if len(fields) > 0 {
		b.WriteString("<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>")
	}
	for i := 0; i+1 < len(fields); i += 2 {
		fmt.Fprintf(&b, "<field var='muc#%s'><value>%s</value></field>", fields[i], fields[i+1])
	}
	d.try("<iq to='%s@rooms.x.test' type='set' id='c'><query xmlns='"+owner+"'><x xmlns='jabber:x:data' type='submit'>%s</x></query></iq>", r, b.String())
}

func (d *device) affiliate(r, bare, affiliation string) {
	d.try("<iq to='%s@rooms.x.test' type='set' id='a'><query xmlns='"+admin+"'><item jid='%s' affiliation='%s'/></query></iq>", r, bare, affiliation)
}

// await waits for a frame that matches, behind the first n, and says where it is.
func (d *device) await(pattern string, n int) (string, int) {
	d.w.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.Now().Add(20 * time.Second)
	stop := time.AfterFunc(20*time.Second, func() { d.mu.Lock(); d.cond.Broadcast(); d.mu.Unlock() })
	defer stop.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		for i := n; i < len(d.all); i++ {
			if f := quoted(d.all[i]); re.MatchString(f) {
				return f, i + 1
			}
		}
		if time.Now().After(deadline) {
			d.w.t.Fatalf("%s: nothing like %s came; all: %s", d.s.JID(), pattern, strings.Join(d.all[min(n, len(d.all)):], "\n"))
		}
		d.cond.Wait()
	}
}

// quoted writes all attributes alike.
func quoted(frame string) string { return strings.ReplaceAll(frame, "'", `"`) }

const selfPresence = `^<presence from="[^"]*"(?: id="[^"]*")?><.*<status code="110"/>`

// Issue 4: a restart loses no room, affiliation, subject or message, and an
// occupant keeps its id (XEP-0421 §4.1).
func TestRoom_aRestartLosesNothing(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		w := roomWorld(t, db, session.DefaultLimits)
		a, b := w.bind("a@x.test/1"), w.bind("b@x.test/1")
		a.enter("cave", "Alpha")
		a.configure("cave", "roomconfig_persistentroom", "1", "roomconfig_roomname", "The Cave")
		b.enter("cave", "Beta")
		for i := range 60 {
			a.groupchat("cave", fmt.Sprint(i))
		}
		a.try("<message to='cave@rooms.x.test' type='groupchat'><subject>spells</subject></message>")
		a.affiliate("cave", "c@x.test", "outcast")
		a.affiliate("cave", "d@x.test", "admin")
		b.try("<iq to='cave@rooms.x.test' type='set' id='r'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>Beta</value></field></x></query></iq>")
		b.until(60)
		first, _ := b.await(selfPresence, 0)
		w.stop()

		w = roomWorld(t, db, session.DefaultLimits)
		b, c, d := w.bind("b@x.test/2"), w.bind("c@x.test/1"), w.bind("d@x.test/1")
		b.enter("cave", "Beta")
		second, _ := b.await(selfPresence, 0)
		if occupantID(first) == "" || occupantID(first) != occupantID(second) {
			t.Errorf("occupant ids %q and %q", occupantID(first), occupantID(second))
		}
		if !strings.Contains(second, `affiliation="member"`) {
			t.Errorf("who registered is no member: %s", second)
		}
		got := b.until(50)
		for i, text := range got {
			if text != fmt.Sprint(i+10) {
				t.Fatalf("history %v, want 10 to 59", got)
			}
		}
		b.await(`<subject>spells</subject>`, 0)
		c.enter("cave", "Gamma")
		c.await(`type="error".*<forbidden`, 0)
		d.enter("cave", "Beta")
		d.await(`type="error".*<conflict`, 0)
		d.enter("cave", "Delta")
		d.await(`affiliation="admin" role="moderator".*code="110"`, 0)
		d.try("<iq to='cave@rooms.x.test' type='get' id='i'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
		d.await(`name="The Cave".*muc_persistent`, 0)
	})
}

func occupantID(frame string) string {
	_, rest, _ := strings.Cut(frame, `<occupant-id xmlns="urn:xmpp:occupant-id:0" id="`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// XEP-0045 §7.1: who enters while others speak gets each message once, history
// and live together without a gap.
func TestRoom_historyMeetsLive(t *testing.T) {
	w := roomWorld(t, storetest.SQLite(t), session.Limits{Frames: 100_000, Bytes: 1 << 26, Held: 10})
	a := w.bind("a@x.test/1")
	a.enter("talk", "A")
	a.configure("talk")
	const total = 400
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range total {
			a.groupchat("talk", fmt.Sprint(i))
		}
	})
	var in []*device
	for i := range 24 {
		a.until(i * total / 30) // spread over the talk
		d := w.bind(fmt.Sprintf("u%d@x.test/1", i))
		d.enter("talk", fmt.Sprint("U", i))
		in = append(in, d)
	}
	wg.Wait()
	for _, d := range in {
		d.await(fmt.Sprintf("<body>%d</body>", total-1), 0)
		d.mu.Lock()
		bodies := append([]string(nil), d.bodies...)
		d.mu.Unlock()
		var from int
		if _, err := fmt.Sscan(bodies[0], &from); err != nil {
			t.Fatal(err)
		}
		for i, text := range bodies {
			if text != fmt.Sprint(from+i) {
				t.Fatalf("%s: message %d is %s, want %d", d.s.JID(), i, text, from+i)
			}
		}
	}
}

// XEP-0424, XEP-0425, HARDENING I6 and I7: the archive shows a tombstone, history
// leaves the message out, the record keeps it; nobody takes back what another wrote.
func TestRoom_retraction(t *testing.T) {
	w := roomWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a, b, c := w.bind("a@x.test/1"), w.bind("b@x.test/1"), w.bind("c@x.test/1")
	a.enter("r", "A")
	a.configure("r")
	b.enter("r", "B")
	said := func(text string) string {
		b.groupchat("r", text)
		f, _ := b.await("<body>"+text+"</body>", 0)
		_, rest, _ := strings.Cut(f, `by="r@rooms.x.test" id="`)
		id, _, _ := strings.Cut(rest, `"`)
		return id
	}
	own, foreign, moderated := said("mine"), said("stays"), said("rude")
	retract := "<message to='r@rooms.x.test' type='groupchat' id='x'><retract xmlns='urn:xmpp:message-retract:1' id='%s'/><body>fallback</body></message>"
	b.try(retract, own)
	a.try(retract, foreign)
	b.try("<iq to='r@rooms.x.test' type='set' id='no'><moderate xmlns='urn:xmpp:message-moderate:1' id='%s'><retract xmlns='urn:xmpp:message-retract:1'/></moderate></iq>", moderated)
	b.await(`type="error".*<forbidden`, 0)
	a.try("<iq to='r@rooms.x.test' type='set' id='yes'><moderate xmlns='urn:xmpp:message-moderate:1' id='%s'><retract xmlns='urn:xmpp:message-retract:1'/><reason>rude</reason></moderate></iq>", moderated)
	a.await(`id="yes" type="result"`, 0)
	b.await(`<moderated xmlns="urn:xmpp:message-moderate:1" by="r@rooms.x.test/A">`, 0)

	c.enter("r", "C")
	c.await("<subject/>", 0)
	c.mu.Lock()
	if got := fmt.Sprint(c.bodies); got != "[stays fallback fallback]" {
		t.Errorf("history after retractions: %s", got)
	}
	c.mu.Unlock()
	c.try("<iq to='r@rooms.x.test' type='set' id='m'><query xmlns='urn:xmpp:mam:2'/></iq>")
	_, n := c.await(`<fin`, 0)
	c.mu.Lock()
	all := quoted(strings.Join(c.all[:n], "\n"))
	c.mu.Unlock()
	if strings.Contains(all, "mine") || strings.Contains(all, "<body>rude") || !strings.Contains(all, `<moderated xmlns="urn:xmpp:message-moderate:1"`) || strings.Count(all, "<retracted ") != 2 {
		t.Errorf("the archive after retractions: %s", all)
	}
	for _, id := range []string{own, moderated} {
		pos, _ := session.ParsePos(id)
		if kept, err := w.arch.HasRecord(t.Context(), jid.MustParse("r@rooms.x.test"), pos); err != nil || !kept {
			t.Errorf("the record of %s is gone, %v", id, err)
		}
	}
}

// A session that ends while it enters is in no room afterwards.
func TestRoom_noGhosts(t *testing.T) {
	w := roomWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a := w.bind("a@x.test/1")
	a.enter("g", "A")
	a.configure("g")
	var wg sync.WaitGroup
	for i := range 200 {
		d := w.bind(fmt.Sprintf("u%d@x.test/1", i))
		wg.Go(func() { d.enter("g", fmt.Sprint("U", i)) })
		wg.Go(func() { w.path.Disconnect(t.Context(), d.s.JID().Bare(), "gone") })
	}
	wg.Wait()
	if rooms, seats := w.path.cfg.Rooms.(*room.Rooms).Count(); rooms != 1 || seats != 1 {
		t.Errorf("%d seats in %d rooms, want the one who stayed", seats, rooms)
	}
	w.path.End(t.Context(), a.s)
	if rooms, seats := w.path.cfg.Rooms.(*room.Rooms).Count(); rooms != 0 || seats != 0 {
		t.Errorf("%d seats in %d rooms after all have left", seats, rooms)
	}
}

// XEP-0045 §18.1.2, §11.1: whose client answers the room's presence as undeliverable is
// out, by itself alone and for a technical reason; any other error changes nothing.
func TestRoom_bouncedPresence(t *testing.T) {
	const stanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"
	for name, c := range map[string]struct {
		body string
		out  bool
	}{
		"no condition":    {"<status>Client exited</status>", true},
		"unavailable":     {"<error type='wait'><recipient-unavailable xmlns='" + stanzas + "'/></error>", true},
		"gone, with text": {"<error type='cancel'><text xmlns='" + stanzas + "'>x</text><gone xmlns='" + stanzas + "'/></error>", true},
		"not understood":  {"<error type='modify'><bad-request xmlns='" + stanzas + "'/></error>", false},
		"not implemented": {"<error type='cancel'><feature-not-implemented xmlns='" + stanzas + "'/></error>", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := roomWorld(t, storetest.SQLite(t), session.DefaultLimits)
			a, b, other := w.bind("a@x.test/1"), w.bind("b@x.test/1"), w.bind("b@x.test/2")
			a.enter("r", "A")
			a.configure("r")
			b.enter("r", "B")
			other.enter("r", "B")
			_, na := a.await(`from="r@rooms.x.test/B"`, 0)
			_, nb := b.await(selfPresence, 0)
			b.try("<presence type='error' to='r@rooms.x.test/A'>%s</presence>", c.body)
			seats := 2
			if c.out {
				b.await(`type="unavailable".*<status code="(110"/><status code="333|333"/><status code="110)"/>`, nb)
			} else {
				seats = 3
			}
			if _, n := w.path.cfg.Rooms.(*room.Rooms).Count(); n != seats {
				t.Fatalf("%d seats, want %d", n, seats)
			}
			// The other session of the same person stays, until it is unreachable too.
			other.try("<presence type='error' to='r@rooms.x.test/B'>%s</presence>", c.body)
			if c.out {
				a.await(`from="r@rooms.x.test/B".*type="unavailable".*<status code="333"/>`, na)
			} else if _, n := w.path.cfg.Rooms.(*room.Rooms).Count(); n != 3 {
				t.Errorf("%d seats, want all three", n)
			}
			other.try("<presence type='error' to='none@rooms.x.test/B'>%s</presence>", c.body) // XEP-0045 §17.3: nobody is told
		})
	}
}

// XEP-0045 §7.5: one record, in both people's archives, never a carbon; who wrote
// is not told.
func TestRoom_privateMessage(t *testing.T) {
	w := roomWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a, a2, b, b2 := w.bind("a@x.test/1"), w.bind("a@x.test/2"), w.bind("b@x.test/1"), w.bind("b@x.test/2")
	for _, d := range []*device{a2, b2} {
		d.available()
		d.s.Switch(func(f *session.Flags) { f.Carbons = true })
	}
	a.enter("p", "A")
	a.configure("p")
	b.enter("p", "B")
	b.try("<message to='p@rooms.x.test/A' type='chat'><body>psst</body></message>")
	got, _ := a.await("<body>psst</body>", 0)
	if strings.Contains(got, "b@x.test") || !strings.Contains(got, `by="a@x.test"`) {
		t.Errorf("the private message is %s", got)
	}
	for _, who := range []string{"a@x.test", "b@x.test"} {
		p, err := w.arch.Read(t.Context(), archive.Query{Owner: jid.MustParse(who), Max: 10})
		if err != nil || len(p.Messages) != 1 {
			t.Errorf("%s has %d messages in the archive, %v", who, len(p.Messages), err)
		}
	}
	p, err := w.arch.Read(t.Context(), archive.Query{Owner: jid.MustParse("p@rooms.x.test"), Max: 10})
	if err != nil || len(p.Messages) != 0 { // XEP-0313 §6.1.2
		t.Errorf("the room's archive has %d messages, %v", len(p.Messages), err)
	}
	for _, d := range []*device{a2, b2} {
		d.mu.Lock()
		if len(d.bodies) != 0 {
			t.Errorf("%s got a copy", d.s.JID())
		}
		d.mu.Unlock()
	}
}

// sink is a client that takes everything and looks at nothing.
type sink struct{ s *session.Session }

func (k *sink) Wake() {
	if k.s == nil {
		return
	}
	for {
		if len(k.s.Take(k, make([]*session.Frame, 0, 64))) == 0 {
			return
		}
		k.s.Wrote(k)
	}
}

func (*sink) Kick(*stream.Error) {}

// Issue 4: a room of thousands. Who enters gets the presence of more people than
// the queue has stanzas for (HARDENING §0), before a slow client has confirmed one
// of them, and messages still find room behind it.
func TestRoom_large(t *testing.T) {
	people := 2000
	if testing.Short() {
		people = 600
	}
	w := roomWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a := w.bind("a@x.test/1")
	a.enter("big", "A")
	a.configure("big")
	for i := range people {
		k := &sink{}
		s, err := w.path.Bind(t.Context(), jid.MustParse(fmt.Sprintf("u%d@x.test", i)), "1", k)
		if err != nil {
			t.Fatal(err)
		}
		k.s = s
		in := w.path.Open(s)
		doc := fmt.Sprintf("<presence to='big@rooms.x.test/U%d'>"+mucX+"</presence>", i)
		if err := in.Stanza(t.Context(), scanRaw(t, doc)); err != nil {
			t.Fatal(err)
		}
	}
	slow := w.bind("slow@x.test/1")
	slow.mu.Lock()
	slow.deaf = true
	slow.mu.Unlock()
	slow.enter("big", "slow")
	for i := range 100 {
		a.groupchat("big", fmt.Sprint(i))
	}
	a.until(100)
	if slow.s.Overflowed() {
		t.Fatal("who entered a large room was thrown out for it")
	}
	if _, waiting := slow.s.Unacked(); waiting < people+100 {
		t.Errorf("%d stanzas wait, want %d presences and 100 messages", waiting, people)
	}
	if rooms, seats := w.path.cfg.Rooms.(*room.Rooms).Count(); rooms != 1 || seats != people+2 {
		t.Errorf("%d seats in %d rooms", seats, rooms)
	}
}
