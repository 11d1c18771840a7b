package private

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// mount keeps one element in memory.
type mount struct{ e *elem.Element }

func (m *mount) Read(context.Context, jid.JID) (*elem.Element, error) { return m.e, nil }
func (m *mount) Write(_ context.Context, _, _ jid.JID, e *elem.Element) error {
	m.e = e
	return nil
}

func run(t *testing.T, fn func(t *testing.T, ask func(from, to jid.JID, typ stanza.Type, payload string) (string, string), db *store.DB)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		f := Feature(db, map[elem.Name]Mount{{Space: "urn:m", Local: "m"}: &mount{}})
		fn(t, func(from, to jid.JID, typ stanza.Type, payload string) (string, string) {
			t.Helper()
			p, err := elem.Parse([]byte("<query xmlns='jabber:iq:private'>" + payload + "</query>"))
			if err != nil {
				t.Fatal(err)
			}
			scope := im.ToAccount
			if from.Bare() == to {
				scope = im.ToSelf
			}
			for _, r := range f.IQ {
				if r.Scope&scope == 0 || r.Type != "" && r.Type != typ {
					continue
				}
				out, err := r.Handle(t.Context(), &im.IQ{Type: typ, From: from, To: to, Payload: p})
				var se *stanza.Error
				if errors.As(err, &se) {
					return "", se.Condition
				}
				if err != nil {
					t.Fatal(err)
				}
				if out == nil {
					return "", ""
				}
				return strings.TrimSuffix(strings.TrimPrefix(out.String(), "<query xmlns='jabber:iq:private'>"), "</query>"), ""
			}
			t.Fatal("nobody answers")
			return "", ""
		}, db)
	})
}

// XEP-0049 §2: kept per name and owner; read back as written.
func TestPrivate_setGet(t *testing.T) {
	run(t, func(t *testing.T, ask func(from, to jid.JID, typ stanza.Type, payload string) (string, string), db *store.DB) {
		a, b := alice.Bare(), bob.Bare()
		for _, c := range []struct {
			from, to      jid.JID
			typ           stanza.Type
			payload, want string
			condition     string
		}{
			{alice, a, stanza.Get, "<p xmlns='urn:p'/>", "<p xmlns='urn:p'/>", ""},
			{alice, a, stanza.Set, "<p xmlns='urn:p'><n>&lt;1</n></p><q xmlns='urn:p'/>", "", ""},
			{alice, a, stanza.Get, "<p xmlns='urn:p'/>", "<p xmlns='urn:p'><n>&lt;1</n></p>", ""},
			{alice, a, stanza.Get, "<p xmlns='urn:other'/>", "<p xmlns='urn:other'/>", ""},
			{bob, b, stanza.Get, "<p xmlns='urn:p'/>", "<p xmlns='urn:p'/>", ""},
			{bob, a, stanza.Get, "<p xmlns='urn:p'/>", "", "forbidden"},
			{bob, a, stanza.Set, "<p xmlns='urn:p'/>", "", "forbidden"},
			{alice, a, stanza.Get, "", "", "not-acceptable"},
			{alice, a, stanza.Get, "<p xmlns='urn:p'/><q xmlns='urn:p'/>", "", "not-acceptable"},
			{alice, a, stanza.Set, "", "", "not-acceptable"},
			{alice, a, stanza.Set, "<p/>", "", "not-acceptable"},
			{alice, a, stanza.Set, "<vCard xmlns='vcard-temp'/>", "", "not-acceptable"},
			{alice, a, stanza.Set, "<p xmlns='urn:big'>" + strings.Repeat("x", maxBytes) + "</p>", "", "not-acceptable"},
			{alice, a, stanza.Get, "<m xmlns='urn:m'/>", "<m xmlns='urn:m'/>", ""},
			{alice, a, stanza.Set, "<m xmlns='urn:m'>1</m><p xmlns='urn:p'>2</p>", "", ""},
			{alice, a, stanza.Get, "<m xmlns='urn:m'/>", "<m xmlns='urn:m'>1</m>", ""},
			{alice, a, stanza.Get, "<p xmlns='urn:p'/>", "<p xmlns='urn:p'>2</p>", ""},
		} {
			got, condition := ask(c.from, c.to, c.typ, c.payload)
			if got != c.want || condition != c.condition {
				t.Errorf("%s %.60s: %q %q, want %q %q", c.typ, c.payload, got, condition, c.want, c.condition)
			}
		}
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return Forget(tx, a) }); err != nil {
			t.Fatal(err)
		}
		if got, _ := ask(alice, a, stanza.Get, "<p xmlns='urn:p'/>"); got != "<p xmlns='urn:p'/>" {
			t.Errorf("forgotten: %q", got)
		}
	})
}

func TestPrivate_tooMany(t *testing.T) {
	run(t, func(t *testing.T, ask func(from, to jid.JID, typ stanza.Type, payload string) (string, string), _ *store.DB) {
		for from := 0; from < maxElements; from += 50 {
			var b strings.Builder
			for i := range 50 {
				fmt.Fprintf(&b, "<p xmlns='urn:%d'/>", from+i)
			}
			if _, c := ask(alice, alice.Bare(), stanza.Set, b.String()); c != "" {
				t.Fatal(c)
			}
		}
		if _, c := ask(alice, alice.Bare(), stanza.Set, "<one xmlns='urn:more'/>"); c != "resource-constraint" {
			t.Error(c)
		}
		if _, c := ask(alice, alice.Bare(), stanza.Set, "<p xmlns='urn:1'>again</p>"); c != "" {
			t.Error(c)
		}
	})
}
