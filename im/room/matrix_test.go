package room

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// fixture is a service on a data set of its own.
type fixture struct {
	t  *testing.T
	rs *Rooms
	rt *route.Table
}

type noLedger struct{}

func (noLedger) Taken(jid.JID, session.Pos)    {}
func (noLedger) Track(jid.JID, *session.Frame) {}
func (noLedger) Wake()                         {}
func (noLedger) Kick(*stream.Error)            {}

func newFixture(t *testing.T, db *store.DB) *fixture {
	t.Helper()
	if err := db.Migrate(t.Context(), []store.Migrations{archive.Migrations(), Migrations()}); err != nil {
		t.Fatal(err)
	}
	a, err := archive.Open(t.Context(), db, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t}
	f.rt = route.NewTable(route.Config{Session: session.Limits{Frames: 1 << 20, Bytes: 1 << 30, Held: 10}, Ledger: noLedger{}, Now: time.Now})
	f.rs, err = New(t.Context(), Setup{DB: db, Archive: a, Routes: f.rt, Service: jid.MustParse("rooms.x.test"), Now: time.Now,
		Submit:   func(context.Context, *Message) error { return errors.New("not here") },
		Settings: Settings{Name: "Rooms", Create: true, Most: 100, History: 20, Default: Config{History: 20}}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) bind(full string) *session.Session {
	f.t.Helper()
	s, _, err := f.rt.Bind(jid.MustParse(full), noLedger{})
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// ask puts a request to the service and gives the condition it is refused with.
func (f *fixture) ask(s *session.Session, to, typ, payload string) (*elem.Element, string) {
	f.t.Helper()
	e, err := elem.Parse([]byte(payload))
	if err != nil {
		f.t.Fatal(err)
	}
	out, err := f.rs.IQ(f.t.Context(), &im.IQ{Type: stanza.Type(typ), ID: "q", From: s.JID(), To: jid.MustParse(to), Payload: e, Raw: []byte(payload), Session: s})
	return out, condition(err)
}

func condition(err error) string {
	var se *stanza.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &se):
		return se.Condition
	}
	return err.Error()
}

// read makes a stanza of a document.
func read(t *testing.T, from jid.JID, doc string) *stanza.Stanza {
	t.Helper()
	s := elem.NewScanner(elem.DefaultLimits())
	if _, _, err := s.Next([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")); err != nil {
		t.Fatal(err)
	}
	if ev, _, err := s.Next([]byte(doc)); ev != elem.Stanza || err != nil {
		t.Fatalf("%s: %v %v", doc, ev, err)
	}
	st, err := stanza.Read(s.Raw(), nil)
	if err != nil {
		t.Fatal(err)
	}
	st.From = from
	if st.Kind == stanza.Message && st.Type == "" {
		st.Type = stanza.Normal
	}
	return st
}

// query is one thing somebody may want of a room. may says from the
// specification, not from the code, what he is to hear.
type query struct {
	name, spec string
	typ, doc   string // of an iq; typ "message" and "presence" are those
	may        func(p person, c Config) string
}

type person struct {
	aff  Affiliation
	role Role // none: not in the room
}

func answer(ok bool, otherwise string) string {
	if ok {
		return "ok"
	}
	return otherwise
}

func listDoc(a string) string {
	return "<query xmlns='http://jabber.org/protocol/muc#admin'><item " + a + "/></query>"
}

// knows says who may know the people of a room that shows addresses: members, and
// occupants whose role the owner has allowed it (XEP-0045 §9.5).
func knows(p person, c Config) bool {
	return c.NonAnonymous && (p.aff >= Member || p.aff == None && p.role != NoRole && c.MemberListRoles&(1<<p.role) != 0)
}

var queries = []query{
	{"ban list", "XEP-0045 §9.2", "get", listDoc("affiliation='outcast'"),
		func(p person, _ Config) string { return answer(p.aff >= Admin, "forbidden") }},
	{"member list", "XEP-0045 §9.5", "get", listDoc("affiliation='member'"),
		func(p person, c Config) string { return answer(p.aff >= Admin || knows(p, c), "forbidden") }},
	{"admin list", "XEP-0045 §10.8", "get", listDoc("affiliation='admin'"),
		func(p person, c Config) string { return answer(p.aff == Owner || knows(p, c), "forbidden") }},
	{"owner list", "XEP-0045 §10.5", "get", listDoc("affiliation='owner'"),
		func(p person, c Config) string { return answer(p.aff == Owner || knows(p, c), "forbidden") }},
	{"voice list", "XEP-0045 §8.5", "get", listDoc("role='participant'"),
		func(p person, _ Config) string { return answer(p.role == Moderator || p.aff >= Admin, "forbidden") }},
	{"moderator list", "XEP-0045 §9.8", "get", listDoc("role='moderator'"),
		func(p person, _ Config) string { return answer(p.role == Moderator || p.aff >= Admin, "forbidden") }},
	{"configuration", "XEP-0045 §10.2", "get", "<query xmlns='http://jabber.org/protocol/muc#owner'/>",
		func(p person, _ Config) string { return answer(p.aff == Owner, "forbidden") }},
	{"archive", "XEP-0313 §6.1.2", "set", "<query xmlns='urn:xmpp:mam:2'/>", archiveFor},
	{"archive metadata", "XEP-0313 §6.1.2", "get", "<metadata xmlns='urn:xmpp:mam:2'/>", archiveFor},
	{"card", "XEP-0486 §3.4", "get", "<vCard xmlns='vcard-temp'/>",
		func(p person, _ Config) string { return answer(p.aff != Outcast, "forbidden") }},
	{"registration", "XEP-0045 §7.10", "get", "<query xmlns='jabber:iq:register'/>",
		func(p person, c Config) string {
			return answer(p.aff >= Member || p.aff == None && !c.MembersOnly, "not-allowed")
		}},
	{"speak", "XEP-0045 §7.4", "message", "<message to='m@rooms.x.test' type='groupchat'><body>hi</body></message>",
		func(p person, _ Config) string {
			if p.role == NoRole {
				return "not-acceptable"
			}
			return answer(p.role >= Participant, "forbidden")
		}},
	{"change the subject", "XEP-0045 §8.1", "message", "<message to='m@rooms.x.test' type='groupchat'><subject>hi</subject></message>",
		func(p person, c Config) string {
			if p.role == NoRole {
				return "not-acceptable"
			}
			return answer(p.role == Moderator || p.role == Participant && c.ChangeSubject, "forbidden")
		}},
	{"whisper", "XEP-0045 §7.5", "message", "<message to='m@rooms.x.test/other' type='chat'><body>hi</body></message>",
		func(p person, c Config) string {
			if p.role == NoRole {
				return "not-acceptable"
			}
			return answer(c.PrivateMessages == "" || c.PrivateMessages == pmParticipants && p.role >= Participant ||
				c.PrivateMessages == pmModerators && p.role == Moderator, "forbidden")
		}},
	{"invite", "XEP-0045 §7.8.2", "message", "<message to='m@rooms.x.test'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='friend@x.test'/></x></message>",
		func(p person, c Config) string {
			switch {
			case p.role == NoRole:
				return "not-acceptable"
			case c.AllowInvites || p.aff >= Admin:
				return "ok"
			}
			return answer(p.role == Moderator && !c.MembersOnly, "forbidden")
		}},
	{"enter", "XEP-0045 §7.2", "presence", "<presence to='m@rooms.x.test/me'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
		func(p person, c Config) string {
			switch {
			case p.role != NoRole:
				return "ok" // is in already
			case p.aff == Outcast:
				return "forbidden"
			case c.MembersOnly && p.aff < Member:
				return "registration-required"
			case c.PasswordRequired:
				return "not-authorized"
			}
			return "ok"
		}},
}

func archiveFor(p person, c Config) string {
	return answer(p.aff >= Member || p.aff == None && !c.MembersOnly && (!c.PasswordRequired || p.role != NoRole), "forbidden")
}

// HARDENING M3: everybody × every query × rooms of every kind, against what the
// specification says.
func TestRoom_accessMatrix(t *testing.T) {
	f := newFixture(t, storetest.SQLite(t))
	kinds := map[string]Config{
		"open":                  {History: 20},
		"members only":          {MembersOnly: true, MemberListRoles: allRoles},
		"non-anonymous":         {NonAnonymous: true, MemberListRoles: 1 << Moderator, ChangeSubject: true},
		"private group":         {NonAnonymous: true, MembersOnly: true, MemberListRoles: allRoles, AllowInvites: true},
		"password, moderated":   {PasswordRequired: true, Password: "x", Moderated: true, PrivateMessages: pmParticipants},
		"quiet":                 {PrivateMessages: pmNone, NonAnonymous: true, MemberListRoles: allRoles},
		"whisper to moderators": {PrivateMessages: pmModerators, AllowInvites: true, MembersOnly: true},
	}
	cells := 0
	for kind, cfg := range kinds {
		for _, aff := range []Affiliation{Outcast, None, Member, Admin, Owner} {
			for _, role := range []Role{NoRole, Visitor, Participant, Moderator} {
				if aff == Outcast && role != NoRole {
					continue // XEP-0045 §5.1.2: there is no such occupant
				}
				for _, q := range queries {
					cells++
					p := person{aff, role}
					if got, want := f.cell(p, cfg, q), q.may(p, cfg); got != want {
						t.Errorf("%s, %s %s: %s: %s, want %s (%s)", kind, aff, role, q.name, got, want, q.spec)
					}
				}
			}
		}
	}
	if cells < 500 {
		t.Errorf("%d cells, want 500 at least", cells)
	}
	t.Logf("%d cells", cells)
}

// cell makes the room and the person, and asks.
func (f *fixture) cell(p person, cfg Config, q query) string {
	me, other := f.bind("me@x.test/1"), f.bind("other@x.test/1")
	at := jid.MustParse("m@rooms.x.test")
	f.rs.mu.Lock()
	clear(f.rs.loaded)
	f.rs.mu.Unlock()
	err := f.rs.with(f.t.Context(), at, func(r *room) error {
		r.state, r.cfg = open, cfg
		r.grants = map[jid.JID]grant{jid.MustParse("boss@x.test"): {affiliation: Owner}, me.JID().Bare(): {affiliation: p.aff}}
		seat := func(s *session.Session, nick string, w who) {
			at, _ := r.at.WithResource(nick)
			r.sit(s, &occupant{nick: nick, key: nick, at: at, bare: s.JID().Bare(), id: nick, role: w.role, affiliation: w.affiliation},
				&stanza.Stanza{Kind: stanza.Presence, From: at})
		}
		seat(other, "other", who{Participant, None})
		if p.role != NoRole {
			seat(me, "me", who{p.role, p.aff})
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	switch q.typ {
	case "message":
		_, err = f.rs.Plan(f.t.Context(), me, read(f.t, me.JID(), q.doc), Sent{})
		return condition(err)
	case "presence":
		return condition(f.rs.Presence(f.t.Context(), me, read(f.t, me.JID(), q.doc)))
	}
	_, got := f.ask(me, at.String(), q.typ, q.doc)
	return got
}

// HARDENING M3: who asks may be told of in an error, never more: no list leaks
// through an answer that is refused.
func TestRoom_refusalsSayNothing(t *testing.T) {
	f := newFixture(t, storetest.SQLite(t))
	cfg := Config{MembersOnly: true}
	for _, q := range queries {
		if q.typ != "get" && q.typ != "set" {
			continue
		}
		p := person{None, NoRole}
		if want := q.may(p, cfg); want == "ok" {
			continue
		}
		f.cell(p, cfg, q)
		out, got := f.ask(f.bind("me@x.test/1"), "m@rooms.x.test", q.typ, q.doc)
		if got == "ok" || out != nil && len(out.Children) > 0 {
			t.Errorf("%s: %s, %v", q.name, got, out)
		}
	}
}

// The table of XEP-0045 §5.2.2 and its exceptions, cell by cell.
func TestMayGrant_table(t *testing.T) {
	for _, by := range []Affiliation{Outcast, None, Member, Admin, Owner} {
		for from := Outcast; from <= Owner; from++ {
			for to := Outcast; to <= Owner; to++ {
				want := "forbidden"
				switch {
				case by == Owner:
					want = "ok"
				case by == Admin && from <= Member && to <= Member:
					want = "ok"
				case by == Admin && to == Outcast:
					want = "not-allowed" // XEP-0045 §9.1
				}
				if got := condition(mayGrant(by, from, to, false)); got != want {
					t.Errorf("%s: %s → %s: %s, want %s", by, from, to, got, want)
				}
			}
		}
	}
	if got := condition(mayGrant(Admin, Admin, Outcast, true)); got != "conflict" {
		t.Error("one can ban oneself:", got)
	}
}

// XEP-0045 §5.1.3, §8 and §9.
func TestMayAssign_table(t *testing.T) {
	mod, member, adm, own := who{Moderator, None}, who{Moderator, Member}, who{Moderator, Admin}, who{Moderator, Owner}
	visitor, participant := who{Visitor, None}, who{Participant, None}
	tests := []struct {
		by, target who
		to         Role
		want       string
	}{
		{participant, visitor, Participant, "forbidden"},
		{visitor, participant, NoRole, "forbidden"},
		{mod, visitor, Participant, "ok"}, // §8.3
		{mod, participant, Visitor, "ok"}, // §8.4
		{mod, participant, NoRole, "ok"},  // §8.2
		{mod, who{Participant, Member}, NoRole, "not-allowed"},
		{member, adm, NoRole, "not-allowed"},
		{adm, own, NoRole, "not-allowed"},
		{own, adm, NoRole, "ok"},
		{mod, adm, Visitor, "not-allowed"},     // §5.1.1
		{mod, adm, Participant, "not-allowed"}, // §5.1.3
		{mod, mod, Visitor, "forbidden"},       // a moderator is for admins
		{adm, mod, Participant, "ok"},          // §9.7
		{adm, own, Participant, "not-allowed"}, // §9.7
		{own, adm, Participant, "not-allowed"},
		{adm, own, Visitor, "not-allowed"}, // §8.4
		{mod, participant, Moderator, "forbidden"},
		{adm, participant, Moderator, "ok"}, // §9.6
	}
	for _, tt := range tests {
		if got := condition(mayAssign(tt.by, tt.target, tt.to, false)); got != tt.want {
			t.Errorf("%v makes %v %s: %s, want %s", tt.by, tt.target, tt.to, got, tt.want)
		}
	}
}

// XEP-0045 §5.1.2.
func TestInitialRole_table(t *testing.T) {
	for _, tt := range []struct {
		a         Affiliation
		moderated bool
		want      Role
	}{
		{Outcast, false, NoRole}, {None, false, Participant}, {None, true, Visitor}, {Member, false, Participant},
		{Member, true, Participant}, {Admin, true, Moderator}, {Owner, false, Moderator},
	} {
		if got := initialRole(tt.a, &Config{Moderated: tt.moderated}); got != tt.want {
			t.Errorf("%s, moderated %v: %s, want %s", tt.a, tt.moderated, got, tt.want)
		}
	}
}

// HARDENING M1: a nickname that is equal (RFC 8266 §2.4), that looks the same, or
// that belongs to somebody else is refused; an occupant id is its account's alone.
func TestEnter_nicknames(t *testing.T) {
	f := newFixture(t, storetest.SQLite(t))
	a, b := f.bind("a@x.test/1"), f.bind("b@x.test/1")
	enter := func(s *session.Session, nick string) string {
		return condition(f.rs.Presence(t.Context(), s, read(t, s.JID(), fmt.Sprintf("<presence to='n@rooms.x.test/%s'><x xmlns='http://jabber.org/protocol/muc'/></presence>", nick))))
	}
	if got := enter(a, "alice"); got != "ok" {
		t.Fatal(got)
	}
	if _, got := f.ask(a, "n@rooms.x.test", "set", "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>"); got != "ok" {
		t.Fatal(got)
	}
	if _, got := f.ask(a, "n@rooms.x.test", "set", listDoc("jid='c@x.test' affiliation='member' nick='carol'")); got != "ok" {
		t.Fatal(got)
	}
	for nick, want := range map[string]string{
		"alice": "conflict", "Alice": "conflict", "  alice ": "conflict", "ａｌｉｃｅ": "conflict",
		"аlice": "conflict", // Cyrillic а
		"alıce": "conflict", // dotless ı
		"carol": "conflict", "CAROL": "conflict",
		"&#xa0;": "not-acceptable", "&#x3000;&#x3000;": "not-acceptable",
	} {
		if got := enter(b, nick); got != want {
			t.Errorf("%q: %s, want %s", nick, got, want)
		}
	}
	if got := enter(b, "alice2"); got != "ok" {
		t.Error(got)
	}
	seen := map[string]string{}
	for i := range 10_000 {
		who := fmt.Sprintf("u%d@x.test", i)
		id := f.rs.occupantID(jid.MustParse("n@rooms.x.test"), jid.MustParse(who))
		if other := seen[id]; other != "" || len(id) > 128 {
			t.Fatalf("%s and %s have the id %s", who, other, id)
		}
		seen[id] = who
	}
	if f.rs.occupantID(jid.MustParse("o@rooms.x.test"), jid.MustParse("u1@x.test")) == f.rs.occupantID(jid.MustParse("n@rooms.x.test"), jid.MustParse("u1@x.test")) {
		t.Error("an occupant id leads from one room to another")
	}
}
