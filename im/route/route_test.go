package route

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// wire counts and hands out what its session has.
type wire struct{ kicked []*stream.Error }

func (w *wire) Wake()                { _ = w }
func (w *wire) Kick(r *stream.Error) { w.kicked = append(w.kicked, r) }

// book is a ledger that remembers what was tracked, and how far the table said it was then.
type book struct {
	table   *Table
	tracked []session.Pos
	fanned  []session.Pos
}

func (b *book) Taken(jid.JID, session.Pos) { _ = b }
func (b *book) Track(_ jid.JID, f *session.Frame) {
	b.tracked = append(b.tracked, f.Pos)
	b.fanned = append(b.fanned, b.table.Fanned())
}

type fixture struct {
	t     *testing.T
	table *Table
	book  *book
	over  []*session.Session
}

func newFixture(t *testing.T, lim session.Limits, sessions int) *fixture {
	f := &fixture{t: t, book: &book{}}
	f.table = NewTable(Config{Session: lim, Sessions: sessions, Ledger: f.book, Now: time.Now,
		Overflow: func(s *session.Session) { f.over = append(f.over, s) }})
	f.book.table = f.table
	return f
}

// device binds a session in the state its name tells: + available and live, a
// available, - negative priority, c carbons, ~ catching up, no sign: bound only.
func (f *fixture) device(full, state string) *session.Session {
	f.t.Helper()
	s, _, err := f.table.Bind(jid.MustParse(full), &wire{})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, c := range state {
		switch c {
		case '+':
			s.SetPresence(session.Presence{Available: true})
			if !strings.Contains(state, "~") {
				s.GoLive(0)
			}
		case 'a':
			s.SetPresence(session.Presence{Available: true})
		case '-':
			s.SetPresence(session.Presence{Available: true, Priority: -1})
		case 'c':
			s.Switch(func(f *session.Flags) { f.Carbons = true })
		case '~':
			if _, ok := f.table.BeginCatchUp(s); !ok {
				f.t.Fatal("can't catch up")
			}
		}
	}
	return s
}

// got is what a session has been pushed: m the message, s and r carbons.
func got(s *session.Session) (out string) {
	if s.Standing().Catching {
		s.SetPresence(session.Presence{Available: true})
		s.GoLive(0)
		out = "behind:"
	}
	left, _, _ := s.End()
	for _, f := range left {
		switch text := string(f.Bytes); {
		case strings.Contains(text, "<sent "):
			out += "s"
		case strings.Contains(text, "<received "):
			out += "r"
		case strings.Contains(text, "<body>"):
			out += "m"
		default:
			out += "?"
		}
	}
	return out
}

func message(from, to string, typ stanza.Type) *stanza.Stanza {
	st := &stanza.Stanza{Kind: stanza.Message, Type: typ, From: jid.MustParse(from), To: jid.MustParse(to), ID: "i1"}
	st.Add(elem.New(stanza.Space, "body").SetText("hi"))
	return st
}

// RFC 6121 §8.5.2.1.1, §8.5.3; XEP-0280 §7, §8.
func TestMessage_whoGetsIt(t *testing.T) {
	cases := []struct {
		name    string
		to      string
		typ     stanza.Type
		carbons bool
		b       [4]string // state of bob's devices 1 to 3; the last is of alice's other device
		want    [4]string
	}{
		{"bare: all that are available", "b@x.test", stanza.Chat, true, [4]string{"+", "+", "", ""}, [4]string{"m", "m", "", ""}},
		{"bare: never a negative priority (RFC 6121 §8.5.2.1.1)", "b@x.test", stanza.Chat, true,
			[4]string{"+", "-", "-c", ""}, [4]string{"m", "", "r", ""}},
		{"bare: once, not as carbon too", "b@x.test", stanza.Chat, true, [4]string{"+c", "+c", "", "+c"}, [4]string{"m", "m", "", "s"}},
		{"bare: who catches up gets it behind", "b@x.test", stanza.Chat, true, [4]string{"+~", "+", "", "~c"},
			[4]string{"behind:m", "m", "", "behind:s"}},
		{"full: that one (RFC 6121 §8.5.3.1), copies to those that want them", "b@x.test/1", stanza.Chat, true,
			[4]string{"+", "+c", "+", "+c"}, [4]string{"m", "r", "", "s"}},
		{"full: available or not", "b@x.test/1", stanza.Normal, false, [4]string{"", "+", "", ""}, [4]string{"m", "", "", ""}},
		{"full: negative priority", "b@x.test/1", stanza.Chat, false, [4]string{"-", "+", "", ""}, [4]string{"m", "", "", ""}},
		{"bare: available, not live yet: it will read what waits", "b@x.test", stanza.Chat, true,
			[4]string{"a", "+", "ac", ""}, [4]string{"", "m", "r", ""}},
		{"full: catching up, nothing overtakes (RFC 6120 §10.1)", "b@x.test/1", stanza.Headline, false,
			[4]string{"~", "+", "", ""}, [4]string{"behind:m", "", "", ""}},
		{"full, gone meanwhile: chat as if bare (RFC 6121 §8.5.3.2.1)", "b@x.test/gone", stanza.Chat, true,
			[4]string{"+", "-", "-c", ""}, [4]string{"m", "", "r", ""}},
		{"carbons: not before the device has announced itself", "b@x.test/1", stanza.Chat, true,
			[4]string{"+", "c", "", "c"}, [4]string{"m", "", "", ""}},
		{"full, gone meanwhile: others not", "b@x.test/gone", stanza.Headline, false, [4]string{"+", "+", "+", ""}, [4]string{"", "", "", ""}},
		{"no carbons planned", "b@x.test/1", stanza.Chat, false, [4]string{"+", "+c", "", "+c"}, [4]string{"m", "", "", ""}},
		{"carbons while catching up are behind", "b@x.test/1", stanza.Chat, true, [4]string{"+", "~c", "", ""},
			[4]string{"m", "behind:r", "", ""}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, session.DefaultLimits, 0)
			origin := f.device("a@x.test/desk", "+c")
			var ds [4]*session.Session
			for i := range 3 {
				ds[i] = f.device(fmt.Sprintf("b@x.test/%d", i+1), c.b[i])
			}
			ds[3] = f.device("a@x.test/phone", c.b[3])
			f.table.Message(&Message{Stanza: message("a@x.test/desk", c.to, c.typ), Pos: 7, Origin: origin, Carbons: c.carbons})
			for i, d := range ds {
				if g := got(d); g != c.want[i] {
					t.Errorf("%s (%q) got %q, want %q", d.JID(), c.b[i], g, c.want[i])
				}
			}
			if g := got(origin); g != "" { // XEP-0280 §8: never to the sending client
				t.Errorf("the sender got %q", g)
			}
		})
	}
}

// XEP-0280 §7, §8: whoever writes to himself gets one copy on each device.
func TestMessage_toOneself(t *testing.T) {
	f := newFixture(t, session.DefaultLimits, 0)
	desk, phone, old := f.device("a@x.test/desk", "+c"), f.device("a@x.test/phone", "+c"), f.device("a@x.test/old", "-c")
	f.table.Message(&Message{Stanza: message("a@x.test/desk", "a@x.test", stanza.Chat), Pos: 7, Origin: desk, Carbons: true})
	for d, want := range map[*session.Session]string{desk: "m", phone: "m", old: "r"} {
		if g := got(d); g != want {
			t.Errorf("%s got %q, want %q", d.JID(), g, want)
		}
	}
}

// The ledger settles up to Fanned: what is not tracked yet must not count as handed out, or a crash in between would
// leave it neither waiting nor behind the mark.
func TestMessage_trackedBeforeItCountsAsHandedOut(t *testing.T) {
	f := newFixture(t, session.DefaultLimits, 0)
	f.table.StartAt(6)
	f.table.Message(&Message{Stanza: message("a@x.test/1", "b@x.test", stanza.Chat), Pos: 7, Keep: true})
	f.table.Message(&Message{Stanza: message("a@x.test/1", "b@x.test", stanza.Chat), Pos: 8, Keep: true, Parked: true})
	f.table.Message(&Message{Stanza: message("a@x.test/1", "b@x.test", stanza.Chat), Pos: 9})
	if !slices.Equal(f.book.tracked, []session.Pos{7}) || !slices.Equal(f.book.fanned, []session.Pos{6}) {
		t.Errorf("tracked %v when %v was handed out; want 7 when 6 was, and not what is parked or not kept", f.book.tracked, f.book.fanned)
	}
	if f.table.Fanned() != 9 {
		t.Errorf("handed out up to %s", f.table.Fanned())
	}
	f.table.Skip(0)
	f.table.Skip(10)
	if f.table.Fanned() != 10 {
		t.Errorf("after a message for nobody: %s", f.table.Fanned())
	}
}

// RFC 7395 §3.3.3: NameEnd is where the namespace goes; XEP-0359 §3: the recipient's id.
func TestEncode_framing(t *testing.T) {
	st := message("a@x.test/1", "b@x.test/<'\"&>", stanza.Chat)
	st.Lang = "en"
	m := &Message{Stanza: st, Pos: 42, Keep: true, Parked: true}
	direct := encodeMessage(m)
	for name, c := range map[string]struct {
		f    *session.Frame
		want string
	}{
		"message":  {direct, "message"},
		"stanza":   {Encode(st), "message"},
		"received": {encodeCarbon(m, "received", st.To.Bare(), jid.MustParse("b@x.test/2")), "message"},
		"presence": {EncodeElement(stanza.Presence, elem.New(stanza.Space, "presence", "to", "b@x.test")), "presence"},
		"iq":       {EncodeElement(stanza.IQ, elem.New(stanza.Space, "iq", "id", "1")), "iq"},
	} {
		framed := string(c.f.Bytes[:c.f.NameEnd]) + ` xmlns="jabber:client"` + string(c.f.Bytes[c.f.NameEnd:])
		e, err := elem.Parse([]byte(framed))
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, framed)
			continue
		}
		if e.Local != c.want || e.Space != stanza.Space {
			t.Errorf("%s: element %s in %s: %s", name, e.Local, e.Space, framed)
		}
	}
	e, err := elem.Parse([]byte(`<message xmlns="jabber:client"` + string(direct.Bytes[direct.NameEnd:])))
	if err != nil {
		t.Fatal(err)
	}
	id := e.Child("urn:xmpp:sid:0", "stanza-id")
	if id == nil || id.Attr("by") != "b@x.test" || id.Attr("id") != "42" {
		t.Errorf("stanza-id: %s", direct.Bytes)
	}
	if e.Attr("to") != st.To.String() || e.Attr("from") != "a@x.test/1" || e.Attr("id") != "i1" || e.Attr("type") != "chat" {
		t.Errorf("attributes: %s", direct.Bytes)
	}
	if direct.Pos != 42 || !direct.Offline || !direct.Urgent || direct.Kind != stanza.Message {
		t.Errorf("frame: %+v", direct)
	}
}

// XEP-0280 §7, §8: the copy is from the account to the device; XEP-0313 §6.1.1: with the id in the owner's archive.
func TestEncodeCarbon_wrapper(t *testing.T) {
	st := message("a@x.test/desk", "b@x.test", stanza.Chat)
	own, to := jid.MustParse("a@x.test"), jid.MustParse("a@x.test/phone")
	f := encodeCarbon(&Message{Stanza: st, Pos: 42, Keep: true, Shown: true}, "sent", own, to)
	e, err := elem.Parse([]byte(`<message xmlns="jabber:client"` + string(f.Bytes[f.NameEnd:])))
	if err != nil {
		t.Fatal(err)
	}
	if e.Attr("from") != "a@x.test" || e.Attr("to") != "a@x.test/phone" || e.Attr("type") != "chat" {
		t.Errorf("wrapper: %s", f.Bytes)
	}
	in := e.Child("urn:xmpp:carbons:2", "sent").Child("urn:xmpp:forward:0", "forwarded").Child(stanza.Space, "message")
	if in == nil || in.Attr("from") != "a@x.test/desk" || in.Attr("to") != "b@x.test" || in.ChildText("body") != "hi" {
		t.Fatalf("forwarded: %s", f.Bytes)
	}
	if id := in.Child("urn:xmpp:sid:0", "stanza-id"); id == nil || id.Attr("by") != "a@x.test" || id.Attr("id") != "42" {
		t.Errorf("stanza-id: %s", f.Bytes)
	}
}

// XEP-0313 §6.1.1, XEP-0359 §3: an id only of an archive that has the message: a client would ask for what came after
// it, and be told item-not-found.
func TestEncode_noIDOfAnArchiveThatHasItNot(t *testing.T) {
	st := message("a@x.test/desk", "b@x.test", stanza.Chat)
	a, b, phone := jid.MustParse("a@x.test"), jid.MustParse("b@x.test"), jid.MustParse("a@x.test/phone")
	for name, c := range map[string]struct {
		m                    Message
		direct, received, by bool
	}{
		"in both archives":                 {Message{Keep: true, Shown: true}, true, true, true},
		"waits only (no-permanent-store)":  {Message{Keep: true}, true, true, false},
		"in neither (no-store, headlines)": {Message{}, false, false, false},
	} {
		c.m.Stanza, c.m.Pos = st, 42
		for what, got := range map[string]struct {
			f    *session.Frame
			want bool
		}{
			"direct": {encodeMessage(&c.m), c.direct}, "received": {encodeCarbon(&c.m, "received", b, phone), c.received},
			"sent": {encodeCarbon(&c.m, "sent", a, phone), c.by},
		} {
			if has := strings.Contains(string(got.f.Bytes), "<stanza-id"); has != got.want {
				t.Errorf("%s, %s: stanza-id %v", name, what, has)
			}
		}
	}
}

// HARDENING A15, RFC 6120 §7.7.2.2.
func TestBind_limitAndConflict(t *testing.T) {
	f := newFixture(t, session.DefaultLimits, 2)
	one := f.device("a@x.test/1", "")
	f.device("a@x.test/2", "")
	if _, _, err := f.table.Bind(jid.MustParse("a@x.test/3"), &wire{}); err != ErrTooMany {
		t.Errorf("a third session of two: %v", err)
	}
	f.device("b@x.test/3", "")
	s, old, err := f.table.Bind(jid.MustParse("a@x.test/1"), &wire{})
	if err != nil || old != one {
		t.Errorf("the same resource: %v, old %v", err, old)
	}
	if f.table.Session(jid.MustParse("a@x.test/1")) != s || f.table.Count() != 3 {
		t.Errorf("%d sessions", f.table.Count())
	}
	f.table.Remove(one) // late: the name is another's now
	if f.table.Session(s.JID()) != s {
		t.Error("the old session's end took the new one out")
	}
	for _, s := range f.table.Sessions(jid.MustParse("a@x.test")) {
		f.table.Remove(s)
	}
	f.table.Remove(s)
	if f.table.Sessions(jid.MustParse("a@x.test")) != nil || f.table.Session(s.JID()) != nil {
		t.Error("still there")
	}
	if _, ok := f.table.BeginCatchUp(s); ok {
		t.Error("a session that is not bound catches up")
	}
}

// HARDENING F9: one overflow, one stream error, and nobody else waits.
func TestMessage_fullQueueEndsThatSessionOnce(t *testing.T) {
	f := newFixture(t, session.Limits{Frames: 1, Bytes: 1 << 20, Held: 1}, 0)
	slow := f.device("b@x.test/1", "+")
	for pos := range session.Pos(4) {
		f.table.Message(&Message{Stanza: message("a@x.test/1", "b@x.test", stanza.Chat), Pos: pos + 1})
	}
	if len(f.over) != 1 || f.over[0] != slow {
		t.Errorf("ended %d times", len(f.over))
	}
	_, w, _ := slow.End()
	if k := w.(*wire).kicked; len(k) != 1 || k[0].Condition != "resource-constraint" {
		t.Errorf("kicked with %v", k)
	}
}

// HARDENING I5: the id of a push can't be guessed, so nobody can answer in the client's name.
func TestPushIQ_freshID(t *testing.T) {
	f := newFixture(t, session.DefaultLimits, 0)
	s := f.device("a@x.test/1", "")
	f.table.PushIQ(s, jid.JID{}, elem.New("u", "x"))
	f.table.PushIQ(s, jid.MustParse("a@x.test"), elem.New("u", "x"))
	left, _, _ := s.End()
	ids := map[string]bool{}
	for i, fr := range left {
		e, err := elem.Parse([]byte(`<iq xmlns="jabber:client"` + string(fr.Bytes[fr.NameEnd:])))
		if err != nil {
			t.Fatal(err)
		}
		if e.Attr("type") != "set" || e.Attr("to") != "a@x.test/1" || len(e.Attr("id")) < 20 || e.Child("u", "x") == nil {
			t.Errorf("push: %s", fr.Bytes)
		}
		if want := []string{"", "a@x.test"}[i]; e.Attr("from") != want {
			t.Errorf("from %q, want %q", e.Attr("from"), want)
		}
		ids[e.Attr("id")] = true
	}
	if len(ids) != 2 {
		t.Errorf("ids %v", ids)
	}
}
