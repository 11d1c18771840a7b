package pubsub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	alice = jid.MustParse("alice@x.test")
	bob   = jid.MustParse("bob@x.test")
)

// bench is a store with a clock and what it was told.
type bench struct {
	*Store
	t    testing.TB
	now  time.Time
	told []Change
}

func run(t *testing.T, lim Limits, fn func(t *testing.T, b *bench)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, now: time.UnixMicro(1_000_000_000)}
		b.Store = New(Setup{DB: db, Limits: lim, Now: func() time.Time { return b.now },
			Changed: func(_ jid.JID, c []Change) { b.told = append(b.told, c...) }})
		fn(t, b)
	})
}

func (b *bench) do(fn func(w *Writing) error) error {
	return b.Do(context.Background(), alice, alice, fn)
}

func (b *bench) must(fn func(w *Writing) error) {
	b.t.Helper()
	if err := b.do(fn); err != nil {
		b.t.Fatal(err)
	}
}

// node makes alice's node n and puts items into it.
func (b *bench) node(c Config, ids ...string) *Node {
	b.t.Helper()
	var n *Node
	b.must(func(w *Writing) (err error) {
		n, err = w.Create("n", c)
		return err
	})
	for _, id := range ids {
		b.put(n, id, "<v/>")
	}
	return n
}

func (b *bench) put(n *Node, id, payload string) {
	b.t.Helper()
	b.must(func(w *Writing) error {
		_, err := w.Put(n, Item{ID: id, Payload: []byte(payload)})
		return err
	})
}

func (b *bench) ids(n *Node) []string {
	b.t.Helper()
	ids, err := b.IDs(context.Background(), n)
	if err != nil {
		b.t.Fatal(err)
	}
	return ids
}

func (b *bench) page(n *Node, q Query) (ids []string, complete bool) {
	b.t.Helper()
	p, err := b.Items(context.Background(), n, q)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, it := range p.Items {
		ids = append(ids, it.ID)
	}
	return ids, p.Complete
}

func condition(err error) string {
	var se *stanza.Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &se):
		return err.Error()
	case se.App != nil:
		return se.Condition + " " + se.App.Local
	}
	return se.Condition
}

// XEP-0060 §7.1.2.5: the oldest go; a republished item is the newest.
func TestStore_maxItems(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, b *bench) {
		c := Default()
		c.MaxItems = 3
		n := b.node(c, "a", "b", "c", "a", "d")
		if got := b.ids(n); !slices.Equal(got, []string{"c", "a", "d"}) {
			t.Errorf("%q", got)
		}
		c.MaxItems = 1
		b.must(func(w *Writing) error { return w.Configure(n, c) })
		if got := b.ids(n); !slices.Equal(got, []string{"d"}) {
			t.Errorf("room for one: %q", got)
		}
		c.Persist = false
		b.must(func(w *Writing) error { return w.Configure(n, c) })
		if got := b.ids(n); len(got) != 0 {
			t.Errorf("nothing is kept any more: %q", got)
		}
		root, err := b.Root(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		b.put(root.Node("n"), "e", "<v/>")
		if got := b.ids(n); len(got) != 0 || b.told[len(b.told)-1].Item.ID != "e" {
			t.Errorf("transient: kept %q, told %v", got, b.told[len(b.told)-1])
		}
	})
}

// XEP-0060 §16.4.3, pubsub#item_expire: gone from every answer, and from the disk
// with the next item.
func TestStore_itemExpire(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, b *bench) {
		c := Private()
		c.Expire = 60
		n := b.node(c, "a")
		b.now = b.now.Add(59 * time.Second)
		b.put(n, "b", "<v/>")
		if got := b.ids(n); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%q", got)
		}
		b.now = b.now.Add(2 * time.Second)
		if got := b.ids(n); !slices.Equal(got, []string{"b"}) {
			t.Errorf("after a minute: %q", got)
		}
		if _, ok, err := b.Item(t.Context(), n, "a"); ok || err != nil {
			t.Errorf("by its id: %v %v", ok, err)
		}
		b.put(n, "c", "<v/>")
		n.Config.Expire = 0
		if got := b.ids(n); !slices.Equal(got, []string{"b", "c"}) {
			t.Errorf("on disk: %q", got)
		}
	})
}

// XEP-0059 §2, XEP-0060 §6.5.4, §6.5.7.
func TestStore_pages(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, b *bench) {
		n := b.node(Private(), "a", "b", "c", "d", "e")
		for _, c := range []struct {
			q        Query
			want     string
			complete bool
		}{
			{Query{}, "abcde", true},
			{Query{Max: 2}, "ab", false},
			{Query{Max: 2, After: "b"}, "cd", false},
			{Query{Max: 2, After: "d"}, "e", true},
			{Query{Max: 2, Newest: true}, "de", false},
			{Query{Max: 2, Newest: true, Before: "d"}, "bc", false},
			{Query{Newest: true, Before: "c"}, "ab", true},
			{Query{Max: 5}, "abcde", true},
			{Query{Bytes: 1}, "a", false},
			{Query{Bytes: 8}, "ab", false},
		} {
			got, complete := b.page(n, c.q)
			if strings.Join(got, "") != c.want || complete != c.complete {
				t.Errorf("%+v: %q, complete %v", c.q, got, complete)
			}
		}
		if _, err := b.Items(t.Context(), n, Query{After: "x"}); condition(err) != "item-not-found" {
			t.Errorf("after an item that is not there: %v", err)
		}
	})
}

// Each limit refuses one more, and what was refused is not there.
func TestStore_limits(t *testing.T) {
	lim := Limits{Nodes: 2, Items: 3, Payload: 100, Bytes: 220, Subscriptions: 2, Affiliations: 2, Text: 10, Groups: 1}
	run(t, lim, func(t *testing.T, b *bench) {
		c := Private()
		n := b.node(c, "a", "b", "c", "d")
		if got := b.ids(n); len(got) != 3 {
			t.Errorf("items: %q", got)
		}
		put := func(id string, size int) string {
			return condition(b.do(func(w *Writing) error {
				_, err := w.Put(n, Item{ID: id, Payload: []byte(strings.Repeat("x", size))})
				return err
			}))
		}
		refused := map[string]string{
			"a payload": put("big", 101), "a name": put("12345678901", 1),
		}
		if refused["a payload"] != "not-acceptable payload-too-big" || refused["a name"] != "not-acceptable" {
			t.Errorf("%v", refused)
		}
		if got := put("e", 99) + put("f", 99) + put("g", 99); got != "resource-constraint" {
			t.Errorf("bytes of the account: %q", got)
		}
		if got := b.ids(n); !slices.Equal(got, []string{"d", "e", "f"}) {
			t.Errorf("after a refusal: %q", got)
		}
		create := func(name string) string {
			return condition(b.do(func(w *Writing) error { _, err := w.Create(name, c); return err }))
		}
		if got := create("m") + create("o"); got != "resource-constraint" {
			t.Errorf("nodes: %q", got)
		}
		for i, want := range []string{"", "", "policy-violation too-many-subscriptions"} {
			who := jid.MustParse(fmt.Sprintf("u%d@x.test", i))
			err := b.do(func(w *Writing) error {
				n, err := w.Node("n")
				if err != nil {
					return err
				}
				return w.Subscribe(n, who, Subscribed)
			})
			if condition(err) != want {
				t.Errorf("subscription %d: %v", i, err)
			}
		}
		for i, want := range []string{"", "", "resource-constraint"} {
			who := jid.MustParse(fmt.Sprintf("u%d@x.test", i))
			err := b.do(func(w *Writing) error {
				n, err := w.Node("n")
				if err != nil {
					return err
				}
				return w.Affiliate(n, who, Member)
			})
			if condition(err) != want {
				t.Errorf("affiliation %d: %v", i, err)
			}
		}
	})
}

// What is in memory is what is on disk, after every kind of change.
func TestStore_memoryFollows(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, b *bench) {
		look := func() string {
			root, err := b.Root(t.Context(), alice)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, n := range root.Nodes() {
				out = append(out, fmt.Sprint(n.Name, n.Config.Title, n.Affiliation(bob), n.Subscription(bob)))
			}
			return strings.Join(out, " ")
		}
		n := b.node(Default())
		steps := []struct {
			do   func(w *Writing) error
			want string
		}{
			{func(w *Writing) error { c := n.Config; c.Title = "T"; return w.Configure(n, c) }, "nTnonenone"},
			{func(w *Writing) error { return w.Affiliate(n, bob, Member) }, "nTmembernone"},
			{func(w *Writing) error { return w.Subscribe(n, bob, Pending) }, "nTmemberpending"},
			{func(w *Writing) error { return w.Subscribe(n, bob, Subscribed) }, "nTmembersubscribed"},
			{func(w *Writing) error { return w.Affiliate(n, bob, Outcast) }, "nToutcastnone"}, // XEP-0060 §4.1
			{func(w *Writing) error { return w.Affiliate(n, bob, NoneAtAll) }, "nTnonenone"},
			{func(w *Writing) error { _, err := w.Create("m", Default()); return err }, "mnonenone nTnonenone"},
			{func(w *Writing) error { return w.Delete(n) }, "mnonenone"},
		}
		for i, s := range steps {
			b.must(s.do)
			if got := look(); got != s.want {
				t.Errorf("step %d: %q, want %q", i, got, s.want)
			}
			b.Drop(alice)
			if got := look(); got != s.want {
				t.Errorf("step %d, from disk: %q, want %q", i, got, s.want)
			}
		}
		failed := errors.New("no")
		err := b.do(func(w *Writing) error {
			if _, err := w.Create("undone", Default()); err != nil {
				return err
			}
			return failed
		})
		if !errors.Is(err, failed) || look() != "mnonenone" {
			t.Errorf("undone: %v, %q", err, look())
		}
	})
}

// An account that goes takes its nodes along, and what others' nodes know of it.
func TestStore_forget(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, b *bench) {
		n := b.node(Default(), "a")
		b.must(func(w *Writing) error {
			if err := w.Affiliate(n, bob, Member); err != nil {
				return err
			}
			return w.Subscribe(n, bob, Subscribed)
		})
		if at, err := b.SubscribedAt(t.Context(), bob); err != nil || !slices.Equal(at, []jid.JID{alice}) {
			t.Fatalf("%v %v", at, err)
		}
		forget := func(who jid.JID) {
			err := b.cfg.DB.Write(t.Context(), func(tx *store.Tx) error { return b.Forget(tx, who) })
			if err != nil {
				t.Fatal(err)
			}
			b.Drop(alice)
		}
		forget(bob)
		root, err := b.Root(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		if n := root.Node("n"); n == nil || n.Affiliation(bob) != NoneAtAll || len(n.Subscriptions()) != 0 {
			t.Errorf("%+v", n)
		}
		forget(alice)
		if root, err = b.Root(t.Context(), alice); err != nil || len(root.Nodes()) != 0 || len(b.ids(n)) != 0 {
			t.Errorf("%v %v", root, err)
		}
	})
}

// XEP-0060 §8.2: what is submitted is what is shown, and nonsense changes nothing.
func TestConfig_form(t *testing.T) {
	l := DefaultLimits()
	c := Default()
	f := c.Form("form", l)
	f.Type = "submit"
	next := Private()
	if err := next.Read(f, l); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(next) != fmt.Sprint(c) {
		t.Errorf("\n%+v\n%+v", next, c)
	}
	for name, value := range map[string]string{
		"pubsub#access_model": "everyone", "pubsub#max_items": "-1", "pubsub#persist_items": "maybe", "pubsub#item_expire": "soon",
		"pubsub#send_last_published_item": "always", "pubsub#notification_type": "chat", "pubsub#publish_model": "all",
		"pubsub#title": strings.Repeat("t", l.Text+1), "pubsub#max_payload_size": "10",
	} {
		bad := form.New("submit", ConfigForm).Add("", name, "", value)
		if err := next.Read(bad, l); err == nil || err.Condition != "not-acceptable" {
			t.Errorf("%s %s: %v", name, value, err)
		}
	}
	for _, f := range []*form.Form{nil, form.New("form", ConfigForm), form.New("submit", "urn:x")} {
		if err := next.Read(f, l); err == nil || err.Condition != "bad-request" {
			t.Errorf("%v: %v", f, err)
		}
	}
}

// What comes from memory is the newest on disk, after every change of items.
func TestStore_last(t *testing.T) {
	run(t, Limits{}, func(t *testing.T, b *bench) {
		c := Private()
		c.Expire = 60
		n := b.node(c)
		last := func(want string) {
			t.Helper()
			for range 2 { // from disk, then from memory
				it, ok, err := b.Last(t.Context(), n)
				if err != nil || it.ID != want || ok != (want != "") {
					t.Errorf("%q %v %v, want %q", it.ID, ok, err, want)
				}
			}
		}
		last("")
		b.put(n, "a", "<v/>")
		last("a")
		b.put(n, "big", "<v>"+strings.Repeat("x", lastBytes)+"</v>")
		last("big")
		b.put(n, "c", "<v/>")
		last("c")
		b.must(func(w *Writing) error { _, err := w.Retract(n, "c", false); return err })
		last("big")
		b.put(n, "d", "<v/>")
		b.now = b.now.Add(time.Minute)
		last("")
		b.put(n, "e", "<v/>")
		last("e")
		b.must(func(w *Writing) error { return w.Purge(n) })
		last("")
	})
}
