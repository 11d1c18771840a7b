package vcard

import (
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
	scope := im.ToAccount
	if from.Bare() == to {
		scope = im.ToSelf
	}
	p, err := elem.Parse([]byte(card))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Feature(db, nil).IQ {
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
