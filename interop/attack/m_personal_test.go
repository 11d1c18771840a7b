package attack

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
)

const (
	pubsub      = "http://jabber.org/protocol/pubsub"
	pubsubOwner = pubsub + "#owner"
	pubsubEvent = pubsub + "#event"
	discoInfo   = "http://jabber.org/protocol/disco#info"
)

// access are the access models of XEP-0060 §4.5; each has a node of its own.
var access = []string{"open", "presence", "roster", "authorize", "whitelist"}

func nodeOf(model string) string { return "urn:m5:" + model }

// keen is a client that wants to hear of nodes, and says so when it is asked.
type keen struct {
	*client.Client
	caps string
}

// wanted are the features of a client that wants to hear of nodes, sorted.
func wanted(nodes []string) []string {
	features := []string{discoInfo}
	for _, n := range nodes {
		features = append(features, n+"+notify")
	}
	slices.Sort(features)
	return features
}

// capsOf is what such a client announces (XEP-0115 §5.1), infoOf what it answers.
func capsOf(nodes ...string) string {
	sum := sha1.Sum([]byte("client/pc//m5<" + strings.Join(wanted(nodes), "<") + "<"))
	return "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:m5' ver='" + base64.StdEncoding.EncodeToString(sum[:]) + "'/>"
}

func infoOf(nodes ...string) string {
	out := "<query xmlns='" + discoInfo + "'><identity category='client' type='pc' name='m5'/>"
	for _, f := range wanted(nodes) {
		out += "<feature var='" + f + "'/>"
	}
	return out + "</query>"
}

// keen logs a person in and makes it available; the last items have come when it returns.
func (p *place) keen(t *testing.T, user, resource string, nodes ...string) *keen {
	t.Helper()
	var self atomic.Pointer[client.Client]
	c := p.login(t, user, resource, func(o *client.Options) {
		o.Tap = func(n *client.Node) bool {
			if !n.Is("iq", "get") || n.Kid(discoInfo, "query") == nil {
				return false
			}
			// An error ends the connection, which the test sees.
			_ = self.Load().Send("<iq type='result' id='" + client.Escape(n.Get("id")) + "'>" + infoOf(nodes...) + "</iq>")
			return true
		}
	})
	self.Store(c)
	k := &keen{c, capsOf(nodes...)}
	k.must(t, c.Send("<presence>"+k.caps+"</presence>"))
	k.must(t, c.Fence(patience)) // asked and answered
	k.must(t, c.Fence(patience)) // the answer has been heard
	return k
}

func (k *keen) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", k.JID, err)
	}
}

// heard are the items that have come in events since it was last asked, "NODE ID", sorted.
func (k *keen) heard(t *testing.T) (out []string) {
	t.Helper()
	k.must(t, k.Fence(patience))
	for _, n := range k.Drain() {
		out = append(out, itemsOf(n)...)
	}
	slices.Sort(out)
	return out
}

func itemsOf(message *client.Node) (out []string) {
	items := message.Path("event", "items")
	if items == nil {
		return nil
	}
	for _, it := range items.Kids {
		out = append(out, items.Get("node")+" "+it.Get("id"))
	}
	return out
}

// does sends a request that succeeds.
func does(t *testing.T, c *client.Client, typ, to, payload string) *client.Node {
	t.Helper()
	n, err := c.IQ(patience, typ, to, payload)
	if err != nil || n.Get("type") != "result" {
		t.Fatalf("%s: %v %v", payload, n, err)
	}
	return n
}

func publishes(t *testing.T, c *client.Client, node, id string) {
	t.Helper()
	does(t, c, "set", "", "<pubsub xmlns='"+pubsub+"'><publish node='"+node+"'><item id='"+id+"'><v xmlns='urn:v'/></item></publish></pubsub>")
}

// subscribes lets one see another's presence; both have asked for their rosters.
func subscribes(t *testing.T, who, to *client.Client) {
	t.Helper()
	for _, s := range []struct {
		c   *client.Client
		xml string
	}{{who, "<presence type='subscribe' to='" + bare(to.Opt.User) + "'/>"}, {to, "<presence type='subscribed' to='" + bare(who.Opt.User) + "'/>"}} {
		if err := s.c.Send(s.xml); err != nil {
			t.Fatal(err)
		}
		if err := s.c.Fence(patience); err != nil {
			t.Fatal(err)
		}
	}
}

// stand is how a reader stands to the owner of the nodes.
type stand struct {
	name      string
	sees      bool // is subscribed to the owner's presence
	seen      bool // the owner is subscribed to its presence: what it wants to hear of is known
	group     string
	affiliate string   // on all nodes
	approved  bool     // a subscription to the node "authorize" was approved
	reads     []string // the models whose nodes it may read
}

// stands are the eight relations of HARDENING M5.
func stands() []stand {
	return []stand{
		{name: "the owner", seen: true, reads: access},
		{name: "a stranger", reads: []string{"open"}},
		{name: "a contact in the group", sees: true, seen: true, group: "Friends", reads: []string{"open", "presence", "roster"}},
		{name: "a subscriber only", sees: true, group: "Others", reads: []string{"open", "presence"}},
		{name: "subscribed to only", seen: true, group: "Others", reads: []string{"open"}},
		{name: "a member", seen: true, affiliate: "member", reads: access},
		{name: "an approved subscriber", seen: true, approved: true, reads: []string{"open", "authorize"}},
		{name: "an outcast contact", sees: true, seen: true, group: "Friends", affiliate: "outcast"},
	}
}

// arrange makes the nodes and brings the readers into their relations.
func (p *place) arrange(t *testing.T, owner *client.Client, all []stand) (names []string) {
	t.Helper()
	for _, m := range access {
		does(t, owner, "set", "", "<pubsub xmlns='"+pubsub+"'><create node='"+nodeOf(m)+"'/><configure><x xmlns='jabber:x:data' type='submit'>"+
			"<field var='FORM_TYPE'><value>"+pubsub+"#node_config</value></field><field var='pubsub#access_model'><value>"+m+"</value></field>"+
			"<field var='pubsub#roster_groups_allowed'><value>Friends</value></field></x></configure></pubsub>")
		publishes(t, owner, nodeOf(m), "old")
	}
	does(t, owner, "get", "", "<query xmlns='jabber:iq:roster'/>")
	for _, s := range all {
		if s.name == "the owner" {
			names = append(names, owner.Opt.User)
			continue
		}
		who := p.person(t)
		names = append(names, who)
		c := p.login(t, who, "setup")
		if s.sees {
			subscribes(t, c, owner)
		}
		if s.seen {
			subscribes(t, owner, c)
		}
		if s.group != "" {
			does(t, owner, "set", "", "<query xmlns='jabber:iq:roster'><item jid='"+bare(who)+"'><group>"+s.group+"</group></item></query>")
		}
		for _, m := range access {
			if s.affiliate != "" {
				does(t, owner, "set", "", "<pubsub xmlns='"+pubsubOwner+"'><affiliations node='"+nodeOf(m)+"'><affiliation jid='"+bare(who)+"' affiliation='"+s.affiliate+"'/></affiliations></pubsub>")
			}
		}
		if s.approved {
			does(t, c, "set", bare(owner.Opt.User), "<pubsub xmlns='"+pubsub+"'><subscribe node='"+nodeOf("authorize")+"' jid='"+bare(who)+"'/></pubsub>")
			does(t, owner, "set", "", "<pubsub xmlns='"+pubsubOwner+"'><subscriptions node='"+nodeOf("authorize")+"'><subscription jid='"+bare(who)+"' subscription='subscribed'/></subscriptions></pubsub>")
		}
		c.Close()
	}
	owner.Drain()
	return names
}

// M5: 5 access models × 8 relations × {+notify, items, archive, last item}: each
// of the 160 cells is what the table says. And what was taken away is gone at once.
func TestM5_personalMatrix(t *testing.T) {
	t.Parallel()
	p := target(t)
	owner := p.login(t, p.person(t), "phone")
	all := stands()
	names := p.arrange(t, owner, all)
	var nodes []string
	for _, m := range access {
		nodes = append(nodes, nodeOf(m))
	}
	readers := make([]*keen, len(all))
	cells, wrong := 0, 0
	cell := func(model string, s *stand, what string, want, got bool) {
		cells++
		if want != got {
			wrong++
			t.Errorf("%s, %s, %s: %v, want %v", model, s.name, what, got, want)
		}
	}
	for i := range all {
		s := &all[i]
		readers[i] = p.keen(t, names[i], "m5", nodes...)
		last := readers[i].heard(t)
		for _, m := range access {
			n, err := readers[i].IQ(patience, "get", bare(owner.Opt.User), "<pubsub xmlns='"+pubsub+"'><items node='"+nodeOf(m)+"'/></pubsub>")
			if err != nil {
				t.Fatal(err)
			}
			may := slices.Contains(s.reads, m)
			cell(m, s, "items", may, n.Get("type") == "result")
			cell(m, s, "last item", may && s.seen, slices.Contains(last, nodeOf(m)+" old"))
		}
	}
	for _, m := range access {
		publishes(t, owner, nodeOf(m), "new")
	}
	for i := range all {
		s := &all[i]
		got := readers[i].heard(t)
		archived, err := readers[i].Archive(patience, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range access {
			cell(m, s, "+notify", slices.Contains(s.reads, m) && s.seen, slices.Contains(got, nodeOf(m)+" new"))
			cell(m, s, "archive", false, slices.ContainsFunc(archived, func(a client.Archived) bool { return a.Message.Kid(pubsubEvent, "event") != nil }))
		}
	}
	if cells != 160 {
		t.Errorf("%d cells", cells)
	}
	p.revoked(t, owner, readers, names, all)
	measured("M5", fmt.Sprint(cells, " cells of access model × relation × way"), fmt.Sprint(wrong, " wrong"), "0")
}

// revoked takes away what gave contacts the right and publishes at once.
func (p *place) revoked(t *testing.T, owner *client.Client, readers []*keen, names []string, all []stand) {
	t.Helper()
	at := func(name string) int {
		return slices.IndexFunc(all, func(s stand) bool { return s.name == name })
	}
	contact, member, approved := at("a contact in the group"), at("a member"), at("an approved subscriber")
	began := time.Now()
	does(t, owner, "set", "", "<query xmlns='jabber:iq:roster'><item jid='"+bare(names[contact])+"' subscription='remove'/></query>")
	for _, m := range access {
		does(t, owner, "set", "", "<pubsub xmlns='"+pubsubOwner+"'><affiliations node='"+nodeOf(m)+"'><affiliation jid='"+bare(names[member])+"' affiliation='outcast'/></affiliations></pubsub>")
	}
	does(t, owner, "set", "", "<block xmlns='urn:xmpp:blocking'><item jid='"+bare(names[approved])+"'/></block>")
	for _, m := range access {
		publishes(t, owner, nodeOf(m), "after")
	}
	took := time.Since(began)
	late := 0
	for _, i := range []int{contact, member, approved} {
		for _, it := range readers[i].heard(t) {
			if strings.HasSuffix(it, " after") {
				late++
				t.Errorf("%s still hears %s", all[i].name, it)
			}
		}
	}
	measured("M5", "events after the right to them was taken away", fmt.Sprintf("%d, within %d ms of the first revocation", late, took.Milliseconds()), "0 after 1 s")
}
