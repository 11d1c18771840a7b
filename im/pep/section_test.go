package pep

import (
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// announced is XEP-0060 §10: what each feature that is announced promises, tried.
// Where a longer test tries it too, it is named.
func announced() map[string]func(t *testing.T, w *world) {
	a, b := who("alice"), who("bob")
	model := func(access, want string) func(*testing.T, *world) { // TestAccess_matrix
		return func(t *testing.T, w *world) {
			w.create("n", "access_model", access)
			w.must(a, a, stanza.Set, publish("n", "1"))
			if _, got := w.ask(b, a, stanza.Get, ps+"<items node='n'/></pubsub>"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
	affiliation := func(af pubsub.Affiliation, reads, publishes string) func(*testing.T, *world) { // TestTakeover_matrix
		return func(t *testing.T, w *world) {
			w.create("n", "access_model", "whitelist")
			w.must(a, a, stanza.Set, publish("n", "1"))
			w.affiliate("n", "bob", af)
			if _, got := w.ask(b, a, stanza.Get, ps+"<items node='n'/></pubsub>"); got != reads {
				t.Errorf("reads: %q, want %q", got, reads)
			}
			if _, got := w.ask(b, a, stanza.Set, publish("n", "2")); got != publishes {
				t.Errorf("publishes: %q, want %q", got, publishes)
			}
		}
	}
	count := func(w *world, typ stanza.Type, payload, local string, n int) {
		w.t.Helper()
		e := w.must(a, a, typ, payload)
		got := 0
		for _, k := range e.Children[0].Children {
			if k.Local == local {
				got++
			}
		}
		if got != n {
			w.t.Errorf("%s: %d <%s/>, want %d: %s", payload, got, local, n, e)
		}
	}
	filled := func(w *world, max string) { // a node with the items 1, 2, 3
		w.create("n", "max_items", max, "access_model", "open")
		for _, id := range []string{"1", "2", "3"} {
			w.must(a, a, stanza.Set, publish("n", id))
		}
	}
	defaults := func(w *world) *form.Form {
		return form.Read(w.must(a, a, stanza.Get, owner+"<default/></pubsub>").Children[0].Child(form.Space, "x"))
	}
	return map[string]func(t *testing.T, w *world){
		"access-open":      model("open", ""),
		"access-presence":  model("presence", noPresence),
		"access-roster":    model("roster", noGroup),
		"access-authorize": model("authorize", noApproval), // TestApproval_byForm
		"access-whitelist": model("whitelist", notOnList),
		"auto-create": func(_ *testing.T, w *world) {
			w.must(a, a, stanza.Set, publish("n", "1"))
			count(w, stanza.Get, ps+"<items node='n'/></pubsub>", "item", 1)
		},
		"auto-subscribe":         hears("bob", roster.To|roster.From), // XEP-0060 §9.1
		"presence-subscribe":     hears("bob", roster.To|roster.From),
		"filtered-notifications": hears("bob", roster.To|roster.From),
		"config-node": func(t *testing.T, w *world) {
			w.create("n")
			w.must(a, a, stanza.Set, owner+"<configure node='n'>"+options(pubsub.ConfigForm, "title", "T")+"</configure></pubsub>")
			e := w.must(a, a, stanza.Get, owner+"<configure node='n'/></pubsub>")
			same(t, "title", form.Read(e.Children[0].Children[0]).Values("pubsub#title"), "T")
		},
		"config-node-max": func(t *testing.T, w *world) {
			w.create("n", "max_items", "max", "item_expire", "max")
			e := w.must(a, a, stanza.Get, owner+"<configure node='n'/></pubsub>")
			same(t, "max", form.Read(e.Children[0].Children[0]).Values("pubsub#max_items"), "max")
		},
		"create-and-configure": func(t *testing.T, w *world) {
			w.create("n", "title", "T")
			e := w.must(a, a, stanza.Get, owner+"<configure node='n'/></pubsub>")
			same(t, "title", form.Read(e.Children[0].Children[0]).Values("pubsub#title"), "T")
		},
		"create-nodes": func(t *testing.T, w *world) {
			w.must(a, a, stanza.Set, ps+"<create node='n'/></pubsub>")
			if _, c := w.ask(a, a, stanza.Set, ps+"<create node='n'/></pubsub>"); c != "conflict" {
				t.Errorf("again: %q", c)
			}
		},
		"instant-nodes": func(t *testing.T, w *world) {
			e := w.must(a, a, stanza.Set, ps+"<create/></pubsub>")
			w.must(a, a, stanza.Get, owner+"<configure node='"+e.Children[0].Attr("node")+"'/></pubsub>")
		},
		"delete-nodes": func(t *testing.T, w *world) { // TestConfig_others: redirect
			w.create("n")
			w.must(a, a, stanza.Set, owner+"<delete node='n'/></pubsub>")
			if _, c := w.ask(a, a, stanza.Get, ps+"<items node='n'/></pubsub>"); c != "item-not-found" {
				t.Errorf("%q", c)
			}
		},
		"delete-items": retracts, "retract-items": retracts,
		"get-pending": approvalPending,
		"item-ids": func(_ *testing.T, w *world) {
			filled(w, "3")
			count(w, stanza.Get, ps+"<items node='n'><item id='2'/></items></pubsub>", "item", 1)
		},
		"last-published":      lastPublished,
		"leased-subscription": lease, // TestOptions_expire
		"manage-subscriptions": func(_ *testing.T, w *world) {
			filled(w, "3")
			w.must(b, a, stanza.Set, subscribe("n", "bob"))
			count(w, stanza.Get, owner+"<subscriptions node='n'/></pubsub>", "subscription", 1)
		},
		"modify-affiliations": func(_ *testing.T, w *world) {
			filled(w, "3")
			w.affiliate("n", "bob", pubsub.Member)
			count(w, stanza.Get, owner+"<affiliations node='n'/></pubsub>", "affiliation", 2)
			w.affiliate("n", "bob", pubsub.NoneAtAll)
			count(w, stanza.Get, owner+"<affiliations node='n'/></pubsub>", "affiliation", 1)
		},
		"member-affiliation":       affiliation(pubsub.Member, "", mayNot),
		"outcast-affiliation":      affiliation(pubsub.Outcast, mayNot, mayNot),
		"publisher-affiliation":    affiliation(pubsub.Publisher, "", ""),
		"publish-only-affiliation": affiliation(pubsub.PublishOnly, mayNot, ""),
		"meta-data":                metadata,
		"multi-items": func(_ *testing.T, w *world) {
			filled(w, "3")
			count(w, stanza.Get, ps+"<items node='n'/></pubsub>", "item", 3)
		},
		"persistent-items": func(_ *testing.T, w *world) {
			filled(w, "3")
			w.nodes.Drop(a)
			count(w, stanza.Get, ps+"<items node='n'/></pubsub>", "item", 3)
		},
		"presence-notifications": func(t *testing.T, w *world) {
			w.create("n", "access_model", "open", "presence_based_delivery", "1")
			w.must(b, a, stanza.Set, subscribe("n", "bob"))
			bob := w.bind("bob/b")
			w.must(a, a, stanza.Set, publish("n", "1"))
			same(t, "who is not there", bob.events())
		},
		"publish": func(_ *testing.T, w *world) { filled(w, "3") },
		"publish-node-full": func(_ *testing.T, w *world) {
			filled(w, "2")
			count(w, stanza.Get, ps+"<items node='n'/></pubsub>", "item", 2)
		}, // TestNode_full
		"publish-options": func(t *testing.T, w *world) { // TestPublishOptions_preconditions
			filled(w, "3")
			p := strings.Replace(publish("n", "4"), "</pubsub>", "<publish-options>"+options(pubsub.OptionsForm, "access_model", "whitelist")+"</publish-options></pubsub>", 1)
			if _, c := w.ask(a, a, stanza.Set, p); c != "conflict precondition-not-met" {
				t.Errorf("%q", c)
			}
		},
		"purge-nodes": func(_ *testing.T, w *world) {
			filled(w, "3")
			w.must(a, a, stanza.Set, owner+"<purge node='n'/></pubsub>")
			count(w, stanza.Get, ps+"<items node='n'/></pubsub>", "item", 0)
		},
		"retrieve-affiliations": func(_ *testing.T, w *world) {
			filled(w, "3")
			count(w, stanza.Get, ps+"<affiliations/></pubsub>", "affiliation", 1)
		},
		"retrieve-default": func(t *testing.T, w *world) {
			same(t, "default", defaults(w).Values("pubsub#access_model"), "presence")
		},
		"retrieve-default-sub": func(t *testing.T, w *world) { // TestOptions_errors
			e := w.must(b, a, stanza.Get, ps+"<default/></pubsub>")
			same(t, "default", form.Read(e.Children[0].Children[0]).Values("pubsub#deliver"), "1")
		},
		"retrieve-items": func(_ *testing.T, w *world) {
			filled(w, "3")
			count(w, stanza.Get, ps+"<items node='n' max_items='2'/></pubsub>", "item", 2)
		},
		"retrieve-subscriptions": func(_ *testing.T, w *world) {
			filled(w, "3")
			w.must(a, a, stanza.Set, subscribe("n", "alice"))
			count(w, stanza.Get, ps+"<subscriptions/></pubsub>", "subscription", 1)
			count(w, stanza.Get, ps+"<subscriptions node='n'/></pubsub>", "subscription", 1)
		},
		"rsm": func(_ *testing.T, w *world) {
			filled(w, "3")
			count(w, stanza.Get, ps+"<items node='n'/><set xmlns='http://jabber.org/protocol/rsm'><max>1</max><after>1</after></set></pubsub>", "item", 1)
		},
		"subscribe": func(t *testing.T, w *world) {
			filled(w, "3")
			w.must(b, a, stanza.Set, subscribe("n", "bob"))
			w.must(b, a, stanza.Set, ps+"<unsubscribe node='n' jid='bob@acme.test'/></pubsub>")
			if _, c := w.ask(b, a, stanza.Set, ps+"<unsubscribe node='n' jid='bob@acme.test'/></pubsub>"); c != "unexpected-request not-subscribed" {
				t.Errorf("%q", c)
			}
		},
		"subscription-notifications": func(t *testing.T, w *world) { // TestRevoke_*
			bob := w.online("bob/b")
			w.create("n", "access_model", "authorize")
			w.must(b, a, stanza.Set, subscribe("n", "bob"))
			w.must(a, a, stanza.Set, owner+"<subscriptions node='n'><subscription jid='bob@acme.test' subscription='none'/></subscriptions></pubsub>")
			same(t, "refused", bob.events(), "subscription n none")
		},
		"subscription-options": func(t *testing.T, w *world) { // TestOptions_deliverAndShow
			filled(w, "3")
			w.must(b, a, stanza.Set, subscribe("n", "bob", wish("deliver", "0")))
			bob := w.online("bob/b")
			w.must(a, a, stanza.Set, publish("n", "4"))
			same(t, "delivered", bob.events())
		},
	}
}

// hears says that a contact whose client named a node is told, without having subscribed.
func hears(name string, st roster.State) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.contact(name, st)
		c, deaf := w.online(name+"/c", "n"), w.online(name+"/d", "m")
		w.must(who("alice"), who("alice"), stanza.Set, publish("n", "1"))
		same(t, "told", c.events(), "items n item:1")
		same(t, "who named another node", deaf.events())
	}
}

func retracts(t *testing.T, w *world) {
	a := who("alice")
	alice := w.online("alice/a", "n")
	w.create("n", "notify_retract", "0")
	w.must(a, a, stanza.Set, publish("n", "1"))
	w.must(a, a, stanza.Set, ps+"<retract node='n' notify='1'><item id='1'/></retract></pubsub>")
	same(t, "told although the node says no", alice.events(), "items n item:1", "items n retract:1")
}

// approvalPending is a short TestApproval_getPending.
func approvalPending(t *testing.T, w *world) {
	w.create("n", "access_model", "authorize")
	w.must(who("bob"), who("alice"), stanza.Set, subscribe("n", "bob"))
	e := w.must(jid.MustParse("alice@acme.test/a"), who("alice"), stanza.Set, pending+"/>")
	f := form.Read(e.Child(form.Space, "x"))
	same(t, "nodes", []string{f.Fields[1].Options[0].Value}, "n")
}

func lastPublished(t *testing.T, w *world) {
	w.create("n")
	w.must(who("alice"), who("alice"), stanza.Set, publish("n", "1"))
	w.contact("bob", roster.To|roster.From)
	same(t, "on coming online", w.online("bob/b", "n").events(), "items n item:1 (old)")
}

func lease(t *testing.T, w *world) {
	w.create("n", "access_model", "open")
	until := w.now.AddDate(0, 1, 0)
	w.must(who("bob"), who("alice"), stanza.Set, subscribe("n", "bob", wish("expire", stanza.Stamp(until))))
	w.now = until
	e := w.must(who("bob"), who("alice"), stanza.Get, ps+"<subscriptions/></pubsub>")
	if len(e.Children[0].Children) != 0 {
		t.Errorf("%s", e)
	}
}

// metadata is XEP-0060 §5.4: of use to a reader, and nothing about other readers.
func metadata(t *testing.T, w *world) {
	w.create("n", "access_model", "open", "title", "T", "contact", "olga@acme.test", "language", "de", "roster_groups_allowed", "Secret")
	w.must(who("bob"), who("alice"), stanza.Set, subscribe("n", "bob"))
	e, err := w.Requests().NodeInfo(t.Context(), who("alice"), who("bob"), "n")
	if err != nil {
		t.Fatal(err)
	}
	f := form.Read(e.Child(form.Space, "x"))
	if f.Kind() != pubsub.MetaForm {
		t.Errorf("%s", e)
	}
	for name, want := range map[string]string{"title": "T", "contact": "olga@acme.test", "language": "de", "num_subscribers": "1", "owner": "alice@acme.test",
		"creation_date": stanza.Stamp(w.now), "access_model": "open"} {
		same(t, name, f.Values("pubsub#"+name), want)
	}
	if s := e.String(); strings.Contains(s, "Secret") || strings.Contains(s, "bob") {
		t.Errorf("more than that: %s", s)
	}
}

// XEP-0060 §10: what is announced works, what is RECOMMENDED is there, and what
// is not announced is not there.
func TestFeatures_eachIsTried(t *testing.T) {
	tried := announced()
	for _, name := range offered {
		if tried[name] == nil {
			t.Errorf("%s is announced and not tried", name)
		}
	}
	for name := range tried {
		if !slices.Contains(offered, name) {
			t.Errorf("%s is tried and not announced", name)
		}
	}
	for _, name := range []string{"auto-subscribe", "config-node", "create-and-configure", "create-nodes", "delete-items", "delete-nodes",
		"filtered-notifications", "instant-nodes", "item-ids", "last-published", "member-affiliation", "meta-data", "outcast-affiliation", "persistent-items",
		"presence-subscribe", "publish", "publisher-affiliation", "retrieve-affiliations", "retrieve-default", "retrieve-items", "retrieve-subscriptions", "subscribe"} {
		if !slices.Contains(offered, name) {
			t.Errorf("%s is RECOMMENDED and not there", name)
		}
	}
	if slices.Contains(offered, "multi-subscribe") {
		t.Error("one subscription an address, no ids: multi-subscribe is not there")
	}
	for name, f := range tried {
		// On one engine: each is tried on both by the test it names, or by im/pubsub's.
		t.Run(name, func(t *testing.T) { f(t, newWorld(t, storetest.SQLite(t))) })
	}
}

// XEP-0050 §2.2: the account's one command is found by its owner.
func TestDisco_command(t *testing.T) {
	func(w *world) {
		a, r := who("alice"), w.Requests()
		for asker, want := range map[string]int{"alice": 1, "bob": 0} {
			e, err := r.NodeItems(t.Context(), a, who(asker), pubsub.CommandSpace)
			if err != nil || len(e.Children) != want {
				t.Errorf("%s: %s %v", asker, e, err)
			}
		}
		for node, typ := range map[string]string{pubsub.CommandSpace: "command-list", pubsub.GetPending: "command-node"} {
			e, err := r.NodeInfo(t.Context(), a, a, node)
			if err != nil || e.Child("http://jabber.org/protocol/disco#info", "identity").Attr("type") != typ {
				t.Errorf("%s: %v %v", node, e, err)
			}
		}
	}(newWorld(t, storetest.SQLite(t)))
}
