package room

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// XEP-0433 §4.2, and what may not be found: rooms that are hidden.
func TestSearch_table(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		me := f.bind("me@x.test/1")
		for name, c := range map[string]Config{
			"cave": {Name: "A Dark Cave", Description: "for witches", Persistent: true}, "heath": {Name: "The Heath", NonAnonymous: true, Persistent: true},
			"hidden": {Name: "Secret Cave", Hidden: true, Persistent: true}, "locked": {Name: "Members", MembersOnly: true, Persistent: true},
		} {
			at := jid.MustParse(name + "@rooms.x.test")
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				return writeRoom(tx, at, &stored{config: c, grants: map[jid.JID]grant{jid.MustParse("o@x.test"): {affiliation: Owner}}})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		err := f.rs.Presence(t.Context(), me, read(t, me.JID(), "<presence to='heath@rooms.x.test/me'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct{ fields, set, want string }{
			{"q=cave", "", "cave"},
			{"q=witches", "", "cave"},
			{"q=witches sindescription=0", "", ""},
			{"all=1", "", "heath cave locked"},
			{"all=1 key=" + byAddress, "", "cave heath locked"},
			{"all=1 key=" + byAddress, "<max>1</max><after>cave@rooms.x.test</after>", "heath"},
			{"all=1 min_users=1", "", "heath"},
			{"all=1 types=xep-0369", "", ""},
			{"q=secret", "", ""},
			{"q=cave all=1", "", "!bad-request"},
			{"q=x", "", "!bad-request"},
			{"q=cave key=luck", "", "!feature-not-implemented"},
		} {
			doc := "<search xmlns='" + spaceSearch + "'><set xmlns='http://jabber.org/protocol/rsm'>" + tt.set + "</set><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" + formSearch + "</value></field>"
			for fd := range strings.FieldsSeq(tt.fields) {
				k, v, _ := strings.Cut(fd, "=")
				doc += "<field var='" + k + "'><value>" + v + "</value></field>"
			}
			out, got := f.ask(me, "rooms.x.test", string(stanza.Get), doc+"</x></search>")
			if got == "ok" {
				var all []string
				for _, it := range out.Children {
					if it.Local == "item" {
						all = append(all, jid.MustParse(it.Attr("address")).Local())
					}
				}
				got = strings.Join(all, " ")
			} else {
				got = "!" + got
			}
			if got != tt.want {
				t.Errorf("%s %s: %q, want %q", tt.fields, tt.set, got, tt.want)
			}
		}
		if out, got := f.ask(me, "rooms.x.test", "get", "<search xmlns='"+spaceSearch+"'/>"); got != "ok" || out.Children[0].Attr("type") != "form" {
			t.Errorf("the form: %s %v", got, out)
		}
	})
}
