package deliver

import (
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// scan makes a stanza of text, as an edge and accept would.
func scan(t *testing.T, doc string) *stanza.Stanza {
	t.Helper()
	raw := scanRaw(t, doc)
	st, err := accept(raw, jid.MustParse("alice@x.test/desk"), "")
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return st
}

func scanRaw(t testing.TB, doc string) *elem.Raw {
	t.Helper()
	sc := elem.NewScanner(elem.Limits{})
	sc.SetFramed(true)
	doc = strings.Replace(doc, " ", ` xmlns="jabber:client" `, 1)
	ev, _, err := sc.Next([]byte(doc))
	if err != nil || ev != elem.Stanza {
		t.Fatalf("%s: %v %v", doc, ev, err)
	}
	return sc.Raw()
}

// RFC 6121 §8.5 before the commit: who is refused, dropped, kept, copied.
func TestPlan_deliveryRules(t *testing.T) {
	here := facts{Local: true, Exists: true}
	bound, live := here, here
	bound.Bound = true
	live.Live = true
	const body = "<body>hi</body>"
	cases := []struct {
		name, doc string
		f         facts
		want      string // "error CONDITION", "drop", or what is kept
	}{
		// §8.5.1
		{"no such account", `<message to='z@x.test' type='chat'>` + body + `</message>`, facts{Local: true}, "error service-unavailable"},
		{"error to no such account", `<message to='z@x.test' type='error'/>`, facts{Local: true}, "drop"},
		{"another server", `<message to='z@other.test' type='chat'>` + body + `</message>`, facts{}, "error remote-server-not-found"},
		{"the server itself", `<message to='x.test' type='chat'>` + body + `</message>`, facts{Local: true}, "error service-unavailable"},
		// §8.5.2.1.1 and §8.5.2.2.1
		{"chat to bare, live", `<message to='bob@x.test' type='chat'>` + body + `</message>`, live, "record shown carbons"},
		{"chat to bare, nobody", `<message to='bob@x.test' type='chat'>` + body + `</message>`, here, "record shown waits carbons"},
		{"normal to bare, nobody", `<message to='bob@x.test'>` + body + `</message>`, here, "record shown waits carbons"},
		{"unknown type is normal", `<message to='bob@x.test' type='odd'>` + body + `</message>`, here, "record shown waits carbons"},
		{"groupchat to bare", `<message to='bob@x.test' type='groupchat'>` + body + `</message>`, live, "error service-unavailable"},
		{"headline to bare", `<message to='bob@x.test' type='headline'>` + body + `</message>`, live, "record"},
		{"error to bare", `<message to='bob@x.test' type='error'>` + body + `</message>`, live, "drop"},
		// §8.5.3.1 and §8.5.3.2.1
		{"chat to full, bound", `<message to='bob@x.test/d' type='chat'>` + body + `</message>`, bound, "record shown carbons"},
		{"groupchat to full, bound", `<message to='bob@x.test/d' type='groupchat'>` + body + `</message>`, bound, "record"},
		{"error to full, bound", `<message to='bob@x.test/d' type='error'>` + body + `</message>`, bound, "nothing"},
		{"chat to full, not bound", `<message to='bob@x.test/d' type='chat'>` + body + `</message>`, live, "record shown carbons"},
		{"normal to full, not bound", `<message to='bob@x.test/d'>` + body + `</message>`, live, "error service-unavailable"},
		{"groupchat to full, not bound", `<message to='bob@x.test/d' type='groupchat'>` + body + `</message>`, live, "error service-unavailable"},
		{"headline to full, not bound", `<message to='bob@x.test/d' type='headline'>` + body + `</message>`, live, "error service-unavailable"},
		{"error to full, not bound", `<message to='bob@x.test/d' type='error'>` + body + `</message>`, live, "drop"},
		// RFC 6120 §10.3.1
		{"without to", `<message type='chat'>` + body + `</message>`, live, "record shown carbons"},
		// XEP-0085 §5.1: typing is not kept; XEP-0184: receipts are
		{"typing", `<message to='bob@x.test' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>`, live, "carbons"},
		{"typing with thread and id", `<message to='bob@x.test' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread><origin-id xmlns='urn:xmpp:sid:0' id='1'/></message>`, here, "carbons"},
		{"receipt", `<message to='bob@x.test' type='chat'><received xmlns='urn:xmpp:receipts' id='1'/></message>`, live, "record shown carbons"},
		// XEP-0334 §4
		{"no-store", `<message to='bob@x.test' type='chat'>` + body + `<no-store xmlns='urn:xmpp:hints'/></message>`, here, "record carbons"},
		{"no-permanent-store", `<message to='bob@x.test' type='chat'>` + body + `<no-permanent-store xmlns='urn:xmpp:hints'/></message>`, here, "record waits carbons"},
		{"no-copy", `<message to='bob@x.test' type='chat'>` + body + `<no-copy xmlns='urn:xmpp:hints'/></message>`, live, "record shown"},
		{"private", `<message to='bob@x.test' type='chat'>` + body + `<private xmlns='urn:xmpp:carbons:2'/></message>`, live, "record shown"},
		{"typing with store", `<message to='bob@x.test' type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/></message>`, live, "record shown carbons"},
	}
	for _, tc := range cases {
		p, refusal := plan(&judged{st: scan(t, tc.doc), private: private(scanRaw(t, tc.doc))}, nil, tc.f)
		if got := describe(p, refusal); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func describe(p *planned, refusal *stanza.Error) string {
	switch {
	case refusal != nil:
		return "error " + refusal.Condition
	case p == nil:
		return "drop"
	}
	var out []string
	if p.entry != nil {
		out = append(out, "record")
		for _, v := range p.entry.Views {
			if v.Flags&archive.Shown != 0 {
				out = append(out, "shown")
				break
			}
		}
		if !p.entry.Waiting.IsZero() {
			out = append(out, "waits")
		}
	}
	if p.out.Carbons {
		out = append(out, "carbons")
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, " ")
}

// PRODUCT: the same id is stored once; HOUSE §2: but two texts are two messages.
func TestDedup_identifiesASending(t *testing.T) {
	mk := func(to, id, body string) archive.Sending {
		return dedup(scan(t, `<message to='`+to+`' type='chat'><body>`+body+`</body><origin-id xmlns='urn:xmpp:sid:0' id='`+id+`'/></message>`))
	}
	base := mk("bob@x.test", "1", "hi")
	if base.IsZero() || base != mk("bob@x.test", "1", "hi") {
		t.Error("the same sending has two identities")
	}
	for name, other := range map[string]archive.Sending{
		"id": mk("bob@x.test", "2", "hi"), "recipient": mk("carol@x.test", "1", "hi"), "text": mk("bob@x.test", "1", "ho"),
	} {
		if other == base {
			t.Errorf("another %s, the same identity", name)
		}
	}
	if !dedup(scan(t, `<message to='bob@x.test' id='1'><body>x</body></message>`)).IsZero() {
		t.Error("an identity without origin-id")
	}
}

// HARDENING I1, I4: the sender is stamped, what only servers say is removed.
func TestAccept_forgeries(t *testing.T) {
	forgedID := `<stanza-id xmlns='urn:xmpp:sid:0' by='bob@x.test' id='1'/>`
	st := scan(t, `<message from='admin@x.test/boss' to='bob@x.test' type='chat' id='7' xml:lang='en'>`+forgedID+
		`<body>a &amp; b</body>`+forgedID+`<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></received>`+
		`<occupant-id xmlns='urn:xmpp:occupant-id:0' id='x'/><result xmlns='urn:xmpp:mam:2' id='1'/>`+strings.Repeat(forgedID, 20)+`<thread>t</thread></message>`)
	want := `<message from='alice@x.test/desk' to='bob@x.test' id='7' type='chat' xml:lang='en'><body>a &amp; b</body><thread>t</thread></message>`
	if got := string(st.AppendTo(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := st.Text(stanza.Space, "body"); got != "a & b" {
		t.Errorf("body %q", got)
	}
	if len(st.Kids) != 2 {
		t.Errorf("%d children indexed, want 2", len(st.Kids))
	}
}

// RFC 6120 §8.2.3 and RFC 6121 §4.7.1.
func TestAccept_wrongShapes(t *testing.T) {
	cases := map[string]string{
		`<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>`:             "bad-request",
		`<iq id='1'><ping xmlns='urn:xmpp:ping'/></iq>`:                 "bad-request",
		`<iq id='1' type='get'></iq>`:                                   "bad-request",
		`<iq id='1' type='set'><a xmlns='u'/><b xmlns='u'/></iq>`:       "bad-request",
		`<iq id='1' type='result'><a xmlns='u'/><b xmlns='u'/></iq>`:    "bad-request",
		`<iq id='1' type='odd'><a xmlns='u'/></iq>`:                     "bad-request",
		`<presence type='odd'></presence>`:                              "bad-request",
		`<message to='@x.test'></message>`:                              "jid-malformed",
		`<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'></starttls>`: "unsupported-stanza-type",
		`<message-x xmlns='jabber:client' to='bob@x.test'></message-x>`: "unsupported-stanza-type",
	}
	for doc, want := range cases {
		if !strings.Contains(doc, "xmlns='jabber") && !strings.Contains(doc, "<starttls") {
			doc = strings.Replace(doc, " ", ` xmlns='jabber:client' `, 1)
		}
		sc := elem.NewScanner(elem.Limits{})
		sc.SetFramed(true)
		if ev, _, err := sc.Next([]byte(doc)); ev != elem.Stanza || err != nil {
			t.Fatalf("%s: %v %v", doc, ev, err)
		}
		_, err := accept(sc.Raw(), jid.MustParse("alice@x.test/desk"), "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", doc, err, want)
		}
	}
}

// XEP-0441 §2.1: what a side does not want to see is recorded, delivered and waits all the same.
func TestPlan_preferencesTouchViewsOnly(t *testing.T) {
	shown, kept := int64(archive.Shown), int64(archive.Keep)
	alice, bob := jid.MustParse("alice@x.test"), jid.MustParse("bob@x.test")
	const body = "<body>hi</body>"
	for _, c := range []struct {
		name, more       string
		hidTo, hidFrom   bool
		want             []archive.View
		shownToItsSender bool
	}{
		{"neither", "", false, false, []archive.View{{Owner: bob, Flags: shown | kept}, {Owner: alice, Flags: shown}}, true},
		{"the recipient does not", "", true, false, []archive.View{{Owner: bob, Flags: kept}, {Owner: alice, Flags: shown}}, true},
		{"the sender does not", "", false, true, []archive.View{{Owner: bob, Flags: shown | kept}}, false},
		{"nobody does", "", true, true, []archive.View{{Owner: bob, Flags: kept}}, false},
		{"a hint to store is the sender's wish only", "<store xmlns='urn:xmpp:hints'/>", true, false, []archive.View{{Owner: bob, Flags: kept}, {Owner: alice, Flags: shown}}, true},
		{"a hint not to store comes first", "<no-permanent-store xmlns='urn:xmpp:hints'/>", false, false, []archive.View{{Owner: bob, Flags: kept}}, false},
	} {
		j := &judged{st: scan(t, `<message to='bob@x.test' type='chat'>`+body+c.more+`</message>`)}
		p, refusal := plan(j, nil, facts{Local: true, Exists: true, HiddenTo: c.hidTo, HiddenFrom: c.hidFrom})
		if refusal != nil || p.entry == nil {
			t.Fatalf("%s: %v", c.name, refusal)
		}
		if !slices.Equal(p.entry.Views, c.want) || p.out.Shown != c.shownToItsSender || p.entry.Waiting != bob || !p.out.Keep {
			t.Errorf("%s: views %v, shown %v, waits for %s", c.name, p.entry.Views, p.out.Shown, p.entry.Waiting)
		}
	}
}

// unseen is people who do not want to see something of somebody.
type unseen map[[2]string]bool

func (u unseen) Shows(owner, other jid.JID) bool {
	return !u[[2]string{owner.String(), other.String()}]
}

// The wishes of both sides are asked about the other one, by the address each knows.
func TestPath_wishes(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{archive.Migrations()}); err != nil {
			t.Fatal(err)
		}
		w := startWith(t, db, session.DefaultLimits, func(_ *world, c *Config) {
			c.Wishes = unseen{{"bob@x.test", "alice@x.test/desk"}: true, {"alice@x.test", "carol@x.test/pda"}: true}
		})
		alice, bob := w.bind("alice@x.test/desk"), w.bind("bob@x.test/pda")
		_ = bob
		for _, to := range []string{"bob@x.test/pda", "carol@x.test/pda", "carol@x.test"} {
			if err := alice.in.Stanza(t.Context(), scanRaw(t, `<message to='`+to+`' type='chat'><body>for `+to+`</body></message>`)); err != nil {
				t.Fatal(err)
			}
		}
		if err := alice.in.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for who, want := range map[string]int{"alice@x.test": 2, "bob@x.test": 0, "carol@x.test": 2} {
			p, err := w.arch.Read(t.Context(), archive.Query{Owner: jid.MustParse(who), Max: 10})
			if err != nil || len(p.Messages) != want {
				t.Errorf("%s sees %d, want %d (%v)", who, len(p.Messages), want, err)
			}
		}
	})
}

// A private message of a room is an occupant's to both; the room's own archive is nobody's wish.
func TestPath_wishesOfPrivateMessages(t *testing.T) {
	alice, bob, al := jid.MustParse("alice@x.test/desk"), jid.MustParse("bob@x.test"), jid.MustParse("cave@rooms.x.test/Al")
	views := func() []archive.View {
		return []archive.View{{Owner: alice.Bare(), Flags: archive.Shown}, {Owner: bob, Flags: archive.Shown}}
	}
	p := &Path{cfg: Config{Wishes: unseen{{"bob@x.test", "cave@rooms.x.test/Al"}: true}}}
	m := &room.Message{Out: &stanza.Stanza{Kind: stanza.Message, Type: stanza.Chat, From: al}, Sender: alice,
		Recipient: jid.MustParse("cave@rooms.x.test/Bob"), Views: views()}
	if p.wishes(m); !slices.Equal(m.Views, views()[:1]) {
		t.Errorf("views %v", m.Views)
	}
	p.cfg.Wishes = unseen{{"alice@x.test", "cave@rooms.x.test/Bob"}: true}
	m.Views = views()
	if p.wishes(m); !slices.Equal(m.Views, views()[1:]) {
		t.Errorf("views %v", m.Views)
	}
	m.Out.Type = stanza.Groupchat
	m.Views = views()
	if p.wishes(m); len(m.Views) != 2 {
		t.Errorf("what was said to all: %v", m.Views)
	}
}
