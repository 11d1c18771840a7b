package disco

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/parlance-im/parlance/im"
	vocab "github.com/parlance-im/parlance/xmpp/disco"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

var (
	host      = jid.MustParse("x.test")
	alice     = jid.MustParse("alice@x.test/1")
	bob       = jid.MustParse("bob@x.test")
	carol     = jid.MustParse("carol@x.test")
	errBroken = errors.New("errBroken")
)

func fixture() *Disco {
	return New(Config{Name: "Acme",
		Features: []im.Feature{
			{HostFeatures: []string{"u:b", "u:a"}, AccountFeatures: []string{"u:c"}},
			{HostFeatures: []string{"u:a"}, Identities: []im.Identity{{Category: "pubsub", Type: "pep"}}},
		},
		Items: []jid.JID{jid.MustParse("rooms.x.test")},
		Forms: []*form.Form{form.New("result", "http://jabber.org/network/serverinfo").Add("list-multi", "admin-addresses", "", "xmpp:root@x.test")},
		MaySee: func(_ context.Context, owner, asker jid.JID) (bool, error) {
			if owner == host {
				return false, errBroken
			}
			return owner == bob && asker == alice.Bare(), nil
		}})
}

func ask(t *testing.T, d *Disco, space string, scope im.Scope, to jid.JID, node string) (*elem.Element, error) {
	t.Helper()
	p := elem.New(space, "query")
	if node != "" {
		p.Set("node", node)
	}
	for _, r := range d.Feature().IQ {
		if r.Scope&scope != 0 && r.Space == space {
			return r.Handle(t.Context(), &im.IQ{Type: stanza.Get, From: alice, To: to, Payload: p})
		}
	}
	t.Fatal("nobody answers")
	return nil, nil
}

func vars(e *elem.Element) (out []string) {
	for _, c := range e.Children {
		if c.Local == "feature" {
			out = append(out, c.Attr("var"))
		}
	}
	return out
}

// XEP-0030 §3.1: identities and features, each once; §3.2 the account's; XEP-0128 §3 the form.
func TestDisco_info(t *testing.T) {
	d := fixture()
	out, err := ask(t, d, vocab.InfoSpace, im.ToHost, host, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := vars(out), []string{vocab.CapsSpace, vocab.InfoSpace, vocab.ItemsSpace, "u:a", "u:b"}; !slices.Equal(got, want) {
		t.Errorf("features %v, want %v", got, want)
	}
	id := out.Child(vocab.InfoSpace, "identity")
	if id.Attr("category") != "server" || id.Attr("type") != "im" || id.Attr("name") != "Acme" {
		t.Errorf("%s", out.AppendTo(nil, ""))
	}
	if f := form.Read(out.Child(form.Space, "x")); f.Kind() != "http://jabber.org/network/serverinfo" {
		t.Errorf("form %q", f.Kind())
	}
	for _, c := range []struct {
		scope im.Scope
		to    jid.JID
	}{{im.ToSelf, alice.Bare()}, {im.ToAccount, bob}} {
		out, err := ask(t, d, vocab.InfoSpace, c.scope, c.to, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := vars(out); !slices.Equal(got, []string{vocab.InfoSpace, vocab.ItemsSpace, "u:c"}) {
			t.Errorf("%s: features %v", c.to, got)
		}
		if id := out.Child(vocab.InfoSpace, "identity"); id.Attr("category") != "account" || id.Attr("type") != "registered" {
			t.Errorf("%s: %s", c.to, out.AppendTo(nil, ""))
		}
	}
}

// XEP-0115 §6.2: the node of the announced capabilities gives what hashes to them.
func TestDisco_capabilities(t *testing.T) {
	d := fixture()
	c := d.Caps()
	if c.Attr("hash") != "sha-1" || c.Attr("node") != Node || c.Attr("ver") == "" {
		t.Fatalf("%s", c.AppendTo(nil, ""))
	}
	node := Node + "#" + c.Attr("ver")
	out, err := ask(t, d, vocab.InfoSpace, im.ToHost, host, node)
	if err != nil || out.Attr("node") != node {
		t.Fatalf("%v %v", out, err)
	}
	plain, _ := ask(t, d, vocab.InfoSpace, im.ToHost, host, "")
	if !slices.Equal(vars(out), vars(plain)) {
		t.Error("the node has other features than the server")
	}
	other := New(Config{Name: "Acme", Features: []im.Feature{{HostFeatures: []string{"u:new"}}}})
	if other.Caps().Attr("ver") == c.Attr("ver") {
		t.Error("other features, the same hash")
	}
}

func TestDisco_items(t *testing.T) {
	d := fixture()
	out, err := ask(t, d, vocab.ItemsSpace, im.ToHost, host, "")
	if err != nil || len(out.Children) != 1 || out.Children[0].Attr("jid") != "rooms.x.test" {
		t.Errorf("%v %v", out, err)
	}
	for scope, to := range map[im.Scope]jid.JID{im.ToSelf: alice.Bare(), im.ToAccount: bob} {
		if out, err := ask(t, d, vocab.ItemsSpace, scope, to, ""); err != nil || len(out.Children) != 0 {
			t.Errorf("%s: %v %v", to, out, err)
		}
	}
}

// XEP-0030 §7: unknown nodes; §8: strangers do not learn who exists.
func TestDisco_errors(t *testing.T) {
	d := fixture()
	for _, space := range []string{vocab.InfoSpace, vocab.ItemsSpace} {
		for name, c := range map[string]struct {
			scope im.Scope
			to    jid.JID
			node  string
			want  string
		}{
			"unknown node of the host":    {im.ToHost, host, "x", "item-not-found"},
			"old capabilities":            {im.ToHost, host, Node + "#old=", "item-not-found"},
			"unknown node of oneself":     {im.ToSelf, alice.Bare(), "x", "item-not-found"},
			"unknown node of a contact":   {im.ToAccount, bob, "x", "item-not-found"},
			"a stranger":                  {im.ToAccount, carol, "", "service-unavailable"},
			"a stranger and unknown node": {im.ToAccount, carol, "x", "service-unavailable"},
		} {
			out, err := ask(t, d, space, c.scope, c.to, c.node)
			if space == vocab.ItemsSpace && c.to == carol {
				// XEP-0030 §8: items of who is not seen or not there are an empty list.
				if err != nil || len(out.Children) != 0 || out.Attr("node") != c.node {
					t.Errorf("%s of %s: %v %v", space, name, out, err)
				}
				continue
			}
			var se *stanza.Error
			if !errors.As(err, &se) || se.Condition != c.want {
				t.Errorf("%s, %s: %v, want %s", space, name, err, c.want)
			}
		}
		if _, err := ask(t, d, space, im.ToAccount, host, ""); !errors.Is(err, errBroken) {
			t.Errorf("a roster that can't be read: %v", err)
		}
	}
}

// nodes is an account with one node.
type nodes struct{}

func (nodes) NodeInfo(_ context.Context, owner, asker jid.JID, node string) (*elem.Element, error) {
	if node != "urn:n" {
		return nil, stanza.Fail("item-not-found", "")
	}
	return elem.New(vocab.InfoSpace, "query", "node", node, "owner", owner.String(), "asker", asker.String()), nil
}

func (nodes) NodeItems(_ context.Context, owner, _ jid.JID, node string) (*elem.Element, error) {
	return elem.New(vocab.ItemsSpace, "query").Add(elem.New(vocab.ItemsSpace, "item", "jid", owner.String(), "node", node+"?")), nil
}

// XEP-0163 §6: an account announces what it is beside an account, and its nodes
// answer for themselves, to those who may see that there is an account.
func TestDisco_nodes(t *testing.T) {
	d := New(Config{Name: "Acme", Personal: nodes{},
		Features: []im.Feature{{AccountIdentities: []im.Identity{{Category: "pubsub", Type: "pep"}}}},
		MaySee:   func(_ context.Context, owner, _ jid.JID) (bool, error) { return owner == bob, nil }})
	out, err := ask(t, d, vocab.InfoSpace, im.ToSelf, alice.Bare(), "")
	if err != nil || len(out.Children) < 2 || out.Children[1].Attr("category") != "pubsub" || out.Children[1].Attr("type") != "pep" {
		t.Fatalf("%v %v", out, err)
	}
	if out, err = ask(t, d, vocab.InfoSpace, im.ToAccount, bob, "urn:n"); err != nil || out.Attr("owner") != bob.String() || out.Attr("asker") != alice.Bare().String() {
		t.Errorf("%v %v", out, err)
	}
	if out, err = ask(t, d, vocab.ItemsSpace, im.ToAccount, bob, ""); err != nil || len(out.Children) != 1 {
		t.Errorf("%v %v", out, err)
	}
	var se *stanza.Error
	if _, err := ask(t, d, vocab.InfoSpace, im.ToAccount, carol, "urn:n"); !errors.As(err, &se) || se.Condition != "service-unavailable" {
		t.Errorf("a stranger: %v", err)
	}
	if out, err = ask(t, d, vocab.ItemsSpace, im.ToAccount, carol, "urn:n"); err != nil || len(out.Children) != 0 {
		t.Errorf("a stranger: %v %v", out, err)
	}
}
