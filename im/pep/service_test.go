package pep

import (
	"context"
	"testing"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// XEP-0060 §8.1 at a domain's address: whom the operator lets makes nodes and owns
// them, others read and do not manage; people of another domain make none.
func TestService_atADomain(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	f := Service(w.Flow, func(j jid.JID) bool { return j != who("guest") })
	ask := func(from jid.JID, typ stanza.Type, payload string) (*elem.Element, string) {
		e, err := elem.Parse([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range f.IQ {
			if r.Scope == im.ToHost && r.Type == typ && r.Space == e.Space && r.Local == e.Local {
				out, err := r.Handle(context.Background(), &im.IQ{Type: typ, ID: "1", From: from, To: jid.MustParse(domain), Payload: e, Raw: []byte(payload)})
				return out, conditions(t, err)
			}
		}
		t.Fatalf("nobody answers %s", payload)
		return nil, ""
	}
	const ps, owner = `<pubsub xmlns='http://jabber.org/protocol/pubsub'>`, `<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>`
	for _, c := range []struct {
		from    jid.JID
		payload string
		ok      bool
	}{
		{who("guest"), ps + `<create node='n'/></pubsub>`, false},
		{jid.MustParse("alice@other.test"), ps + `<create node='n'/></pubsub>`, false},
		{who("alice"), ps + `<create node='n'/></pubsub>`, true},
		{who("bob"), ps + `<publish node='n'><item id='1'/></publish></pubsub>`, false},
		{who("alice"), ps + `<publish node='n'><item id='1'><x xmlns='u:x'/></item></publish></pubsub>`, true},
		{who("bob"), ps + `<subscribe node='n' jid='bob@acme.test'/></pubsub>`, true},
		{who("bob"), owner + `<delete node='n'/></pubsub>`, false},
		{who("bob"), ps + `<publish node='bobs'><item id='1'><x xmlns='u:x'/></item></publish></pubsub>`, true}, // §7.1.4
		{who("alice"), owner + `<delete node='bobs'/></pubsub>`, false},
	} {
		if _, got := ask(c.from, stanza.Set, c.payload); (got == "") != c.ok {
			t.Errorf("%s: %s is answered by %q", c.from, c.payload, got)
		}
	}
	if out, got := ask(who("bob"), stanza.Get, ps+`<items node='n'/></pubsub>`); got != "" || len(out.Child(pubsub.Space, "items").Children) != 1 {
		t.Errorf("bob reads %v %s", out, got)
	}
	out, got := ask(who("alice"), stanza.Get, owner+`<affiliations node='n'/></pubsub>`)
	if list := out.Child(pubsub.OwnerSpace, "affiliations").Children; got != "" || len(list) != 1 || list[0].Attr("jid") != who("alice").String() {
		t.Errorf("who owns it: %v %s", out, got)
	}
}
