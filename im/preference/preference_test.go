package preference

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var alice = jid.MustParse("alice@x.test")

func open(t *testing.T, db *store.DB) (*Store, *roster.Store) {
	t.Helper()
	if err := db.Migrate(t.Context(), []store.Migrations{Migrations(), roster.Migrations()}); err != nil {
		t.Fatal(err)
	}
	rosters := roster.New(roster.Config{DB: db})
	s, err := Open(t.Context(), db, rosters, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s, rosters
}

func ask(t *testing.T, s *Store, typ stanza.Type, payload string) (string, error) {
	t.Helper()
	e, err := elem.Parse([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Feature(s).IQ {
		if r.Type == typ && r.Space == e.Space && r.Local == e.Local {
			out, err := r.Handle(t.Context(), &im.IQ{Type: typ, From: jid.MustParse("alice@x.test/phone"), Payload: e})
			if err != nil {
				return "", err
			}
			return strings.ReplaceAll(string(out.AppendTo(nil, "")), `'`, `"`), nil
		}
	}
	t.Fatal("no handler")
	return "", nil
}

func prefs(attr, inner string) string {
	return `<prefs xmlns="urn:xmpp:mam:2"` + attr + `>` + inner + `</prefs>`
}

func jids(name string, all ...string) string {
	out := "<" + name
	if len(all) == 0 {
		return out + "/>"
	}
	out += ">"
	for _, j := range all {
		out += "<jid>" + j + "</jid>"
	}
	return out + "</" + name + ">"
}

// XEP-0441 §2.1: what was set is answered, is there after a restart, and goes with the account.
func TestPreferences_getAndSet(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		s, rosters := open(t, db)
		get := prefs("", "")
		step := func(typ stanza.Type, payload, want string) {
			t.Helper()
			if got, err := ask(t, s, typ, payload); got != want || err != nil {
				t.Errorf("got %s, %v\nwant %s", got, err, want)
			}
		}
		step(stanza.Get, get, prefs(` default="always"`, jids("always")+jids("never")))
		given := prefs(` default="roster"`, jids("always", "Bob@X.test", "bob@x.test", "carol@y.test/a b")+jids("never", "y.test"))
		holds := prefs(` default="roster"`, jids("always", "bob@x.test", "carol@y.test/a b")+jids("never", "y.test"))
		step(stanza.Set, given, holds)
		step(stanza.Get, get, holds)
		var err error
		if s, err = Open(t.Context(), db, rosters, s.log); err != nil {
			t.Fatal(err)
		}
		step(stanza.Get, get, holds)
		step(stanza.Set, prefs(` default="never"`, ""), prefs(` default="never"`, jids("always")+jids("never")))
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return s.Forget(tx, alice) }); err != nil {
			t.Fatal(err)
		}
		s.Drop(alice)
		step(stanza.Get, get, prefs(` default="always"`, jids("always")+jids("never")))
		if s, err = Open(t.Context(), db, rosters, s.log); err != nil || len(s.all) != 0 {
			t.Errorf("after removal %d, %v", len(s.all), err)
		}
		step(stanza.Set, given, holds)
		step(stanza.Set, prefs(` default="always"`, ""), prefs(` default="always"`, jids("always")+jids("never")))
		if s, err = Open(t.Context(), db, rosters, s.log); err != nil || len(s.all) != 0 {
			t.Errorf("what everybody has is kept: %d, %v", len(s.all), err)
		}
	})
}

func TestPreferences_malformed(t *testing.T) {
	db := storetest.SQLite(t)
	s, _ := open(t, db)
	many := make([]string, maxListed+1)
	for i := range many {
		many[i] = fmt.Sprintf("u%d@x.test", i)
	}
	for payload, want := range map[string]string{
		prefs("", ""):                                   "bad-request",
		prefs(` default=""`, ""):                        "bad-request",
		prefs(` default="sometimes"`, ""):               "bad-request",
		prefs(` default="never"`, jids("always", "@x")): "jid-malformed",
		prefs(` default="never"`, jids("always", "")):   "jid-malformed",
		prefs(` default="never"`, jids("always", "a@x.test")+jids("never", "A@X.test")):   "bad-request",
		prefs(` default="never"`, jids("never", many...)):                                 "resource-constraint",
		prefs(` default="always"`, jids("always", "a'; DROP TABLE record;--@x.test")):     "jid-malformed",
		prefs(` default="always"`, jids("never", strings.Repeat("a", 2000)+"@x.test")):    "jid-malformed",
		prefs(` default="always' OR '1'='1"`, jids("never", "a@x.test", "b@x.test", "c")): "bad-request",
	} {
		_, err := ask(t, s, stanza.Set, payload)
		var se *stanza.Error
		if !errors.As(err, &se) || se.Condition != want {
			t.Errorf("%.80s: %v, want %s", payload, err, want)
		}
	}
	if p := s.Of(alice); p.Default != Always || len(p.Never)+len(p.Always) > 0 {
		t.Errorf("something was set: %+v", p)
	}
}

// XEP-0441 §2.3: how addresses match.
func TestShows_table(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		s, rosters := open(t, db)
		friend := jid.MustParse("friend@x.test")
		if err := rosters.Set(t.Context(), alice, friend, "", nil); err != nil {
			t.Fatal(err)
		}
		list := func(all ...string) (out []jid.JID) {
			for _, a := range all {
				out = append(out, jid.MustParse(a))
			}
			return out
		}
		for _, tt := range []struct {
			p     Preferences
			shows string
			hides string
		}{
			{Preferences{Default: Always}, "friend@x.test eve@y.test/z y.test", ""},
			{Preferences{Default: Never}, "", "friend@x.test eve@y.test/z y.test"},
			{Preferences{Default: Roster}, "friend@x.test friend@x.test/any", "eve@y.test x.test"},
			{Preferences{Default: Roster, Always: list("eve@y.test"), Never: list("friend@x.test/work")}, "friend@x.test friend@x.test/home eve@y.test/z", "friend@x.test/work"},
			{Preferences{Default: Always, Never: list("eve@y.test")}, "friend@x.test y.test eve@y.test.z", "eve@y.test eve@y.test/z"},
			{Preferences{Default: Never, Always: list("eve@y.test/z")}, "eve@y.test/z", "eve@y.test eve@y.test/other"},
			{Preferences{Default: Always, Always: list("eve@y.test/z"), Never: list("eve@y.test")}, "eve@y.test/z", "eve@y.test eve@y.test/a"},
			{Preferences{Default: Always, Never: list("y.test")}, "eve@y.test", "y.test y.test/z"},
		} {
			if err := s.Set(t.Context(), alice, tt.p); err != nil {
				t.Fatal(err)
			}
			for _, a := range strings.Fields(tt.shows) {
				if !s.Shows(alice, jid.MustParse(a)) {
					t.Errorf("%+v: %s is hidden", tt.p, a)
				}
			}
			for _, a := range strings.Fields(tt.hides) {
				if s.Shows(alice, jid.MustParse(a)) {
					t.Errorf("%+v: %s is shown", tt.p, a)
				}
			}
			if !s.Shows(friend, alice) {
				t.Error("of somebody else")
			}
		}
	})
}

type noRosters struct{}

func (noRosters) Peek(jid.JID) *roster.Relations { return nil }
func (noRosters) Relations(context.Context, jid.JID) (*roster.Relations, error) {
	return nil, errors.New("the disk is gone")
}

// What is hidden by mistake would be missed.
func TestShows_withoutARoster(t *testing.T) {
	s, _ := open(t, storetest.SQLite(t))
	s.rosters = noRosters{}
	if err := s.Set(t.Context(), alice, Preferences{Default: Roster}); err != nil {
		t.Fatal(err)
	}
	if !s.Shows(alice, jid.MustParse("bob@x.test")) {
		t.Error("hidden")
	}
}
