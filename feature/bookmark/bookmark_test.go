package bookmark

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var alice = jid.MustParse("alice@x.test")

// world is alice's bookmarks.
type world struct {
	t     *testing.T
	store *pubsub.Store
	told  []string
}

func (w *world) Nodes() *pubsub.Store { return w.store }

func (w *world) Do(ctx context.Context, account, by jid.JID, fn func(*pubsub.Writing) error) error {
	return w.store.Do(ctx, account, by, fn)
}

func run(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{pubsub.Migrations()}); err != nil {
			t.Fatal(err)
		}
		w := &world{t: t}
		w.store = pubsub.New(pubsub.Setup{DB: db, Convert: Convert, Initial: func(string) pubsub.Config { return pubsub.Private() },
			Changed: func(_ jid.JID, changes []pubsub.Change) {
				for _, c := range changes {
					w.told = append(w.told, fmt.Sprint(c.Kind, " ", c.Node.Name, " ", c.Item.ID))
				}
			}})
		fn(t, w)
	})
}

func (w *world) change(fn func(*pubsub.Writing) error) {
	w.t.Helper()
	if err := w.store.Do(w.t.Context(), alice, alice, fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) put(node, id, payload string) {
	w.t.Helper()
	w.change(func(x *pubsub.Writing) error {
		n, err := x.Ensure(node)
		if err != nil {
			return err
		}
		_, err = x.Put(n, pubsub.Item{ID: id, Payload: []byte(payload)})
		return err
	})
}

// items are those of a node, "id payload".
func (w *world) items(node string) (out []string) {
	w.t.Helper()
	root, err := w.store.Root(w.t.Context(), alice)
	if err != nil {
		w.t.Fatal(err)
	}
	n := root.Node(node)
	if n == nil {
		return nil
	}
	p, err := w.store.Items(w.t.Context(), n, pubsub.Query{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, it := range p.Items {
		out = append(out, it.ID+" "+string(it.Payload))
	}
	return out
}

func (w *world) want(node string, items ...string) {
	w.t.Helper()
	if got := w.items(node); !slices.Equal(got, items) {
		w.t.Errorf("%s:\n\t%s\nwant\n\t%s", node, strings.Join(got, "\n\t"), strings.Join(items, "\n\t"))
	}
}

// XEP-0402 §5.3.1 and §5.3.2: both ways, unchanged rooms untouched.
func TestConvert_bothWays(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const ext = `<extensions><notify xmlns='urn:xmpp:notification-settings:1'><never/></notify></extensions>`
		w.put(Native, "a@r.test", `<conference xmlns='urn:xmpp:bookmarks:1' name='A' autojoin='1'><nick>me</nick>`+ext+`</conference>`)
		w.want(Legacy, `current <storage xmlns='storage:bookmarks'><conference name='A' autojoin='true' jid='a@r.test'><nick>me</nick></conference></storage>`)
		w.put(Native, "B@R.test", `<conference xmlns='urn:xmpp:bookmarks:1'><password>s&amp;c</password></conference>`)
		w.told = nil
		// a renamed, b (written with other capitals) unchanged, c new, a web address.
		legacy := `<storage xmlns='storage:bookmarks'><url name='W' url='https://w.test/'/><conference name='AA' autojoin='true' jid='a@r.test'><nick>me</nick></conference>` +
			`<conference jid='b@r.test'><password>s&amp;c</password></conference><conference jid='c@r.test' autojoin='false'/><conference name='no address'/></storage>`
		w.put(Legacy, "current", legacy)
		w.want(Native, `B@R.test <conference xmlns='urn:xmpp:bookmarks:1'><password>s&amp;c</password></conference>`,
			`a@r.test <conference xmlns='urn:xmpp:bookmarks:1' name='AA' autojoin='true'><nick>me</nick>`+strings.ReplaceAll(ext, " xmlns='urn:xmpp:bookmarks:1'", "")+`</conference>`,
			`c@r.test <conference xmlns='urn:xmpp:bookmarks:1'/>`)
		if want := []string{"1 storage:bookmarks current", "1 urn:xmpp:bookmarks:1 a@r.test", "1 urn:xmpp:bookmarks:1 c@r.test"}; !slices.Equal(w.told, want) {
			t.Errorf("told %q, want %q", w.told, want)
		}
		w.want(Legacy, "current "+legacy) // what its client wrote stays as it was written
		w.told = nil
		w.put(Legacy, "current", `<storage xmlns='storage:bookmarks'><conference jid='c@r.test'/><url name='W' url='https://w.test/'/></storage>`)
		w.want(Native, `c@r.test <conference xmlns='urn:xmpp:bookmarks:1'/>`)
		slices.Sort(w.told)
		if want := []string{"1 storage:bookmarks current", "2 urn:xmpp:bookmarks:1 B@R.test", "2 urn:xmpp:bookmarks:1 a@r.test"}; !slices.Equal(w.told, want) {
			t.Errorf("told %q, want %q", w.told, want)
		}
		w.change(func(x *pubsub.Writing) error {
			n, err := x.Node(Native)
			if err != nil {
				return err
			}
			return x.Delete(n)
		})
		w.want(Legacy, `current <storage xmlns='storage:bookmarks'><url name='W' url='https://w.test/'/></storage>`)
	})
}

// A node its owner opened gets nothing it was not sent; what is no bookmark is left alone.
func TestConvert_openNodes(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.change(func(x *pubsub.Writing) error {
			_, err := x.Create(Legacy, pubsub.Default())
			return err
		})
		w.put(Native, "a@r.test", `<conference xmlns='urn:xmpp:bookmarks:1'><password>secret</password></conference>`)
		w.put(Native, "b@r.test", `<other xmlns='urn:x'/>`)
		w.put(Native, "@", `<conference xmlns='urn:xmpp:bookmarks:1'/>`)
		w.want(Legacy)
		w.put(Legacy, "x", `<storage xmlns='storage:bookmarks'/>`)
		if got := w.items(Native); len(got) != 3 {
			t.Errorf("an open node took rooms away: %q", got)
		}
	})
}

// XEP-0049: read and written as private XML, and private whatever the node was.
func TestPrivate_readWrite(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		p := Private{Personal: w}
		ctx := t.Context()
		if e, err := p.Read(ctx, alice); e != nil || err != nil {
			t.Fatalf("%v %v", e, err)
		}
		w.change(func(x *pubsub.Writing) error { _, err := x.Create(Legacy, pubsub.Default()); return err })
		e, err := elem.Parse([]byte(`<storage xmlns='storage:bookmarks'><conference jid='a@r.test'/></storage>`))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Write(ctx, alice, alice, e); err != nil {
			t.Fatal(err)
		}
		root, err := w.store.Root(ctx, alice)
		if err != nil {
			t.Fatal(err)
		}
		if a := root.Node(Legacy).Config.Access; a != pubsub.Whitelist {
			t.Errorf("the node is for %s", a)
		}
		w.want(Native, `a@r.test <conference xmlns='urn:xmpp:bookmarks:1'/>`)
		if got, err := p.Read(ctx, alice); err != nil || got.String() != e.String() {
			t.Errorf("%v %v", got, err)
		}
	})
}

// No more rooms than one change may mean; nothing of it is kept.
func TestConvert_tooMany(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		e := elem.New(Legacy, "storage")
		for i := range maxRooms + 1 {
			e.Add(elem.New(Legacy, "conference", "jid", fmt.Sprintf("r%d@r.test", i)))
		}
		if err := (Private{Personal: w}).Write(t.Context(), alice, alice, e); err == nil || !strings.Contains(err.Error(), "resource-constraint") {
			t.Errorf("%v", err)
		}
		w.want(Native)
		w.want(Legacy)
	})
}
