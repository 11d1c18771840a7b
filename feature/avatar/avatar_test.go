package avatar

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	alice = jid.MustParse("alice@x.test")
	bob   = jid.MustParse("bob@x.test")
	carol = jid.MustParse("carol@x.test")
)

// png is the beginning of a picture, which is enough to know one; gif another.
var (
	png = base64.StdEncoding.EncodeToString([]byte("\x89PNG\r\n\x1a\n rest"))
	gif = base64.StdEncoding.EncodeToString([]byte("GIF89a rest"))
)

func sum(b64 string) string { _, s, _ := decode(b64); return s }

// world is alice's picture; bob sees her presence, carol does not.
type world struct {
	*Avatars
	t       *testing.T
	store   *pubsub.Store
	changes []pubsub.Change
}

func (w *world) Nodes() *pubsub.Store { return w.store }

func (w *world) Do(ctx context.Context, account, by jid.JID, fn func(*pubsub.Writing) error) error {
	return w.store.Do(ctx, account, by, fn)
}

func (w *world) Relation(_ context.Context, _, who jid.JID) (pubsub.Relation, error) {
	return pubsub.Relation{Presence: who.Bare() == bob}, nil
}

// sent is the presence alice has sent, and what became of it.
type sent struct{ was, is *stanza.Stanza }

func (s *sent) Revise(_ context.Context, _ jid.JID, change func(*stanza.Stanza) *stanza.Stanza) error {
	s.is = change(s.was)
	return nil
}

func run(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{pubsub.Migrations()}); err != nil {
			t.Fatal(err)
		}
		w := &world{t: t}
		w.store = pubsub.New(pubsub.Setup{DB: db, Changed: func(_ jid.JID, c []pubsub.Change) { w.changes = append(w.changes, c...) }})
		w.Avatars = New(w, nil)
		fn(t, w)
	})
}

// publish is what a client does (XEP-0084 §3): data, then metadata.
func (w *world) publish(access pubsub.Access, data, id string) {
	w.t.Helper()
	err := w.store.Do(w.t.Context(), alice, alice, func(x *pubsub.Writing) error {
		for _, it := range []struct{ node, payload string }{
			{Data, "<data xmlns='urn:xmpp:avatar:data'>" + data + "</data>"},
			{Metadata, "<metadata xmlns='urn:xmpp:avatar:metadata'><info url='https://x.test/a' id='elsewhere'/><info bytes='1' id='" + id + "' type='image/png'/></metadata>"},
		} {
			n, err := x.Node(it.node)
			if err != nil {
				return err
			}
			if n == nil {
				c := pubsub.Default()
				c.Access = access
				if n, err = x.Create(it.node, c); err != nil {
					return err
				}
			}
			if _, err := x.Put(n, pubsub.Item{ID: id, Payload: []byte(it.payload)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// sees is the picture's base64 somebody gets in alice's vCard.
func (w *world) sees(who jid.JID) string {
	w.t.Helper()
	typ, data, err := w.Photo(w.t.Context(), alice, who)
	if err != nil {
		w.t.Fatal(err)
	}
	if data != "" && typ != "image/png" && typ != "image/gif" {
		w.t.Errorf("type %q", typ)
	}
	return data
}

// hash is what presence says now: "-" for nothing at all.
func (w *world) hash(content string) string {
	w.t.Helper()
	w.cache.Drop(alice)
	st := presence(w.t, content)
	out, err := w.Stamp(w.t.Context(), alice, st)
	if err != nil {
		w.t.Fatal(err)
	}
	return photo(w.t, out)
}

func presence(t *testing.T, content string) *stanza.Stanza {
	t.Helper()
	sc := elem.NewScanner(elem.DefaultLimits())
	src := []byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><presence>" + content + "</presence>")
	for {
		ev, n, err := sc.Next(src)
		if err != nil {
			t.Fatal(err)
		}
		if ev == elem.Stanza {
			st, err := stanza.Read(sc.Raw(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		src = src[n:]
	}
}

func photo(t *testing.T, st *stanza.Stanza) string {
	t.Helper()
	e, err := elem.ParseIn(st.AppendTo(nil), stanza.Space, nil)
	if err != nil {
		t.Fatalf("%s: %v", st.AppendTo(nil), err)
	}
	x := e.Child(update, "x")
	if x == nil {
		return "-"
	}
	if p := x.Child(update, "photo"); p != nil {
		return p.Text
	}
	return "no photo"
}

// XEP-0398 §3.1, §5.2: seen by those who may read the nodes, and only the picture
// that was announced.
func TestPhoto_fromNodes(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		if w.sees(alice) != "" || w.hash("") != "-" {
			t.Error("a picture out of nowhere")
		}
		w.publish(pubsub.Presence, png, sum(png))
		for who, want := range map[jid.JID]string{alice: png, bob: png, carol: ""} {
			if got := w.sees(who); got != want {
				t.Errorf("%s sees %q", who, got)
			}
		}
		w.publish(pubsub.Presence, png, strings.Repeat("0", 40))
		if got := w.sees(alice); got != "" {
			t.Errorf("a picture with another's hash: %q", got)
		}
	})
}

// XEP-0398 §4: every available presence but those that say there is none.
func TestStamp_presence(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.publish(pubsub.Presence, png, sum(png))
		for content, want := range map[string]string{
			"":                                 sum(png),
			"<show>away</show>":                sum(png),
			"<x xmlns='vcard-temp:x:update'/>": sum(png),
			"<x xmlns='vcard-temp:x:update'/><a xmlns='urn:a'/><x xmlns='vcard-temp:x:update'/>": sum(png),
			"<x xmlns='vcard-temp:x:update'><photo>old</photo></x>":                              sum(png),
			"<x xmlns='vcard-temp:x:update'><photo/></x>":                                        "",
		} {
			if got := w.hash(content); got != want {
				t.Errorf("%s: %q, want %q", content, got, want)
			}
		}
		gone := presence(t, "")
		gone.Type = stanza.Unavailable
		if out, err := w.Stamp(t.Context(), alice, gone); err != nil || out != gone {
			t.Errorf("unavailable: %v %v", out, err)
		}
	})
	run(t, func(t *testing.T, w *world) { // a picture for few is not announced to many
		w.publish(pubsub.Whitelist, png, sum(png))
		if got := w.hash(""); got != "-" {
			t.Errorf("%q", got)
		}
	})
}

// XEP-0398 §3.2 and back again.
func TestSetPhoto_toNodes(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		set := func(data string, want bool) {
			t.Helper()
			if ok, err := w.SetPhoto(ctx, alice, alice, data); ok != want || err != nil {
				t.Errorf("%.20q: %v %v", data, ok, err)
			}
		}
		set("", true)
		if len(w.changes) != 0 {
			t.Errorf("nothing to take away: %v", w.changes)
		}
		set(png[:4]+"\n  "+png[4:], true) // XEP-0153 §4.5
		for _, who := range []jid.JID{alice, bob, carol} {
			if got := w.sees(who); got != png { // a vCard is for everybody
				t.Errorf("%s sees %q", who, got)
			}
		}
		if w.hash("") != sum(png) || len(w.changes) != 2 {
			t.Errorf("%q %v", w.hash(""), w.changes)
		}
		set(png, true)
		if len(w.changes) != 2 {
			t.Error("the same picture was published again")
		}
		set("%%%", false)
		set(base64.StdEncoding.EncodeToString([]byte("<svg onload='x()'/>")), false)
		set(gif, true)
		if got := w.sees(bob); got != gif {
			t.Errorf("bob sees %q", got)
		}
		set("", true)
		if w.sees(alice) != "" || w.hash("") != "" {
			t.Errorf("taken away: %q %q", w.sees(alice), w.hash(""))
		}
	})
}

// XEP-0153 §3.1: contacts see the presence again when, and only when, it says
// something else.
func TestChanged_presence(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		s := &sent{was: presence(t, "<show>away</show>")}
		other := []pubsub.Change{{Node: &pubsub.Node{Name: "urn:other"}}}
		if err := w.Changed(ctx, alice, other, s); err != nil || s.is != nil {
			t.Errorf("another node: %v %v", s.is, err)
		}
		w.publish(pubsub.Open, png, sum(png))
		if err := w.Changed(ctx, alice, w.changes, s); err != nil || s.is == nil || photo(t, s.is) != sum(png) {
			t.Fatalf("%v %v", s.is, err)
		}
		if photo(t, s.was) != "-" {
			t.Error("the old presence was altered")
		}
		s = &sent{was: presence(t, string(s.is.Content))}
		if err := w.Changed(ctx, alice, w.changes, s); err != nil || s.is != nil {
			t.Errorf("the same again: %v %v", s.is, err)
		}
	})
}
