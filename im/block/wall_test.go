package block

import (
	"testing"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// XEP-0133 §4.11, §4.12: who passes with which lists, before and after they are read again.
func TestWall_table(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		local := func(d string) bool { return d == "acme.test" }
		for _, c := range []struct {
			black, white []string
			from, to     string
			kind         stanza.Kind
			typ          stanza.Type
			refuse, drop bool
		}{
			{nil, nil, "a@acme.test/x", "b@acme.test", stanza.Message, stanza.Chat, false, false},
			{[]string{"b@acme.test"}, nil, "a@acme.test/x", "b@acme.test", stanza.Message, stanza.Chat, true, false},
			{[]string{"b@acme.test"}, nil, "b@acme.test/x", "a@acme.test", stanza.IQ, stanza.Get, true, false},
			{[]string{"b@acme.test"}, nil, "b@acme.test/x", "a@acme.test", stanza.IQ, stanza.Result, false, true},
			{[]string{"b@acme.test"}, nil, "b@acme.test/x", "a@acme.test", stanza.Message, stanza.Error_, false, true},
			{[]string{"b@acme.test"}, nil, "b@acme.test/x", "a@acme.test", stanza.Presence, stanza.Subscribe, false, true},
			{[]string{"b@acme.test"}, nil, "b@acme.test/x", "b@acme.test", stanza.IQ, stanza.Get, false, false},
			{[]string{"b@acme.test"}, nil, "b@acme.test/x", "acme.test", stanza.IQ, stanza.Get, false, false},
			{[]string{"b@acme.test"}, nil, "acme.test", "b@acme.test", stanza.Message, stanza.Normal, false, false},
			{[]string{"evil.test"}, nil, "a@acme.test/x", "x@evil.test", stanza.Message, stanza.Chat, true, false},
			{[]string{"evil.test"}, nil, "evil.test", "a@acme.test", stanza.Message, stanza.Chat, true, false},
			{[]string{"evil.test"}, nil, "a@acme.test/x", "x@sub.evil.test", stanza.Message, stanza.Chat, false, false},
			{nil, []string{"friends.test"}, "a@acme.test/x", "b@acme.test", stanza.Message, stanza.Chat, false, false},
			{nil, []string{"friends.test"}, "a@acme.test/x", "x@friends.test", stanza.Message, stanza.Chat, false, false},
			{nil, []string{"friends.test"}, "a@acme.test/x", "x@other.test", stanza.Message, stanza.Chat, true, false},
			{nil, []string{"friends.test"}, "x@other.test/y", "a@acme.test", stanza.Presence, stanza.Available, false, true},
			{[]string{"x@friends.test"}, []string{"friends.test"}, "a@acme.test/x", "x@friends.test", stanza.Message, stanza.Chat, true, false},
		} {
			w, err := OpenWall(t.Context(), db, local)
			if err != nil {
				t.Fatal(err)
			}
			for side, list := range map[Side][]string{Black: c.black, White: c.white} {
				var jids []jid.JID
				for _, j := range list {
					jids = append(jids, jid.MustParse(j))
				}
				if err := w.Set(t.Context(), side, jids); err != nil {
					t.Fatal(err)
				}
			}
			again, err := OpenWall(t.Context(), db, local)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range []*Wall{w, again} {
				refuse, drop := w.Verdict(jid.MustParse(c.from), jid.MustParse(c.to), c.kind, c.typ)
				if (refuse != nil) != c.refuse || drop != c.drop {
					t.Errorf("%+v: refused %v, dropped %v", c, refuse, drop)
				}
			}
		}
	})
}
