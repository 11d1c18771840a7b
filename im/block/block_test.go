package block

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
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

var (
	alice = jid.MustParse("alice@acme.test")
	bob   = jid.MustParse("bob@acme.test")
)

// XEP-0191 §6: each kind of entry against each kind of address.
func TestMatches_kindsOfEntries(t *testing.T) {
	addresses := []string{"bob@a.test/x", "bob@a.test/y", "bob@a.test", "eve@a.test/x", "a.test/x", "a.test/y", "a.test",
		"bob@sub.a.test/x", "sub.a.test", "bob@ba.test", "bob@test"}
	for _, c := range []struct {
		entry   string
		matches []string
	}{
		{"bob@a.test/x", []string{"bob@a.test/x"}},
		{"bob@a.test", []string{"bob@a.test/x", "bob@a.test/y", "bob@a.test"}},
		{"a.test/x", []string{"a.test/x"}},
		{"a.test", []string{"bob@a.test/x", "bob@a.test/y", "bob@a.test", "eve@a.test/x", "a.test/x", "a.test/y", "a.test"}},
	} {
		l := newList([]jid.JID{jid.MustParse(c.entry)})
		for _, a := range addresses {
			if got, want := l.Matches(jid.MustParse(a)), slices.Contains(c.matches, a); got != want {
				t.Errorf("entry %s, address %s: %v, want %v", c.entry, a, got, want)
			}
		}
	}
	if newList(nil).Matches(bob) {
		t.Error("an empty list blocks")
	}
}

type wire struct{}

func (*wire) Wake()              {}
func (*wire) Kick(*stream.Error) {}

// shown records what presence was asked to do.
type shown struct{ calls []string }

func (s *shown) note(what string, owner jid.JID, who func(jid.JID) bool) {
	var seen []string
	for _, a := range []string{"bob@acme.test/x", "carol@acme.test/y", "z@other.test/q"} {
		if who(jid.MustParse(a)) {
			seen = append(seen, a)
		}
	}
	s.calls = append(s.calls, what+" "+owner.Local()+" "+strings.Join(seen, ","))
}

func (s *shown) Hide(owner jid.JID, who func(jid.JID) bool) { s.note("hide", owner, who) }
func (s *shown) Show(owner jid.JID, who func(jid.JID) bool) { s.note("show", owner, who) }

type fix struct {
	*Store
	t      *testing.T
	db     *store.DB
	routes *route.Table
	shown  shown
}

func run(t *testing.T, limit int, fn func(t *testing.T, f *fix)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		routes := route.NewTable(route.Config{Session: session.DefaultLimits, Now: time.Now})
		fn(t, &fix{t: t, db: db, routes: routes, Store: New(Config{DB: db, Routes: routes, Max: limit})})
	})
}

func (f *fix) bind(full string) (*session.Session, *wire) {
	f.t.Helper()
	w := &wire{}
	s, _, err := f.routes.Bind(jid.MustParse(full), w)
	if err != nil {
		f.t.Fatal(err)
	}
	return s, w
}

// pushed is what a session got, as "block bob@acme.test".
func (f *fix) pushed(s *session.Session, w *wire) []string {
	f.t.Helper()
	var out []string
	for _, fr := range s.Take(w, make([]*session.Frame, 0, 100)) {
		e, err := elem.ParseIn(fr.Bytes, stanza.Space, nil)
		if err != nil || len(e.Children) != 1 || e.Children[0].Space != Space || e.Attr("type") != "set" {
			f.t.Fatalf("not a push: %s (%v)", fr.Bytes, err)
		}
		out = append(out, brief(e.Children[0]))
	}
	s.Wrote(w)
	return out
}

func brief(e *elem.Element) string {
	parts := []string{e.Local}
	for _, c := range e.Children {
		parts = append(parts, c.Attr("jid"))
	}
	return strings.Join(parts, " ")
}

func (f *fix) ask(s *session.Session, typ stanza.Type, payload string) (*elem.Element, error) {
	f.t.Helper()
	e, err := elem.Parse([]byte(payload))
	if err != nil {
		f.t.Fatal(err)
	}
	q := &im.IQ{Type: typ, ID: "1", From: s.JID(), To: s.JID().Bare(), Payload: e, Session: s}
	for _, r := range Feature(f.Store, &f.shown).IQ {
		if r.Type == typ && r.Space == e.Space && r.Local == e.Local {
			return r.Handle(f.t.Context(), q)
		}
	}
	f.t.Fatalf("no handler for %s", payload)
	return nil, nil
}

func (f *fix) must(s *session.Session, typ stanza.Type, payload string) *elem.Element {
	f.t.Helper()
	e, err := f.ask(s, typ, payload)
	if err != nil {
		f.t.Fatalf("%s: %v", payload, err)
	}
	return e
}

func want(t *testing.T, what string, got []string, lines ...string) {
	t.Helper()
	if !slices.Equal(got, lines) {
		t.Errorf("%s:\n got  %q\n want %q", what, got, lines)
	}
}

// XEP-0191 §3, one after the other.
func TestCommands_wholeLife(t *testing.T) {
	run(t, 0, func(t *testing.T, f *fix) {
		a, aw := f.bind("alice@acme.test/a")
		b, bw := f.bind("alice@acme.test/b")
		c, cw := f.bind("alice@acme.test/c") // never asks for the list
		for _, s := range []*session.Session{a, b} {
			if got := brief(f.must(s, stanza.Get, `<blocklist xmlns='urn:xmpp:blocking'/>`)); got != "blocklist" {
				t.Errorf("empty list: %q", got)
			}
		}
		if e := f.must(a, stanza.Set, `<block xmlns='urn:xmpp:blocking'><item jid='Bob@acme.test'/><item jid='other.test'/><item jid='bob@acme.test'/></block>`); e != nil {
			t.Errorf("result of block: %s", e)
		}
		want(t, "push", f.pushed(a, aw), "block bob@acme.test other.test")
		want(t, "push", f.pushed(b, bw), "block bob@acme.test other.test")
		want(t, "hidden from", f.shown.calls, "hide alice bob@acme.test/x,z@other.test/q")
		if !f.Blocked(alice, bob) || f.Blocked(bob, alice) || f.Allows(bob, alice) || f.Allows(alice, bob) {
			t.Error("bob is not blocked, or not one way only")
		}
		f.shown.calls = nil
		f.must(a, stanza.Set, `<block xmlns='urn:xmpp:blocking'><item jid='bob@acme.test'/></block>`)
		want(t, "blocked before", f.shown.calls, "hide alice ")
		f.must(a, stanza.Set, `<unblock xmlns='urn:xmpp:blocking'><item jid='bob@acme.test'/></unblock>`)
		want(t, "shown again to", f.shown.calls[1:], "show alice bob@acme.test/x")
		if got := brief(f.must(a, stanza.Get, `<blocklist xmlns='urn:xmpp:blocking'/>`)); got != "blocklist other.test" {
			t.Errorf("list: %q", got)
		}
		f.must(b, stanza.Set, `<unblock xmlns='urn:xmpp:blocking'/>`)
		want(t, "pushes", f.pushed(b, bw), "block bob@acme.test", "unblock bob@acme.test", "unblock")
		want(t, "nobody asked", f.pushed(c, cw))
		if l, err := f.List(t.Context(), alice); err != nil || len(l) != 0 || f.Blocked(alice, jid.MustParse("z@other.test")) {
			t.Errorf("list %v, %v: want it empty", l, err)
		}
	})
}

func condition(err error) string {
	var se *stanza.Error
	if errors.As(err, &se) {
		return se.Condition
	}
	return fmt.Sprint(err)
}

func TestCommands_errors(t *testing.T) {
	run(t, 2, func(t *testing.T, f *fix) {
		a, aw := f.bind("alice@acme.test/a")
		f.must(a, stanza.Get, `<blocklist xmlns='urn:xmpp:blocking'/>`)
		for _, c := range []struct{ payload, condition string }{
			{`<block xmlns='urn:xmpp:blocking'/>`, "bad-request"},
			{`<block xmlns='urn:xmpp:blocking'><item/></block>`, "bad-request"},
			{`<block xmlns='urn:xmpp:blocking'><item jid='@'/></block>`, "jid-malformed"},
			{`<unblock xmlns='urn:xmpp:blocking'><item jid='@'/></unblock>`, "jid-malformed"},
			{`<block xmlns='urn:xmpp:blocking'><item jid='alice@acme.test/b'/></block>`, "not-acceptable"},
			{`<block xmlns='urn:xmpp:blocking'><item jid='a.test'/><item jid='b.test'/><item jid='c.test'/></block>`, "resource-constraint"},
		} {
			if _, err := f.ask(a, stanza.Set, c.payload); condition(err) != c.condition {
				t.Errorf("%s: %v, want %s", c.payload, err, c.condition)
			}
		}
		f.must(a, stanza.Set, `<block xmlns='urn:xmpp:blocking'><item jid='a.test'/><item jid='b.test'/></block>`)
		if _, err := f.ask(a, stanza.Set, `<block xmlns='urn:xmpp:blocking'><item jid='c.test'/></block>`); condition(err) != "resource-constraint" {
			t.Errorf("one too many: %v", err)
		}
		want(t, "pushes", f.pushed(a, aw), "block a.test b.test")
		if l, _ := f.List(t.Context(), alice); len(l) != 2 || f.Blocked(alice, jid.MustParse("x@c.test")) {
			t.Errorf("list %v: the refused one is in it", l)
		}
	})
}

// XEP-0191 §3.3: what becomes of each kind of stanza.
func TestVerdict_kindsAndWays(t *testing.T) {
	run(t, 0, func(t *testing.T, f *fix) {
		if err := f.Block(t.Context(), alice, []jid.JID{bob, jid.MustParse("acme.test")}, nil); err != nil {
			t.Fatal(err)
		}
		af, bf := jid.MustParse("alice@acme.test/a"), jid.MustParse("bob@acme.test/b")
		for _, c := range []struct {
			from, to jid.JID
			kind     stanza.Kind
			typ      stanza.Type
			want     string // condition, "drop" or "" for pass
		}{
			{bf, alice, stanza.Message, stanza.Chat, "service-unavailable"},
			{bf, af, stanza.Message, stanza.Normal, "service-unavailable"},
			{bf, af, stanza.Message, stanza.Error_, "drop"},
			{bf, af, stanza.IQ, stanza.Get, "service-unavailable"},
			{bf, af, stanza.IQ, stanza.Set, "service-unavailable"},
			{bf, af, stanza.IQ, stanza.Result, "drop"},
			{bf, af, stanza.IQ, stanza.Error_, "drop"},
			{bf, alice, stanza.Presence, stanza.Available, "drop"},
			{bf, alice, stanza.Presence, stanza.Unavailable, "drop"},
			{bf, alice, stanza.Presence, stanza.Probe, "drop"},
			{bf, alice, stanza.Presence, stanza.Subscribe, ""}, // im/presence: bob's own side changes
			{af, bob, stanza.Message, stanza.Chat, "not-acceptable"},
			{af, bf, stanza.IQ, stanza.Get, "not-acceptable"},
			{af, bf, stanza.IQ, stanza.Result, "drop"},
			{af, bob, stanza.Presence, stanza.Available, "not-acceptable"},
			{af, bob, stanza.Presence, stanza.Subscribe, "not-acceptable"},
			{af, bob, stanza.Presence, stanza.Error_, "drop"},
			// The own account and the own server are never blocked.
			{af, alice, stanza.Message, stanza.Chat, ""},
			{af, jid.MustParse("acme.test"), stanza.IQ, stanza.Get, ""},
			{af, jid.JID{}, stanza.Presence, stanza.Available, ""},
			// Others are as before.
			{bf, jid.MustParse("carol@acme.test"), stanza.Message, stanza.Chat, ""},
		} {
			refuse, drop := f.Verdict(c.from, c.to, c.kind, c.typ)
			got := ""
			switch {
			case refuse != nil && drop:
				got = "both"
			case refuse != nil:
				got = refuse.Condition
			case drop:
				got = "drop"
			}
			if got != c.want {
				t.Errorf("%s %s from %s to %s: %q, want %q", c.kind, c.typ, c.from, c.to, got, c.want)
			}
			if got == "not-acceptable" {
				if x := refuse.Element(); refuse.Type != "cancel" || x.Child("urn:xmpp:blocking:errors", "blocked") == nil {
					t.Errorf("error without <blocked/>: %s", x)
				}
			}
		}
	})
}

// A list that can't be read blocks: the stage fails closed.
func TestVerdict_failsClosed(t *testing.T) {
	db := storetest.SQLite(t)
	s := New(Config{DB: db}) // no tables
	from := jid.MustParse("bob@acme.test/b")
	if refuse, _ := s.Verdict(from, alice, stanza.Message, stanza.Chat); refuse == nil || !refuse.Temporary() {
		t.Errorf("message: %v, want a temporary refusal", refuse)
	}
	if refuse, drop := s.Verdict(from, alice, stanza.Presence, stanza.Available); refuse != nil || !drop {
		t.Errorf("presence: %v, %v, want it dropped", refuse, drop)
	}
	if !s.Blocked(alice, bob) {
		t.Error("Blocked says no without knowing")
	}
}

func TestForget_leavesNothing(t *testing.T) {
	run(t, 0, func(t *testing.T, f *fix) {
		if err := f.Block(t.Context(), alice, []jid.JID{bob}, nil); err != nil {
			t.Fatal(err)
		}
		if err := f.db.Write(t.Context(), func(tx *store.Tx) error { return f.Forget(tx, alice) }); err != nil {
			t.Fatal(err)
		}
		f.Drop(alice)
		if f.Blocked(alice, bob) {
			t.Error("still blocked")
		}
		if err := f.Load(context.Background(), alice); err != nil {
			t.Error(err)
		}
	})
}

func TestBlocked_noAllocation(t *testing.T) {
	db := storetest.SQLite(t)
	if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
		t.Fatal(err)
	}
	s := New(Config{DB: db})
	from := jid.MustParse("bob@acme.test/b")
	if n := testing.AllocsPerRun(100, func() { s.Verdict(from, alice, stanza.Message, stanza.Chat) }); n != 0 {
		t.Errorf("%v allocations per verdict, want none", n)
	}
}
