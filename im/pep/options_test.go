package pep

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func subscribe(node, who string, more ...string) string {
	return ps + "<subscribe node='" + node + "' jid='" + who + "@" + domain + "'/>" + strings.Join(more, "") + "</pubsub>"
}

// wish is a form of subscription options; a pair may repeat.
func wish(pairs ...string) string {
	out := `<options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>` + pubsub.SubscribeForm + `</value></field>`
	for i := 0; i+1 < len(pairs); i += 2 {
		out += "<field var='pubsub#" + pairs[i] + "'>"
		for _, v := range strings.Fields(pairs[i+1]) {
			out += "<value>" + v + "</value>"
		}
		out += "</field>"
	}
	return out + `</x></options>`
}

// setting is the same for a subscription there is.
func setting(node, who string, pairs ...string) string {
	return ps + strings.Replace(wish(pairs...), "<options>", "<options node='"+node+"' jid='"+who+"@"+domain+"'>", 1) + "</pubsub>"
}

// away gives a session a <show/>.
func (c *client) show(text string) {
	st := &stanza.Stanza{Kind: stanza.Presence, From: c.JID()}
	if text != "" {
		st.Content = []byte("<show>" + text + "</show>")
	}
	c.presents(st)
}

func (c *client) leaves() {
	c.SetPresence(session.Presence{})
	c.Present(&stanza.Stanza{Kind: stanza.Presence, Type: stanza.Unavailable, From: c.JID()}, false)
	c.w.Settle(context.Background())
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// XEP-0060 §6.3: what a subscriber wants is what it gets.
func TestOptions_deliverAndShow(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.create("n", "access_model", "open")
		w.must(who("bob"), who("alice"), stanza.Set, subscribe("n", "bob"))
		bob := w.bind("bob/b")
		bob.show("")
		put := func(id string) { w.must(who("alice"), who("alice"), stanza.Set, publish("n", id)) }
		put("1")
		same(t, "as it is at first", bob.events(), "items n item:1")

		w.must(who("bob"), who("alice"), stanza.Set, setting("n", "bob", "deliver", "0"))
		put("2")
		same(t, "not delivered", bob.events())

		w.must(who("bob"), who("alice"), stanza.Set, setting("n", "bob", "deliver", "true", "show-values", "dnd online", "digest", "0", "include_body", "false"))
		put("3")
		same(t, "online", bob.events(), "items n item:3")
		bob.show("away")
		put("4")
		same(t, "away", bob.events())
		bob.show("dnd")
		put("5")
		same(t, "dnd", bob.events(), "items n item:5")

		e := w.must(who("bob"), who("alice"), stanza.Get, ps+"<options node='n' jid='bob@acme.test'/></pubsub>")
		f := form.Read(e.Children[0].Children[0])
		if f.Kind() != pubsub.SubscribeForm || f.Type != "form" {
			t.Errorf("form %q %q", f.Kind(), f.Type)
		}
		same(t, "kept", f.Values("pubsub#show-values"), "dnd", "online")
		// It is on disk.
		w.nodes.Drop(who("alice"))
		e = w.must(who("bob"), who("alice"), stanza.Get, ps+"<options node='n' jid='bob@acme.test'/></pubsub>")
		same(t, "read again", form.Read(e.Children[0].Children[0]).Values("pubsub#show-values"), "dnd", "online")
		// A resource's own subscription has options of its own.
		w.must(bob.JID(), who("alice"), stanza.Set, subscribe("n", "bob"))
		w.must(bob.JID(), who("alice"), stanza.Set, ps+"<subscribe node='n' jid='bob@acme.test/b'/></pubsub>")
		bob.events()
		bob.show("xa")
		put("6")
		same(t, "by the full address", bob.events(), "items n item:6")
	})
}

// XEP-0060 §6.3.4, §6.3.6.2, §6.3.7, §6.4: how options are refused and defaulted.
func TestOptions_errors(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := who("alice"), jid.MustParse("bob@acme.test/b")
		w.create("n", "access_model", "open")
		w.create("x", "access_model", "open")
		w.must(b, a, stanza.Set, subscribe("n", "bob"))
		past, year := w.now.Add(-time.Second).Format(time.RFC3339), w.now.AddDate(1, 0, 0).Format(time.RFC3339)
		for _, c := range []struct {
			typ           stanza.Type
			payload, want string
		}{
			{stanza.Get, ps + "<options node='n'/></pubsub>", "bad-request jid-required"},
			{stanza.Get, ps + "<options jid='bob@acme.test'/></pubsub>", "bad-request nodeid-required"},
			{stanza.Get, ps + "<options node='n' jid='carol@acme.test'/></pubsub>", "forbidden"},
			{stanza.Get, ps + "<options node='n' jid='bob@acme.test/b'/></pubsub>", "unexpected-request not-subscribed"},
			{stanza.Get, ps + "<options node='x' jid='bob@acme.test'/></pubsub>", "unexpected-request not-subscribed"},
			{stanza.Get, ps + "<options node='y' jid='bob@acme.test'/></pubsub>", "item-not-found"},
			{stanza.Set, setting("y", "bob", "deliver", "1"), "item-not-found"},
			{stanza.Set, setting("x", "bob", "deliver", "1"), "unexpected-request not-subscribed"},
			{stanza.Set, setting("n", "carol", "deliver", "1"), "forbidden"},
			{stanza.Set, setting("n", "bob", "deliver", "perhaps"), "bad-request invalid-options"},
			{stanza.Set, setting("n", "bob", "show-values", "online cheerful"), "bad-request invalid-options"},
			{stanza.Set, setting("n", "bob", "digest", "1"), "bad-request invalid-options"},
			{stanza.Set, setting("n", "bob", "include_body", "1"), "bad-request invalid-options"},
			{stanza.Set, setting("n", "bob", "subscription_type", "nodes"), "bad-request invalid-options"},
			{stanza.Set, setting("n", "bob", "unheard_of", "1"), "bad-request invalid-options"},
			{stanza.Set, setting("n", "bob", "expire", "tomorrow"), "bad-request invalid-options"},
			{stanza.Set, setting("n", "bob", "expire", past), "bad-request invalid-options"},
			{stanza.Set, ps + "<options node='n' jid='bob@acme.test'/></pubsub>", "bad-request invalid-options"},
			{stanza.Set, ps + "<options node='n' jid='bob@acme.test'><x xmlns='jabber:x:data' type='submit'/></options></pubsub>", "bad-request invalid-options"},
			{stanza.Set, ps + "<options node='n' jid='bob@acme.test'><x xmlns='jabber:x:data' type='cancel'/></options></pubsub>", ""},
			{stanza.Set, setting("n", "bob", "subscription_type", "items", "subscription_depth", "1", "expire", year), ""},
			{stanza.Set, subscribe("x", "bob", strings.Replace(wish("deliver", "1"), "<options>", "<options node='x'>", 1)), "bad-request invalid-options"},
			{stanza.Set, subscribe("x", "bob", wish("digest", "1")), "bad-request invalid-options"},
			{stanza.Set, ps + wish("deliver", "1") + "<subscribe node='x' jid='bob@acme.test'/></pubsub>", "bad-request nodeid-required"},
			{stanza.Get, ps + "<default node='y'/></pubsub>", "item-not-found"},
		} {
			if _, got := w.ask(b, a, c.typ, c.payload); got != c.want {
				t.Errorf("%s: %q, want %q", c.payload, got, c.want)
			}
		}
		root, err := w.nodes.Root(context.Background(), a)
		if err != nil {
			t.Fatal(err)
		}
		if subs := root.Node("x").Subscriptions(); len(subs) != 0 {
			t.Errorf("a refused request subscribed: %v", subs)
		}
		e := w.must(b, a, stanza.Set, subscribe("x", "bob", wish("deliver", "0")))
		if len(e.Children) != 2 || e.Children[1].Local != "options" {
			t.Fatalf("%s", e) // XEP-0060 §6.3.7
		}
		same(t, "as it is", form.Read(e.Children[1].Children[0]).Values("pubsub#deliver"), "0")
		for _, node := range []string{"", " node='x'"} {
			e = w.must(b, a, stanza.Get, ps+"<default"+node+"/></pubsub>")
			same(t, "default", form.Read(e.Children[0].Children[0]).Values("pubsub#deliver"), "1")
		}
	})
}

// XEP-0060 §12.19: a lease ends; XEP-0060 §12.5: or with the presence.
func TestOptions_expire(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := who("alice")
		w.create("n", "access_model", "open")
		w.create("t", "access_model", "open", "tempsub", "1")
		w.must(who("bob"), a, stanza.Set, subscribe("n", "bob", wish("expire", w.now.Add(time.Hour).Format(time.RFC3339))))
		bob := w.bind("bob/b")
		bob.show("")
		w.must(a, a, stanza.Set, publish("n", "1"))
		same(t, "during the lease", bob.events(), "items n item:1")
		w.now = w.now.Add(time.Hour)
		if _, c := w.ask(who("bob"), a, stanza.Get, ps+"<options node='n' jid='bob@acme.test'/></pubsub>"); c != "unexpected-request not-subscribed" {
			t.Errorf("after the lease: %q", c)
		}
		w.must(a, a, stanza.Set, publish("n", "2"))
		same(t, "after it", bob.events(), "subscription n none")

		w.must(who("bob"), a, stanza.Set, subscribe("n", "bob", wish("expire", "presence")))
		w.must(who("bob"), a, stanza.Set, subscribe("t", "bob"))
		second := w.bind("bob/c")
		second.show("")
		bob.leaves()
		second.events()
		w.must(a, a, stanza.Set, publish("n", "3"))
		w.must(a, a, stanza.Set, publish("t", "3"))
		same(t, "one resource left", second.events(), "items n item:3", "items t item:3")
		second.leaves()
		e := w.must(who("bob"), a, stanza.Get, ps+"<subscriptions/></pubsub>")
		if len(e.Children[0].Children) != 0 {
			t.Errorf("left: %s", e)
		}
		// A restart ends what a presence held.
		w.must(who("bob"), a, stanza.Set, subscribe("t", "bob"))
		if err := w.nodes.DropTemporary(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.nodes.Drop(a)
		if e = w.must(who("bob"), a, stanza.Get, ps+"<subscriptions/></pubsub>"); len(e.Children[0].Children) != 0 {
			t.Errorf("after a restart: %s", e)
		}
	})
}

// questions are the approvals asked for among what has come: "node who".
func (c *client) questions() (out []string) {
	for _, st := range c.stanzas() {
		k, ok := st.Child(form.Space, "x")
		if !ok || st.Type != "" && st.Type != stanza.Normal || st.ID == "" {
			continue
		}
		e, err := st.Element(k)
		if err != nil {
			c.w.t.Fatal(err)
		}
		f := form.Read(e)
		node, _ := f.Value("pubsub#node")
		sub, _ := f.Value("pubsub#subscriber_jid")
		if allow, is := f.Value("pubsub#allow"); f.Kind() != pubsub.AuthorizeForm || !is || allow != "0" {
			c.w.t.Errorf("%s", e)
		}
		out = append(out, node+" "+sub)
	}
	return out
}

// decide sends an answer and returns the error's conditions; taken says that nothing goes on.
func (w *world) decide(by, to, typ, node, sub, allow string) (taken bool, conds string) {
	w.t.Helper()
	x := fmt.Sprintf(`<x xmlns='jabber:x:data' type='%s'><field var='FORM_TYPE'><value>%s</value></field><field var='pubsub#node'><value>%s</value></field>`+
		`<field var='pubsub#subscriber_jid'><value>%s</value></field><field var='pubsub#allow'><value>%s</value></field></x>`, typ, pubsub.AuthorizeForm, node, sub, allow)
	st := parse(w.t, "<message id='q' to='"+who(to).String()+"'>"+x+"</message>")
	st.From = jid.MustParse(by + "@" + domain + "/x")
	rest, err := w.Take(context.Background(), st)
	return rest == nil, conditions(w.t, err)
}

// XEP-0060 §6.1.4, §8.6: whoever asks waits; the owner allows, refuses, or leaves it open.
func TestApproval_byForm(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := who("alice")
		w.create("n", "access_model", "authorize")
		w.must(a, a, stanza.Set, publish("n", "1"))
		w.affiliate("n", "olga", pubsub.Owner)
		olga, bob := w.online("olga/o"), w.online("bob/b")
		alice := w.online("alice/a")
		for _, name := range []string{"bob", "carol", "dave"} {
			e := w.must(who(name), a, stanza.Set, subscribe("n", name))
			if s := e.Children[0].Attr("subscription"); s != "pending" {
				t.Errorf("%s: %q", name, s)
			}
			same(t, "alice is asked", alice.questions(), "n "+name+"@acme.test")
			same(t, "the other owner too", olga.questions(), "n "+name+"@acme.test")
		}
		if _, c := w.ask(who("bob"), a, stanza.Set, subscribe("n", "bob")); c != "not-authorized pending-subscription" {
			t.Errorf("again: %q", c)
		}
		for _, by := range []string{"bob", "mallory"} {
			if _, c := w.decide(by, "alice", "submit", "n", "bob@acme.test", "1"); c != "forbidden" {
				t.Errorf("%s decides: %q", by, c)
			}
			if _, c := w.decide(by, "alice", "submit", "none", "bob@acme.test", "1"); c != "forbidden" {
				t.Errorf("%s decides of no node: %q", by, c)
			}
		}
		for _, bad := range [][3]string{{"n", "@", "1"}, {"", "bob@acme.test", "1"}, {"n", "bob@acme.test", "perhaps"}, {"n", "bob@acme.test", ""}} {
			if _, c := w.decide("alice", "alice", "submit", bad[0], bad[1], bad[2]); c != "bad-request" {
				t.Errorf("%q: %q", bad, c)
			}
		}
		if taken, c := w.decide("alice", "alice", "cancel", "n", "bob@acme.test", "1"); !taken || c != "" {
			t.Errorf("cancelled: %v %q", taken, c)
		}
		// Whoever comes later is asked about those who still wait.
		later := w.bind("alice/b")
		later.show("")
		same(t, "a device that comes later", later.questions(), "n bob@acme.test", "n carol@acme.test", "n dave@acme.test")
		later.show("away")
		same(t, "it is asked once", later.questions())
		if _, c := w.ask(who("bob"), a, stanza.Get, ps+"<items node='n'/></pubsub>"); c != "not-authorized not-subscribed" {
			t.Errorf("items while it waits: %q", c)
		}
		if taken, c := w.decide("alice", "alice", "submit", "n", "bob@acme.test", "true"); !taken || c != "" {
			t.Errorf("allowed: %v %q", taken, c)
		}
		same(t, "bob", bob.events(), "subscription n subscribed", "items n item:1 (old)")
		if _, c := w.decide("olga", "alice", "submit", "n", "bob@acme.test", "0"); c != "unexpected-request" {
			t.Errorf("too late: %q", c)
		}
		if taken, c := w.decide("olga", "alice", "submit", "n", "carol@acme.test", "0"); !taken || c != "" {
			t.Errorf("refused: %v %q", taken, c)
		}
		if _, c := w.decide("alice", "alice", "submit", "n", "carol@acme.test", "1"); c != "unexpected-request not-subscribed" {
			t.Errorf("who does not wait: %q", c)
		}
		// XEP-0060 §8.7.4: what an affiliation grants or takes.
		w.must(who("erin"), a, stanza.Set, subscribe("n", "erin"))
		w.affiliate("n", "dave", pubsub.Publisher)
		w.affiliate("n", "erin", pubsub.Outcast)
		e := w.must(a, a, stanza.Get, owner+"<subscriptions node='n'/></pubsub>")
		var got []string
		for _, s := range e.Children[0].Children {
			got = append(got, s.Attr("jid")+" "+s.Attr("subscription"))
		}
		same(t, "in the end", got, "bob@acme.test subscribed", "dave@acme.test subscribed")
		// An ordinary message with another form is none of this.
		st := parse(t, "<message to='alice@acme.test'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:x</value></field></x></message>")
		st.From = jid.MustParse("bob@acme.test/b")
		if rest, err := w.Take(context.Background(), st); rest != st || err != nil {
			t.Errorf("%v %v", rest, err)
		}
	})
}

const pending = `<command xmlns='http://jabber.org/protocol/commands' node='http://jabber.org/protocol/pubsub#get-pending'`

// XEP-0060 §8.7: an owner asks for all that waits.
func TestApproval_getPending(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := who("alice")
		w.create("n", "access_model", "authorize")
		w.create("m", "access_model", "authorize")
		w.create("o", "access_model", "open")
		alice, other := w.online("alice/a"), w.online("alice/b")
		for _, name := range []string{"bob", "carol"} {
			w.must(who(name), a, stanza.Set, subscribe("n", name))
		}
		alice.stanzas()
		other.stanzas()
		e := w.must(alice.JID(), a, stanza.Set, pending+" action='execute'/>")
		if e.Attr("status") != "executing" || e.Attr("sessionid") == "" {
			t.Fatalf("%s", e)
		}
		f := form.Read(e.Child(form.Space, "x"))
		if f.Kind() != pubsub.AuthorizeForm || len(f.Fields) != 2 || len(f.Fields[1].Options) != 1 || f.Fields[1].Options[0].Value != "n" {
			t.Errorf("%+v", f)
		}
		submit := func(node string) string {
			return pending + " sessionid='" + e.Attr("sessionid") + "' action='complete'><x xmlns='jabber:x:data' type='submit'><field var='pubsub#node'><value>" + node + "</value></field></x></command>"
		}
		if e := w.must(alice.JID(), a, stanza.Set, submit("n")); e.Attr("status") != "completed" {
			t.Errorf("%s", e)
		}
		same(t, "asked", alice.questions(), "n bob@acme.test", "n carol@acme.test")
		same(t, "the other device", other.questions())
		m := jid.MustParse("mallory@acme.test/x")
		for _, c := range []struct {
			from          jid.JID
			payload, want string
		}{
			{alice.JID(), submit("none"), "item-not-found"},
			{alice.JID(), submit(""), "bad-request"},
			{m, pending + "/>", "forbidden"},
			{m, submit("n"), "forbidden"},
			{m, submit("none"), "forbidden"},
			{alice.JID(), strings.Replace(pending, "get-pending", "get-lost", 1) + "/>", "item-not-found"},
			{alice.JID(), pending + " action='prev'/>", "bad-request"},
			{alice.JID(), pending + " action='cancel' sessionid='1'/>", ""},
		} {
			if _, got := w.ask(c.from, a, stanza.Set, c.payload); got != c.want {
				t.Errorf("%s %s: %q, want %q", c.from, c.payload, got, c.want)
			}
		}
		w.affiliate("n", "olga", pubsub.Owner)
		if e := w.must(jid.MustParse("olga@acme.test/o"), a, stanza.Set, pending+"/>"); len(form.Read(e.Child(form.Space, "x")).Fields[1].Options) != 1 {
			t.Errorf("%s", e)
		}
		if _, c := w.ask(jid.MustParse("olga@acme.test/o"), a, stanza.Set, submit("m")); c != "forbidden" {
			t.Errorf("of a node that is not hers: %q", c)
		}
	})
}

// XEP-0060 §7.1.2.5, §7.1.3.4: what becomes of an item there is no room for.
func TestNode_full(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := who("alice")
		for _, c := range []struct {
			node, max, full string
			events          []string
			last            string // what the third publication is answered
		}{
			{"a", "2", "", []string{"items a item:1", "items a item:2", "items a item:3", "items a retract:1"}, ""},
			{"b", "2", "discard-oldest", []string{"items b item:1", "items b item:2", "items b item:3"}, ""},
			{"c", "2", "reject", []string{"items c item:1", "items c item:2"}, "conflict node-full"},
			{"d", "1", "", []string{"items d item:1", "items d item:2", "items d item:3"}, ""}, // XEP-0060 §12.21
		} {
			pairs := []string{"max_items", c.max}
			if c.full != "" {
				pairs = append(pairs, "publish_node_full", c.full)
			}
			w.create(c.node, pairs...)
			alice := w.online("alice/"+c.node, c.node)
			var conds string
			for i := range 3 {
				_, conds = w.ask(a, a, stanza.Set, publish(c.node, fmt.Sprint(i+1)))
			}
			if conds != c.last {
				t.Errorf("%s: %q, want %q", c.node, conds, c.last)
			}
			same(t, c.node, alice.events(), c.events...)
		}
		w.must(a, a, stanza.Set, publish("c", "2")) // there is room for one that is there
	})
}

// XEP-0060 §7.1.3.6, §12.11: items as the node's kind of event has them; all or none.
func TestPublish_kinds(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := who("alice")
		w.create("hint", "persist_items", "0", "deliver_payloads", "0")
		w.create("ids", "deliver_payloads", "0", "max_items", "2")
		w.create("passing", "persist_items", "0")
		w.create("kept", "max_items", "3")
		alice := w.online("alice/a", "hint", "ids", "passing", "kept")
		const v = "<v xmlns='urn:v'/>"
		for _, c := range []struct{ node, items, want string }{
			{"hint", "", ""},
			{"hint", "<item id='1'/>", "bad-request item-forbidden"},
			{"hint", "<item>" + v + "</item>", "bad-request item-forbidden"},
			{"ids", "", "bad-request item-required"},
			{"ids", "<item id='1'/>", ""},
			{"ids", "<item id='2'>" + v + "</item>", ""},
			{"passing", "<item id='1'/>", "bad-request payload-required"},
			{"passing", "", "bad-request item-required"},
			{"passing", "<item id='1'>" + v + "</item>", ""},
			{"kept", "<item id='1'>" + v + v + "</item>", "bad-request invalid-payload"},
			{"kept", "<item id='1'>" + v + "</item><item id='2'>" + v + "</item>", ""},
			{"kept", "<item id='3'>" + v + "</item><item id='4'/>", "bad-request payload-required"},
			{"kept", strings.Repeat("<item>"+v+"</item>", 4), "not-allowed max-items-exceeded"},
		} {
			if _, got := w.ask(a, a, stanza.Set, ps+"<publish node='"+c.node+"'>"+c.items+"</publish></pubsub>"); got != c.want {
				t.Errorf("%s %s: %q, want %q", c.node, c.items, got, c.want)
			}
		}
		same(t, "told", alice.events(), "items hint", "items ids item:1", "items ids item:2", "items passing item:1", "items kept item:1", "items kept item:2")
		retract := func(node, items string) string {
			_, c := w.ask(a, a, stanza.Set, ps+"<retract node='"+node+"'>"+items+"</retract></pubsub>")
			return c
		}
		same(t, "retractions", []string{
			retract("kept", "<item id='1'/><item id='9'/>"), retract("kept", "<item id='1'/><item/>"), retract("passing", "<item id='1'/>"), retract("kept", "<item id='1'/><item id='2'/>"),
		}, "item-not-found", "bad-request item-required", "feature-not-implemented unsupported", "")
		same(t, "told", alice.events(), "items kept retract:1", "items kept retract:2")
	})
}

// XEP-0060 §16.4.3: options of nodes that change who hears of what.
func TestConfig_others(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := who("alice")
		w.contact("bob", roster.To|roster.From)
		alice, bob := w.online("alice/a", "ask", "quiet"), w.online("bob/b", "quiet", "gone")
		// notify_sub
		w.create("ask", "access_model", "open", "notify_sub", "1")
		w.must(who("carol"), a, stanza.Set, subscribe("ask", "carol"))
		w.must(who("carol"), a, stanza.Set, ps+"<unsubscribe node='ask' jid='carol@acme.test'/></pubsub>")
		same(t, "notify_sub", alice.events(), "subscription ask subscribed", "subscription ask none")
		// subscribe
		w.create("quiet", "access_model", "open", "subscribe", "0")
		if _, c := w.ask(who("carol"), a, stanza.Set, subscribe("quiet", "carol")); c != "feature-not-implemented unsupported" {
			t.Errorf("subscribe: %q", c)
		}
		w.must(a, a, stanza.Set, publish("quiet", "1"))
		same(t, "nobody but the account", bob.events())
		same(t, "the account", alice.events(), "items quiet item:1")
		w.must(who("bob"), a, stanza.Get, ps+"<items node='quiet'/></pubsub>")
		// purge_offline
		w.create("gone", "purge_offline", "1")
		w.must(a, a, stanza.Set, publish("gone", "1"))
		alice.leaves()
		same(t, "purge_offline", bob.events(), "items gone item:1", "purge gone")
		// itemreply: everywhere, or where it is somebody else's
		w.create("reply", "itemreply", "publisher", "publish_model", "open", "access_model", "open", "max_items", "9")
		w.create("plain", "publish_model", "open", "access_model", "open", "max_items", "9")
		for _, node := range []string{"reply", "plain"} {
			w.must(a, a, stanza.Set, publish(node, "hers"))
			w.must(who("bob"), a, stanza.Set, publish(node, "his"))
			e := w.must(who("carol"), a, stanza.Get, ps+"<items node='"+node+"'/></pubsub>")
			want := map[string]string{"reply": "alice@acme.test", "plain": ""}[node]
			if k := e.Children[0].Children; k[0].Attr("publisher") != want || k[1].Attr("publisher") != "bob@acme.test" {
				t.Errorf("%s: %s", node, e)
			}
		}
		// redirect (XEP-0060 §8.4.2)
		w.create("old", "access_model", "open")
		w.must(who("bob"), a, stanza.Set, subscribe("old", "bob"))
		if _, c := w.ask(a, a, stanza.Set, owner+"<delete node='old'><redirect uri='nowhere'/></delete></pubsub>"); c != "bad-request" {
			t.Errorf("redirect: %q", c)
		}
		w.must(a, a, stanza.Set, owner+"<delete node='old'><redirect uri='xmpp:alice@acme.test?;node=new'/></delete></pubsub>")
		same(t, "redirect", bob.events(), "delete old redirect:")
		for _, bad := range [][2]string{{"itemreply", "owner"}, {"node_type", "collection"}, {"presence_based_delivery", "0"}, {"publish_node_full", "x"}, {"contact", "@"}, {"tempsub", "x"}, {"subscribe", ""}} {
			if _, c := w.ask(a, a, stanza.Set, ps+"<create node='bad'/><configure>"+options(pubsub.ConfigForm, bad[0], bad[1])+"</configure></pubsub>"); c != "not-acceptable" {
				t.Errorf("%v: %q", bad, c)
			}
		}
	})
}
