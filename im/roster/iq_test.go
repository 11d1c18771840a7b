package roster

import (
	"errors"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func TestRosterGet_versions(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		s, w := f.bind("alice@acme.test/a")
		s.Switch(func(fl *session.Flags) { fl.Interested = false })
		if err := f.Befriend(t.Context(), alice, bob, "Alice", "Bob", "Friends", "Work & <more>"); err != nil {
			t.Fatal(err)
		}
		want(t, "nothing before the roster was asked for (RFC 6121 §2.1.6)", f.pushes(s, w))

		res, err := f.ask(s, stanza.Get, `<query xmlns='jabber:iq:roster'/>`)
		if err != nil || len(res.Children) != 1 || line(res.Children[0]) != "bob both Bob #Friends #Work & <more>" {
			t.Fatalf("%v, %v", res, err)
		}
		if _, has := res.Lookup("ver"); has {
			t.Error("ver for a client that does not know it (RFC 6121 §2.6.2)")
		}
		if !s.Flags().Interested {
			t.Error("not an interested resource (RFC 6121 §2.2)")
		}

		res, err = f.ask(s, stanza.Get, `<query xmlns='jabber:iq:roster' ver=''/>`)
		if err != nil || res == nil || len(res.Children) != 1 || res.Attr("ver") == "" {
			t.Fatalf("%v, %v: want the whole roster with its version", res, err)
		}
		same := `<query xmlns='jabber:iq:roster' ver='` + res.Attr("ver") + `'/>`
		if res, err := f.ask(s, stanza.Get, same); err != nil || res != nil {
			t.Errorf("%v, %v: want an empty result (RFC 6121 §2.6.3)", res, err)
		}
		f.apply(stanza.Subscribe, carol, alice)
		if res, err := f.ask(s, stanza.Get, same); err != nil || res != nil {
			t.Errorf("%v, %v: a request received does not change the roster", res, err)
		}
		if _, err := f.ask(s, stanza.Set, `<query xmlns='jabber:iq:roster'><item jid='bob@acme.test' name='Robert'/></query>`); err != nil {
			t.Fatal(err)
		}
		want(t, "push", f.pushes(s, w), "bob both Robert")
		if res, err := f.ask(s, stanza.Get, same); err != nil || res == nil || len(res.Children) != 1 {
			t.Errorf("%v, %v: want the whole roster", res, err)
		}
	})
}

// An empty roster has a version too, and only a change gives it another.
func TestRosterGet_emptyRosterVersion(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		s, _ := f.bind("alice@acme.test/a")
		res, err := f.ask(s, stanza.Get, `<query xmlns='jabber:iq:roster' ver=''/>`)
		if err != nil || res == nil {
			t.Fatal(res, err)
		}
		if res, err := f.ask(s, stanza.Get, `<query xmlns='jabber:iq:roster' ver='`+res.Attr("ver")+`'/>`); err != nil || res != nil {
			t.Errorf("%v, %v: want an empty result", res, err)
		}
	})
}

// RFC 6121 §2.3: what a set makes of an item, and what it ignores.
func TestRosterSet_addsAndUpdates(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, f *fix) {
		s, w := f.bind("alice@acme.test/a")
		other, ow := f.bind("alice@acme.test/b")
		quiet, qw := f.bind("alice@acme.test/c")
		quiet.Switch(func(fl *session.Flags) { fl.Interested = false })
		for _, step := range []struct{ set, push string }{
			{`<item jid='Bob@acme.test/phone' name='Bob' subscription='both' ask='subscribe' approved='true'><group>A</group></item>`, "bob none Bob #A"},
			{`<item jid='bob@acme.test'><group>B</group><group>C</group></item>`, "bob none #B #C"},
			{`<item jid='bob@acme.test' subscription='remove'/>`, "bob remove"},
		} {
			res, err := f.ask(s, stanza.Set, `<query xmlns='jabber:iq:roster'>`+step.set+`</query>`)
			if err != nil || res != nil {
				t.Fatalf("%s: %v, %v", step.set, res, err)
			}
			want(t, step.set, f.pushes(s, w), step.push)
			want(t, step.set, f.pushes(other, ow), step.push)
			want(t, "not interested", f.pushes(quiet, qw))
		}
	})
}

func TestRosterSet_errors(t *testing.T) {
	long := strings.Repeat("x", 1024)
	run(t, Limits{}, func(t *testing.T, f *fix) {
		s, w := f.bind("alice@acme.test/a")
		for _, c := range []struct{ items, condition string }{ // RFC 6121 §2.3.3, §2.5.3
			{``, "bad-request"},
			{`<item jid='b@acme.test'/><item jid='c@acme.test'/>`, "bad-request"},
			{`<item name='x'/>`, "bad-request"},
			{`<item jid='@'/>`, "jid-malformed"},
			{`<item jid=''/>`, "jid-malformed"},
			{`<item jid='b@acme.test' name='` + long + `'/>`, "not-acceptable"},
			{`<item jid='b@acme.test'><group/></item>`, "not-acceptable"},
			{`<item jid='b@acme.test'><group>` + long + `</group></item>`, "not-acceptable"},
			{`<item jid='b@acme.test'><group>a</group><group>a</group></item>`, "bad-request"},
			{`<item jid='b@acme.test'>` + strings.Repeat("<group>a</group>", 65) + `</item>`, "not-acceptable"},
			{`<item jid='alice@acme.test'/>`, "not-allowed"},
			{`<item jid='nobody@acme.test' subscription='remove'/>`, "item-not-found"},
		} {
			_, err := f.ask(s, stanza.Set, `<query xmlns='jabber:iq:roster'>`+c.items+`</query>`)
			if got := condition(err); got != c.condition {
				t.Errorf("%.60s: %q, want %q", c.items, got, c.condition)
			}
		}
		want(t, "pushes", f.pushes(s, w))
		exact := strings.Repeat("x", 1023)
		if _, err := f.ask(s, stanza.Set, `<query xmlns='jabber:iq:roster'><item jid='b@acme.test' name='`+exact+`'><group>`+exact+`</group></item></query>`); err != nil {
			t.Errorf("at the limit: %v", err)
		}
	})
}

// RFC 6121 §2.3.3: somebody else's roster is changed by nobody.
func TestRosterSet_ofSomebodyElse(t *testing.T) {
	for _, r := range Feature(nil, nil).IQ {
		if r.Scope != im.ToAccount || r.Type != stanza.Set || r.Space != Space {
			continue
		}
		_, err := r.Handle(t.Context(), &im.IQ{})
		var se *stanza.Error
		if !errors.As(err, &se) || se.Condition != "forbidden" {
			t.Errorf("answered by %v", err)
		}
		return
	}
	t.Error("nobody answers")
}
