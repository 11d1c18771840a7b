package vcard

import (
	"context"
	"errors"
	"testing"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	alice = jid.MustParse("alice@x.test/1")
	bob   = jid.MustParse("bob@x.test/1")
)

func ask(t *testing.T, db *store.DB, typ stanza.Type, from, to jid.JID, card string) (*elem.Element, error) {
	t.Helper()
	return askWith(t, db, nil, typ, from, to, card)
}

func askWith(t *testing.T, db *store.DB, photos Photos, typ stanza.Type, from, to jid.JID, card string) (*elem.Element, error) {
	t.Helper()
	scope := im.ToAccount
	if from.Bare() == to {
		scope = im.ToSelf
	}
	p, err := elem.Parse([]byte(card))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Feature(db, photos).IQ {
		if r.Scope&scope != 0 && r.Type == typ && r.Space == p.Space && r.Local == p.Local {
			return r.Handle(t.Context(), &im.IQ{Type: typ, From: from, To: to, Payload: p, Raw: []byte(card)})
		}
	}
	t.Fatal("nobody answers")
	return nil, nil
}

const empty = `<vCard xmlns='vcard-temp'/>`

func TestVCard_ownAndForeign(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		wants := func(name, condition string, err error) {
			t.Helper()
			var se *stanza.Error
			if !errors.As(err, &se) || se.Condition != condition {
				t.Errorf("%s: %v, want %s", name, err, condition)
			}
		}
		// XEP-0054 §3.1: without a card the owner gets an empty one, others an error (§3.3).
		if out, err := ask(t, db, stanza.Get, alice, alice.Bare(), empty); err != nil || len(out.Children) != 0 || out.Local != "vCard" {
			t.Errorf("no card yet: %v %v", out, err)
		}
		_, err := ask(t, db, stanza.Get, bob, alice.Bare(), empty)
		wants("another's, not there", "service-unavailable", err)
		// XEP-0054 §3.2: only the owner writes.
		_, err = ask(t, db, stanza.Set, bob, alice.Bare(), `<vCard xmlns='vcard-temp'><FN>Mallory</FN></vCard>`)
		wants("writing another's", "forbidden", err)
		for _, fn := range []string{"Alice", "Alice 'A&amp;\" \U0001F600 \\x27); DROP TABLE vcard;--"} {
			card := `<vCard xmlns='vcard-temp'><FN>` + fn + `</FN><x:y xmlns:x='u:x' x:z='1'/></vCard>`
			if out, err := ask(t, db, stanza.Set, alice, alice.Bare(), card); err != nil || out != nil {
				t.Fatalf("set: %v %v", out, err)
			}
			want, _ := elem.Parse([]byte(card))
			for _, who := range []jid.JID{alice, bob} {
				out, err := ask(t, db, stanza.Get, who, alice.Bare(), empty)
				if err != nil {
					t.Fatal(err)
				}
				if got := string(out.AppendTo(nil, "")); got != string(want.AppendTo(nil, "")) {
					t.Errorf("%s reads %s", who, got)
				}
			}
		}
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return Forget(tx, alice.Bare()) }); err != nil {
			t.Fatal(err)
		}
		_, err = ask(t, db, stanza.Get, bob, alice.Bare(), empty)
		wants("of a removed account", "service-unavailable", err)
	})
}

func TestVCard_storeFails(t *testing.T) {
	db := storetest.SQLite(t) // without its table
	for _, typ := range []stanza.Type{stanza.Get, stanza.Set} {
		_, err := ask(t, db, typ, alice, alice.Bare(), empty)
		var se *stanza.Error
		if err == nil || errors.As(err, &se) {
			t.Errorf("%s: %v; want an unexpected error, whose details stay in the log", typ, err)
		}
	}
}

// album keeps one picture, which only its owner and bob see.
type album struct{ data string }

func (a *album) Photo(_ context.Context, owner, asker jid.JID) (string, string, error) {
	if asker.Bare() != owner && asker.Bare() != bob.Bare() || a.data == "" {
		return "", "", nil
	}
	return "image/png", a.data, nil
}

func (a *album) SetPhoto(_ context.Context, _, _ jid.JID, data string) (bool, error) {
	if data == "bad" {
		return false, nil
	}
	a.data = data
	return true, nil
}

// XEP-0398 §3: the picture is kept elsewhere, and shown to whoever may see it.
func TestVCard_photos(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		a := &album{}
		carol := jid.MustParse("carol@x.test/1")
		set := func(card string) {
			t.Helper()
			if _, err := askWith(t, db, a, stanza.Set, alice, alice.Bare(), card); err != nil {
				t.Fatal(err)
			}
		}
		get := func(who jid.JID) string {
			t.Helper()
			e, err := askWith(t, db, a, stanza.Get, who, alice.Bare(), empty)
			if err != nil {
				return err.Error()
			}
			return e.String()
		}
		const photo = `<PHOTO><TYPE>image/png</TYPE><BINVAL>AAAA</BINVAL></PHOTO>`
		set(`<vCard xmlns='vcard-temp'>` + photo + `<FN>Alice</FN></vCard>`)
		for who, want := range map[jid.JID]string{alice: `<FN>Alice</FN>` + photo, bob: `<FN>Alice</FN>` + photo, carol: `<FN>Alice</FN>`} {
			if got := get(who); got != `<vCard xmlns='vcard-temp'>`+want+`</vCard>` {
				t.Errorf("%s: %s", who, got)
			}
		}
		set(`<vCard xmlns='vcard-temp'><PHOTO><BINVAL>bad</BINVAL></PHOTO></vCard>`) // no picture: as it was written
		if got := get(carol); got != `<vCard xmlns='vcard-temp'><PHOTO><BINVAL>bad</BINVAL></PHOTO></vCard>` {
			t.Errorf("%s", got)
		}
		set(`<vCard xmlns='vcard-temp'><FN>Alice</FN></vCard>`)
		if got := get(bob); a.data != "" || got != `<vCard xmlns='vcard-temp'><FN>Alice</FN></vCard>` {
			t.Errorf("taken away: %q %s", a.data, got)
		}
	})
}

func TestCards_ofOneDomain(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{"alice@x.test", "bob@x.test", "bob@y.test", "carol@x.test", "dora@sub.x.test"} {
			if err := SetCard(t.Context(), db, jid.MustParse(who), elem.New(space, "vCard")); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Cards(t.Context(), db, "x.test", jid.MustParse("b@x.test"), jid.MustParse("z@x.test"))
		if err != nil || len(got) != 2 || got["bob@x.test"] == nil || got["carol@x.test"] == nil {
			t.Errorf("%v %v", got, err)
		}
	})
}
