package pep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/disco"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const domain = "acme.test"

func who(name string) jid.JID { return jid.MustParse(name + "@" + domain) }

// world is personal services without edges and without presence being told.
type world struct {
	*Flow
	t       testing.TB
	db      *store.DB
	routes  *route.Table
	rosters *roster.Store
	blocks  *block.Store
	now     time.Time
}

func newWorld(t testing.TB, db *store.DB) *world {
	t.Helper()
	w := &world{t: t, db: db, now: time.Date(2026, 11, 25, 7, 0, 0, 0, time.UTC)}
	sets := []store.Migrations{roster.Migrations(), block.Migrations(), pubsub.Migrations()}
	if err := db.Migrate(context.Background(), sets); err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return w.now }
	w.routes = route.NewTable(route.Config{Session: session.DefaultLimits, Now: clock})
	w.rosters = roster.New(roster.Config{DB: db, Routes: w.routes, Now: clock})
	w.blocks = block.New(block.Config{DB: db, Routes: w.routes, Now: clock})
	w.Flow = New(Config{DB: db, Routes: w.routes, Rosters: w.rosters, May: w.blocks.Allows, Now: clock,
		LocalDomain: func(d string) bool { return d == domain }})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// client is one connected resource.
type client struct {
	*session.Session
	w    *world
	wire *wire
}

type wire struct{}

func (*wire) Wake()              {}
func (*wire) Kick(*stream.Error) {}

func (w *world) bind(name string) *client {
	w.t.Helper()
	user, res, _ := strings.Cut(name, "/")
	wi := &wire{}
	s, _, err := w.routes.Bind(jid.MustParse(user+"@"+domain+"/"+res), wi)
	if err != nil {
		w.t.Fatal(err)
	}
	return &client{s, w, wi}
}

// infoOf is what a client that wants to hear of nodes says of itself.
func infoOf(nodes ...string) disco.Info {
	i := disco.Info{Identities: []disco.Identity{{Category: "client", Type: "pc", Name: "t"}}, Features: []string{disco.InfoSpace}}
	for _, n := range nodes {
		i.Features = append(i.Features, n+"+notify")
	}
	return i
}

// present announces a session, with capabilities that stand for info.
func (c *client) present(info disco.Info) {
	c.w.t.Helper()
	st := &stanza.Stanza{Kind: stanza.Presence, From: c.JID()}
	st.Add(elem.New(disco.CapsSpace, "c", "hash", "sha-1", "node", "urn:t", "ver", info.Hash()))
	c.presents(st)
}

// presents announces a session with a presence.
func (c *client) presents(st *stanza.Stanza) {
	st = reread(c.w.t, st)
	first := !c.SetPresence(session.Presence{Available: true, Stanza: st}).Available
	c.Present(st, first)
}

// Present tells the service of a presence.
func (c *client) Present(st *stanza.Stanza, first bool) {
	c.w.Flow.Present(context.Background(), c.Session, st, first)
}

// reread gives a stanza the offsets a real one has.
func reread(t testing.TB, st *stanza.Stanza) *stanza.Stanza {
	t.Helper()
	from := st.From
	st = parse(t, string(st.AppendTo(nil)))
	st.From = from
	return st
}

func parse(t testing.TB, xml string) *stanza.Stanza {
	t.Helper()
	sc := elem.NewScanner(elem.DefaultLimits())
	src := []byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>" + xml)
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

// online announces a session that wants to hear of nodes and answers the question
// it is asked, if it is.
func (w *world) online(name string, nodes ...string) *client {
	w.t.Helper()
	c := w.bind(name)
	info := infoOf(nodes...)
	c.present(info)
	c.answer(info)
	return c
}

// answer answers a question that has come, and returns what else has.
func (c *client) answer(info disco.Info) (rest []*stanza.Stanza) {
	c.w.t.Helper()
	for _, st := range c.stanzas() {
		if st.Kind == stanza.IQ && st.Type == stanza.Get {
			c.result(st, info)
			continue
		}
		rest = append(rest, st)
	}
	return rest
}

func (c *client) result(question *stanza.Stanza, info disco.Info) {
	c.w.t.Helper()
	st := &stanza.Stanza{Kind: stanza.IQ, Type: stanza.Result, ID: question.ID, From: c.JID()}
	st.Add(info.Element(""))
	c.w.Answered(context.Background(), c.Session, reread(c.w.t, st))
}

// stanzas is what has come for the client since it was last asked.
func (c *client) stanzas() (out []*stanza.Stanza) {
	c.w.t.Helper()
	for _, f := range c.Take(c.wire, make([]*session.Frame, 0, 256)) {
		out = append(out, parse(c.w.t, string(f.Bytes)))
	}
	c.Wrote(c.wire)
	return out
}

// events are the events among it, in short: "published NODE ID".
func (c *client) events() (out []string) {
	c.w.t.Helper()
	for _, st := range c.stanzas() {
		k, ok := st.Child(pubsub.EventSpace, "event")
		if !ok {
			continue
		}
		e, err := st.Element(k)
		if err != nil {
			c.w.t.Fatal(err)
		}
		what := e.Children[0]
		line := what.Local + " " + what.Attr("node")
		for _, k := range what.Children {
			line += " " + k.Local + ":" + k.Attr("id")
		}
		if what.Local == "subscription" {
			line += " " + what.Attr("subscription")
		}
		if st.Has("urn:xmpp:delay", "delay") {
			line += " (old)"
		}
		if from := e.Space; st.Type != stanza.Headline || from != pubsub.EventSpace {
			line += " " + string(st.Type)
		}
		out = append(out, line)
	}
	return out
}

// ask sends a request and returns the answer or the error's conditions.
func (w *world) ask(from, to jid.JID, typ stanza.Type, payload string) (*elem.Element, string) {
	w.t.Helper()
	e, err := elem.Parse([]byte(payload))
	if err != nil {
		w.t.Fatal(err)
	}
	scope := im.ToAccount
	if from.Bare() == to {
		scope = im.ToSelf
	}
	own := im.Route{Scope: im.ToSelf, Type: stanza.Set, Space: pubsub.CommandSpace, Local: "command", Handle: Command(w.Flow)}
	for _, r := range append(Feature(w.Flow).IQ, own) {
		if r.Scope&scope == 0 || r.Type != typ || r.Space != e.Space || r.Local != e.Local {
			continue
		}
		out, err := r.Handle(context.Background(), &im.IQ{Type: typ, ID: "1", From: from, To: to, Payload: e, Raw: []byte(payload)})
		return out, conditions(w.t, err)
	}
	w.t.Fatalf("nobody answers %s", payload)
	return nil, ""
}

func conditions(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var se *stanza.Error
	if !errors.As(err, &se) {
		t.Fatal(err)
	}
	if se.App != nil {
		return se.Condition + " " + se.App.Local
	}
	return se.Condition
}

// must sends a request that succeeds.
func (w *world) must(from, to jid.JID, typ stanza.Type, payload string) *elem.Element {
	w.t.Helper()
	e, c := w.ask(from, to, typ, payload)
	if c != "" {
		w.t.Fatalf("%s: %s", payload, c)
	}
	return e
}

const (
	ps    = `<pubsub xmlns='http://jabber.org/protocol/pubsub'>`
	owner = `<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>`
)

// options is the form of publish-options or a configuration.
func options(kind string, pairs ...string) string {
	out := `<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>` + kind + `</value></field>`
	for i := 0; i+1 < len(pairs); i += 2 {
		out += fmt.Sprintf(`<field var='pubsub#%s'><value>%s</value></field>`, pairs[i], pairs[i+1])
	}
	return out + `</x>`
}

func publish(node, id string) string {
	return ps + `<publish node='` + node + `'><item id='` + id + `'><v xmlns='urn:v'>` + id + `</v></item></publish></pubsub>`
}

// create makes a node of alice's.
func (w *world) create(node string, pairs ...string) {
	w.t.Helper()
	w.must(who("alice"), who("alice"), stanza.Set, ps+`<create node='`+node+`'/><configure>`+options(pubsub.ConfigForm, pairs...)+`</configure></pubsub>`)
}

// contact gives alice a contact with a subscription in one direction or both, and
// the contact the mirror image.
func (w *world) contact(name string, st roster.State, groups ...string) {
	w.t.Helper()
	ctx := context.Background()
	a, c := who("alice"), who(name)
	nop := func(roster.Step) {}
	apply := func(user, contact jid.JID, typ stanza.Type) {
		if err := w.rosters.Apply(ctx, roster.Request{Type: typ, User: user, Contact: contact, Local: true, Stanza: []byte("<presence/>")}, nop); err != nil {
			w.t.Fatal(err)
		}
	}
	if st.Is(roster.From) {
		apply(c, a, stanza.Subscribe)
		apply(a, c, stanza.Subscribed)
	}
	if st.Is(roster.To) {
		apply(a, c, stanza.Subscribe)
		apply(c, a, stanza.Subscribed)
	}
	if len(groups) > 0 {
		if err := w.rosters.Set(ctx, a, c, "", groups); err != nil {
			w.t.Fatal(err)
		}
	}
}
