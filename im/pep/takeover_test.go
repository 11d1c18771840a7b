package pep

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// state is all that a takeover would change, in one text.
func (w *world) state() string {
	w.t.Helper()
	ctx := context.Background()
	var b strings.Builder
	for _, account := range []string{"alice", "mallory"} {
		w.nodes.Drop(who(account)) // as it is on disk
		root, err := w.nodes.Root(ctx, who(account))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, n := range root.Nodes() {
			fmt.Fprintf(&b, "%s %s %+v", account, n.Name, n.Config)
			for _, name := range []string{"alice", "mallory", "bob"} {
				fmt.Fprintf(&b, " %s:%s", name, n.Affiliation(who(name)))
			}
			ids, err := w.nodes.IDs(ctx, n)
			if err != nil {
				w.t.Fatal(err)
			}
			fmt.Fprintf(&b, " %v %v\n", ids, n.Subscriptions())
		}
	}
	return b.String()
}

// HARDENING M6: whoever is not an owner changes nothing that is an owner's, as
// whatever it is affiliated, and publishes only where it may.
func TestTakeover_matrix(t *testing.T) {
	const node = "urn:n"
	m := jid.MustParse("mallory@" + domain + "/x")
	requests := map[string]string{
		"configure":       owner + "<configure node='urn:n'>" + options(pubsub.ConfigForm, "access_model", "open") + "</configure></pubsub>",
		"delete":          owner + "<delete node='urn:n'/></pubsub>",
		"purge":           owner + "<purge node='urn:n'/></pubsub>",
		"affiliate":       owner + "<affiliations node='urn:n'><affiliation jid='mallory@acme.test' affiliation='owner'/></affiliations></pubsub>",
		"depose":          owner + "<affiliations node='urn:n'><affiliation jid='alice@acme.test' affiliation='none'/></affiliations></pubsub>",
		"approve":         owner + "<subscriptions node='urn:n'><subscription jid='mallory@acme.test' subscription='subscribed'/></subscriptions></pubsub>",
		"create":          ps + "<create node='urn:mine'/></pubsub>",
		"create the same": ps + "<create node='urn:n'/></pubsub>",
		"create instant":  ps + "<create/></pubsub>",
		"auto-create":     publish("urn:new", "1"),
		"subscribe bob":   ps + "<subscribe node='urn:n' jid='bob@acme.test'/></pubsub>",
		"unsubscribe bob": ps + "<unsubscribe node='urn:n' jid='bob@acme.test'/></pubsub>",
		"options of bob":  setting("urn:n", "bob", "deliver", "0"),
		"pending of all":  pending + "/>",
		"pending":         pending + " sessionid='1'><x xmlns='jabber:x:data' type='submit'><field var='pubsub#node'><value>urn:n</value></field></x></command>",
		"redirect":        owner + "<delete node='urn:n'><redirect uri='xmpp:mallory@acme.test'/></delete></pubsub>",
		"options first":   ps + wish("deliver", "0") + "<subscribe node='urn:n' jid='mallory@acme.test'/></pubsub>",
		"no node":         owner + "<configure>" + options(pubsub.ConfigForm, "access_model", "open") + "</configure></pubsub>",
	}
	storetest.RunDSN(t, func(t *testing.T, dsn string) {
		for _, a := range []pubsub.Affiliation{pubsub.NoneAtAll, pubsub.Member, pubsub.Publisher, pubsub.PublishOnly, pubsub.Outcast} {
			t.Run(string(a), func(t *testing.T) {
				w := newWorld(t, fresh(t, dsn))
				w.contact("mallory", roster.To|roster.From)
				w.create(node)
				w.must(who("alice"), who("alice"), stanza.Set, publish(node, "hers"))
				w.affiliate(node, "mallory", a)
				w.must(who("alice"), who("alice"), stanza.Set, owner+"<subscriptions node='urn:n'><subscription jid='bob@acme.test' subscription='subscribed'/></subscriptions></pubsub>")
				before := w.state()
				for name, r := range requests {
					if _, c := w.ask(m, who("alice"), stanza.Set, r); c == "" {
						t.Errorf("%s: done", name)
					}
				}
				for _, r := range []string{"configure", "affiliations", "subscriptions", "default"} {
					if _, c := w.ask(m, who("alice"), stanza.Get, owner+"<"+r+" node='urn:n'/></pubsub>"); c != "forbidden" {
						t.Errorf("get %s: %q", r, c)
					}
				}
				for _, allow := range []string{"1", "0"} { // XEP-0060 §8.6
					if taken, c := w.decide("mallory", "alice", "submit", "urn:n", "mallory@acme.test", allow); c != "forbidden" || !taken {
						t.Errorf("approval: %v %q", taken, c)
					}
				}
				if now := w.state(); now != before {
					t.Errorf("was\n%sis\n%s", before, now)
				}
				w.writes(node, m, a)
			})
		}
	})
}

// writes tries what publishers may and others may not.
func (w *world) writes(node string, m jid.JID, a pubsub.Affiliation) {
	w.t.Helper()
	publishes := a == pubsub.Publisher || a == pubsub.PublishOnly
	if _, c := w.ask(m, who("alice"), stanza.Set, ps+"<retract node='"+node+"'><item id='hers'/></retract></pubsub>"); (c == "") != (a == pubsub.Publisher) {
		w.t.Errorf("retract of another's item: %q", c)
	}
	if _, c := w.ask(m, who("alice"), stanza.Set, publish(node, "own")); (c == "") != publishes {
		w.t.Errorf("publish: %q", c)
	}
	if _, c := w.ask(m, who("alice"), stanza.Set, ps+"<retract node='"+node+"'><item id='own'/></retract></pubsub>"); (c == "") != publishes {
		w.t.Errorf("retract of its own item: %q", c)
	}
}

// HARDENING M6: names that look alike are different nodes; the same name at
// another account is another's.
func TestTakeover_names(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, m := who("alice"), who("mallory")
		names := []string{"n", "N", "n ", " n", "\u00f1", "n\u0303", "n/x", "n#1", "n'--", "%", "_", "*"}
		for i, n := range names {
			w.must(a, a, stanza.Set, ps+"<publish node=\""+n+"\"><item id='"+fmt.Sprint(i)+"'><v xmlns='urn:v'/></item></publish></pubsub>")
		}
		w.must(m, m, stanza.Set, publish("n", "mallory"))
		w.must(m, m, stanza.Set, owner+"<delete node='n'/></pubsub>")
		for i, n := range names {
			e := w.must(a, a, stanza.Get, ps+"<items node=\""+n+"\"/></pubsub>")
			items := e.Children[0].Children
			if len(items) != 1 || items[0].Attr("id") != fmt.Sprint(i) {
				t.Errorf("%q holds %s", n, e)
			}
		}
	})
}

// XEP-0060 §7.1.5: what publish-options ask for is there, or nothing happens.
func TestPublishOptions_preconditions(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := who("alice")
		put := func(node string, opts string) string {
			_, c := w.ask(a, a, stanza.Set, strings.Replace(publish(node, "1"), "</pubsub>", "<publish-options>"+opts+"</publish-options></pubsub>", 1))
			return c
		}
		const no = "conflict precondition-not-met"
		form := func(pairs ...string) string { return options(pubsub.OptionsForm, pairs...) }
		for _, c := range []struct{ node, opts, want string }{
			{"a", form("access_model", "whitelist", "max_items", "max"), ""},
			{"a", form("access_model", "whitelist"), ""},
			{"a", form("max_items", fmt.Sprint(pubsub.DefaultLimits().Items)), ""},
			{"a", form("persist_items", "1"), ""},
			{"a", form("persist_items", "false"), no},
			{"a", form("access_model", "open"), no},
			{"a", form("max_items", "1"), no},
			{"a", form("send_last_published_item", "never"), no},
			{"b", form("access_model", "nonsense"), no},
			{"b", form("unheard_of", "1"), no},
			{"b", form("max_items", "1000000"), no},
			{"b", options(pubsub.ConfigForm, "access_model", "open"), "bad-request"},
			{"b", "", "bad-request"},
		} {
			if got := put(c.node, c.opts); got != c.want {
				t.Errorf("%s %s: %q, want %q", c.node, c.opts, got, c.want)
			}
		}
		if _, c := w.ask(a, a, stanza.Get, ps+"<items node='b'/></pubsub>"); c != "item-not-found" {
			t.Errorf("a refused publication made a node: %q", c)
		}
	})
}

// malformed sends alice's service requests made of the right words in any order.
func (w *world) malformed(n int, senders ...string) *world {
	w.t.Helper()
	const seed = 20261125
	rng := rand.New(rand.NewPCG(seed, 1))
	names := []string{"items", "item", "publish", "retract", "create", "configure", "delete", "purge", "default", "subscribe", "unsubscribe",
		"subscriptions", "subscription", "affiliations", "affiliation", "options", "publish-options", "x", "field", "value", "set", "max", "after", "before", "redirect", "bogus"}
	spaces := []string{pubsub.Space, pubsub.Space, pubsub.OwnerSpace, pubsub.CommandSpace, "jabber:x:data", "http://jabber.org/protocol/rsm", "urn:v", ""}
	values := []string{"", "urn:n", "1", "max", "-1", "99999999999999999999", "alice@acme.test", "mallory@acme.test/x", "@", "a@b@c/", "owner", "none",
		"subscribed", "true", "submit", pubsub.ConfigForm, pubsub.OptionsForm, pubsub.SubscribeForm, pubsub.AuthorizeForm, "pubsub#access_model", "open", "pubsub#expire", "presence", "2026-13-99T99:99:99Z",
		"pubsub#show-values", "pubsub#node", "pubsub#subscriber_jid", "pubsub#allow", "pubsub#publish_node_full", "pubsub#contact", "pubsub#tempsub", pubsub.GetPending, "xmpp:a?b", "'; DROP TABLE pubsub_node; --", strings.Repeat("n", 2000)}
	attrs := []string{"node", "id", "jid", "affiliation", "subscription", "type", "var", "max_items", "notify", "subid", "uri", "action", "sessionid"}
	pick := func(s []string) string { return s[rng.IntN(len(s))] }
	var tree func(depth int) *elem.Element
	tree = func(depth int) *elem.Element {
		e := elem.New(pick(spaces), pick(names))
		for range rng.IntN(4) {
			e.Set(pick(attrs), pick(values))
		}
		if rng.IntN(3) == 0 {
			e.Text = pick(values)
		}
		for range rng.IntN(4) {
			if depth > 0 {
				e.Add(tree(depth - 1))
			}
		}
		return e
	}
	feature := Feature(w.Flow)
	for i := range n {
		payload := elem.New(pick([]string{pubsub.Space, pubsub.OwnerSpace}), "pubsub")
		if rng.IntN(8) == 0 {
			payload = elem.New(pubsub.CommandSpace, "command", "node", pick([]string{pubsub.GetPending, "", "urn:n"}), "action", pick(values), "sessionid", pick(values))
		}
		for range rng.IntN(4) {
			payload.Add(tree(4))
		}
		from := jid.MustParse(pick(senders))
		typ := []stanza.Type{stanza.Get, stanza.Set}[rng.IntN(2)]
		for _, r := range feature.IQ {
			if r.Space != payload.Space || r.Local != payload.Local || r.Type != typ || from.Bare() == who("alice") && r.Scope&im.ToSelf == 0 {
				continue
			}
			_, err := r.Handle(context.Background(), &im.IQ{Type: typ, ID: "1", From: from, To: who("alice"), Payload: payload})
			if err != nil && !strings.HasPrefix(err.Error(), "stanza: ") {
				w.t.Fatalf("seed %d, request %d, %s of %s: %s: %v", seed, i, typ, from, payload, err)
			}
		}
	}
	return w
}

// HARDENING M6 (CVE-2011-4320): whatever a pubsub request looks like, it is
// answered, never with an error of the server's own, and what strangers and
// contacts send changes nothing.
func TestRequest_malformed(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.contact("mallory", roster.To|roster.From)
	w.create("urn:n")
	w.must(who("alice"), who("alice"), stanza.Set, publish("urn:n", "1"))
	w.affiliate("urn:n", "bob", pubsub.Member)
	before := w.state()
	n := 3000
	if testing.Short() {
		n = 300
	}
	w.malformed(n, "mallory@acme.test/x", "nobody@acme.test/x", "bob@acme.test")
	after := w.state()
	// Subscribing is everybody's right who may read.
	if cut := regexp.MustCompile(`\[[^]]*\]\n`); cut.ReplaceAllString(after, "\n") != cut.ReplaceAllString(before, "\n") {
		t.Errorf("was\n%sis\n%s", before, after)
	}
	w.malformed(n, "alice@acme.test/a")
}

// HARDENING M4's lesson for forms: an answer to a question nobody asked, of any
// shape, is answered or goes on as a message, and changes nothing.
func TestApproval_malformed(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.create("urn:n", "access_model", "authorize")
	w.must(who("bob"), who("alice"), stanza.Set, subscribe("urn:n", "bob"))
	before := w.state()
	const seed = 20261126
	rng := rand.New(rand.NewPCG(seed, 2))
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	for i := range 2000 {
		x := "<x xmlns='jabber:x:data' type='" + pick("submit", "cancel", "form", "result", "", "x") + "'>"
		for range rng.IntN(6) {
			x += "<field var='" + pick("FORM_TYPE", "FORM_TYPE", "pubsub#node", "pubsub#subscriber_jid", "pubsub#allow", "pubsub#subid", "") + "'>"
			for range rng.IntN(3) {
				x += "<value>" + pick(pubsub.AuthorizeForm, pubsub.AuthorizeForm, "urn:n", "bob@acme.test", "@", "1", "true", "0", "", strings.Repeat("n", 3000)) + "</value>"
			}
			x += "</field>"
		}
		st := parse(t, "<message to='"+pick("alice@acme.test", "alice@acme.test/a", "bob@acme.test", "acme.test", "alice@elsewhere.test")+"'><body>b</body>"+x+"</x></message>")
		st.From = jid.MustParse(pick("bob@acme.test/b", "mallory@acme.test/m", "nobody@acme.test/n"))
		if rest, err := w.Take(context.Background(), st); err == nil && rest != nil && rest != st || err != nil && !strings.HasPrefix(err.Error(), "stanza: ") {
			t.Fatalf("seed %d, message %d: %s: %v", seed, i, x, err)
		}
	}
	if after := w.state(); after != before {
		t.Errorf("was\n%sis\n%s", before, after)
	}
}
