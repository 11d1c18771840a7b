package presence

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	alice = jid.MustParse("alice@acme.test")
	bob   = jid.MustParse("bob@acme.test")
	carol = jid.MustParse("carol@acme.test")
)

// accounts are those that exist.
type accounts struct{}

func (accounts) Exists(_ context.Context, j jid.JID) (bool, error) { return j.Local() != "nobody", nil }

// world is a server's presence without its edges.
type world struct {
	*Flow
	t       testing.TB
	db      *store.DB
	routes  *route.Table
	rosters *roster.Store
	blocks  *block.Store
	now     time.Time
	mu      sync.Mutex
	slow    bool // the judge takes long enough for others to run
	asked   atomic.Uint32
}

func newWorld(t testing.TB, db *store.DB) *world {
	t.Helper()
	w := &world{t: t, db: db, now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	if err := db.Migrate(context.Background(), []store.Migrations{roster.Migrations(), block.Migrations(), Migrations()}); err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
	w.routes = route.NewTable(route.Config{Session: session.DefaultLimits, Now: clock})
	w.rosters = roster.New(roster.Config{DB: db, Routes: w.routes, Now: clock})
	w.blocks = block.New(block.Config{DB: db, Routes: w.routes, Now: clock})
	w.Flow = New(Config{DB: db, Routes: w.routes, Rosters: w.rosters, Accounts: accounts{}, Now: clock,
		Ready: w.blocks.Load,
		May: func(from, to jid.JID) bool {
			if w.slow {
				for range w.asked.Add(1) * 2654435761 % 300 {
					runtime.Gosched()
				}
			}
			return w.blocks.Allows(from, to)
		},
		LocalDomain: func(d string) bool { return d == "acme.test" }})
	return w
}

func run(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, db *store.DB) { fn(t, newWorld(t, db)) })
}

// client is one connected resource.
type client struct {
	*session.Session
	w    *world
	wire *wire
}

type wire struct{ kicked bool }

func (*wire) Wake()                {}
func (w *wire) Kick(*stream.Error) { w.kicked = true }

// bind connects a resource that asked for its roster, as "alice/a".
func (w *world) bind(name string) *client {
	w.t.Helper()
	user, res, _ := strings.Cut(name, "/")
	wi := &wire{}
	s, _, err := w.routes.Bind(jid.MustParse(user+"@acme.test/"+res), wi)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Switch(func(f *session.Flags) { f.Interested = true })
	return &client{s, w, wi}
}

// online is bind, initial presence, and what came of it thrown away.
func (w *world) online(name string) *client {
	w.t.Helper()
	c := w.bind(name)
	c.must(c.says(`<presence/>`))
	c.got()
	return c
}

// friends makes mutual contacts.
func (w *world) friends(pairs ...[2]jid.JID) {
	w.t.Helper()
	for _, p := range pairs {
		if err := w.rosters.Befriend(context.Background(), p[0], p[1], "", ""); err != nil {
			w.t.Fatal(err)
		}
	}
}

// says sends a presence the way im/deliver does, past the judge.
func (c *client) says(xml string) error {
	c.w.t.Helper()
	st := readStanza(c.w.t, xml)
	st.From = c.JID()
	if refuse, drop := c.w.blocks.Verdict(st.From, st.To, st.Kind, st.Type); refuse != nil {
		return refuse
	} else if drop {
		return nil
	}
	var err error
	switch {
	case st.Type == stanza.Probe:
		err = c.w.Probe(context.Background(), st)
	case st.Type != stanza.Available && st.Type != stanza.Unavailable:
		err = c.w.Subscription(context.Background(), c.Session, st)
	case st.To.IsZero():
		_, err = c.w.Update(context.Background(), c.Session, st)
	default:
		err = c.w.Direct(context.Background(), c.Session, st)
	}
	return err
}

func (c *client) must(err error) {
	c.w.t.Helper()
	if err != nil {
		c.w.t.Fatal(err)
	}
}

// drop ends the connection without a word, as im/deliver does.
func (c *client) drop() {
	c.w.routes.Remove(c.Session)
	c.End()
	c.w.Gone(context.Background(), c.Session)
}

// got is what the client has received since, one line per stanza:
// "alice/a available", "push bob both ask", "carol subscribe".
func (c *client) got() []string {
	c.w.t.Helper()
	var out []string
	for {
		frames := c.Take(c.wire, make([]*session.Frame, 0, 64))
		if len(frames) == 0 {
			return out
		}
		for _, f := range frames {
			out = append(out, brief(c.w.t, c.JID(), f))
		}
		c.Wrote(c.wire)
	}
}

func brief(t testing.TB, to jid.JID, f *session.Frame) string {
	t.Helper()
	written := f.AppendTo(nil, to)
	e, err := elem.ParseIn(written, stanza.Space, nil)
	if err != nil {
		t.Fatalf("%s: %v", written, err)
	}
	if string(f.Bytes[:f.NameEnd]) != "<"+e.Local {
		t.Fatalf("NameEnd %d in %s", f.NameEnd, f.Bytes)
	}
	if a := jid.MustParse(e.Attr("to")); a != to && a != to.Bare() {
		t.Fatalf("stanza for %s reached %s: %s", a, to, written)
	}
	if e.Local == "iq" {
		it := e.Child(roster.Space, "query").Children[0]
		l := "push " + jid.MustParse(it.Attr("jid")).Local() + " " + it.Attr("subscription")
		if it.Attr("ask") != "" {
			l += " ask"
		}
		return l
	}
	from := jid.MustParse(e.Attr("from"))
	l := from.Local()
	if from.IsFull() {
		l += "/" + from.Resource()
	}
	typ := e.Attr("type")
	switch typ {
	case "", "unavailable":
		if f.Replaces != from.String() && from.IsFull() || f.Urgent {
			t.Errorf("presence of %s replaces %q, urgent %v", from, f.Replaces, f.Urgent)
		}
		if typ == "" {
			typ = "available"
		}
	case "subscribe", "subscribed", "unsubscribe", "unsubscribed":
		if f.Replaces != "" {
			t.Errorf("%s replaces %q", typ, f.Replaces)
		}
	}
	l += " " + typ
	if st := e.ChildText("status"); st != "" {
		l += " " + st
	}
	return l
}

func readStanza(t testing.TB, xml string) *stanza.Stanza {
	t.Helper()
	sc := elem.NewScanner(elem.Limits{})
	sc.SetFramed(true)
	ev, _, err := sc.Next([]byte(strings.Replace(xml, "<presence", "<presence xmlns='jabber:client'", 1)))
	if err != nil || ev != elem.Stanza {
		t.Fatalf("%s: %v %v", xml, ev, err)
	}
	st, err := stanza.Read(sc.Raw(), nil)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return st
}

// want compares what a client got, in order.
func (c *client) want(what string, lines ...string) {
	c.w.t.Helper()
	if got := c.got(); !slices.Equal(got, lines) {
		c.w.t.Errorf("%s: %s/%s\n got  %q\n want %q", what, c.JID().Local(), c.JID().Resource(), got, lines)
	}
}

// wantAny compares without regard to order.
func (c *client) wantAny(what string, lines ...string) {
	c.w.t.Helper()
	got := c.got()
	sort.Strings(got)
	sort.Strings(lines)
	if !slices.Equal(got, lines) {
		c.w.t.Errorf("%s: %s/%s\n got  %q\n want %q", what, c.JID().Local(), c.JID().Resource(), got, lines)
	}
}

func condition(err error) string {
	var se *stanza.Error
	if errors.As(err, &se) {
		return se.Condition
	}
	if err != nil {
		return "not a stanza error: " + err.Error()
	}
	return ""
}

// iq sends a request to a feature's handler.
func (c *client) iq(f im.Feature, payload string) {
	c.w.t.Helper()
	e, err := elem.Parse([]byte(payload))
	if err != nil {
		c.w.t.Fatal(err)
	}
	q := &im.IQ{Type: stanza.Set, ID: "1", From: c.JID(), To: c.JID().Bare(), Payload: e, Session: c.Session}
	for _, r := range f.IQ {
		if r.Type == stanza.Set && r.Space == e.Space && r.Local == e.Local {
			if _, err := r.Handle(context.Background(), q); err != nil {
				c.w.t.Fatal(err)
			}
			return
		}
	}
	c.w.t.Fatal("no handler")
}
