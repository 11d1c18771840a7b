package roster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
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
	far   = jid.MustParse("zoe@elsewhere.test")
)

type wire struct{}

func (*wire) Wake()              {}
func (*wire) Kick(*stream.Error) {}

// fix is a roster store under test with a routing table.
type fix struct {
	*Store
	t      *testing.T
	db     *store.DB
	routes *route.Table
	steps  []string // what the caller was asked to carry out
}

func run(t *testing.T, lim Limits, fn func(t *testing.T, f *fix)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		routes := route.NewTable(route.Config{Session: session.DefaultLimits, Now: time.Now})
		fn(t, &fix{t: t, db: db, routes: routes, Store: New(Config{DB: db, Routes: routes, Limits: lim})})
	})
}

func (f *fix) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// bind makes a session that asked for its roster.
func (f *fix) bind(full string) (*session.Session, *wire) {
	f.t.Helper()
	w := &wire{}
	s, _, err := f.routes.Bind(jid.MustParse(full), w)
	if err != nil {
		f.t.Fatal(err)
	}
	s.Switch(func(fl *session.Flags) { fl.Interested = true })
	return s, w
}

// pushes are the roster pushes a session has got, as "bob both ask".
func (f *fix) pushes(s *session.Session, w *wire) []string {
	f.t.Helper()
	var out []string
	for _, fr := range s.Take(w, make([]*session.Frame, 0, 100)) {
		e, err := elem.ParseIn(fr.Bytes, stanza.Space, nil)
		if err != nil {
			f.t.Fatalf("%s: %v", fr.Bytes, err)
		}
		q := e.Child(Space, "query")
		if e.Local != "iq" || e.Attr("type") != "set" || q == nil || len(q.Children) != 1 || q.Attr("ver") == "" {
			f.t.Fatalf("not a roster push (RFC 6121 §2.1.6): %s", fr.Bytes)
		}
		out = append(out, line(q.Children[0]))
	}
	s.Wrote(w)
	return out
}

func line(item *elem.Element) string {
	l := jid.MustParse(item.Attr("jid")).Local() + " " + item.Attr("subscription")
	if n := item.Attr("name"); n != "" {
		l += " " + n
	}
	if item.Attr("ask") == "subscribe" {
		l += " ask"
	}
	if item.Attr("approved") == "true" {
		l += " approved"
	}
	for _, g := range item.Children {
		l += " #" + g.Text
	}
	return l
}

// apply is a subscription stanza between two local accounts.
func (f *fix) apply(typ stanza.Type, user, contact jid.JID) {
	f.t.Helper()
	f.steps = nil
	r := Request{Type: typ, User: user, Contact: contact, Local: contact.Domain() == "acme.test",
		Stanza: []byte(fmt.Sprintf("<presence from='%s' to='%s' type='subscribe'/>", user, contact))}
	if err := f.Apply(f.t.Context(), r, f.note); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fix) note(st Step) {
	switch st.Do {
	case Deliver:
		f.steps = append(f.steps, fmt.Sprintf("%s gets %s from %s", st.Owner.Local(), st.Type, st.Other.Local()))
	case Announce:
		f.steps = append(f.steps, fmt.Sprintf("%s appears to %s", st.Owner.Local(), st.Other.Local()))
	case Withdraw:
		f.steps = append(f.steps, fmt.Sprintf("%s vanishes for %s", st.Owner.Local(), st.Other.Local()))
	}
}

// roster is an account's roster from the database, as lines.
func (f *fix) roster(owner jid.JID) string {
	f.t.Helper()
	items, _, err := f.Roster(f.t.Context(), owner)
	if err != nil {
		f.t.Fatal(err)
	}
	var out []string
	for i := range items {
		out = append(out, line(items[i].Element()))
	}
	return strings.Join(out, "; ")
}

// state is what memory has, checked against the database.
func (f *fix) state(owner, contact jid.JID) State {
	f.t.Helper()
	r, err := f.Relations(f.t.Context(), owner)
	if err != nil {
		f.t.Fatal(err)
	}
	fresh, err := f.load(f.t.Context(), owner)
	if err != nil {
		f.t.Fatal(err)
	}
	if r.Of(contact) != fresh.Of(contact) || r.Len() != fresh.Len() || r.Waiting() != fresh.Waiting() {
		f.t.Fatalf("%s: memory has %06b, %d, %d, the database %06b, %d, %d", owner,
			r.Of(contact), r.Len(), r.Waiting(), fresh.Of(contact), fresh.Len(), fresh.Waiting())
	}
	return r.Of(contact)
}

func condition(err error) string {
	var se *stanza.Error
	if errors.As(err, &se) {
		return se.Condition
	}
	if err == nil {
		return ""
	}
	return "not a stanza error: " + err.Error()
}

type followers struct{ f *fix }

func (w followers) Carry(st Step) { w.f.note(st) }

func (followers) Local(_ context.Context, contact jid.JID) (bool, error) {
	return contact.Domain() == "acme.test", nil
}

// ask sends a roster request of a session through the feature's handlers.
func (f *fix) ask(s *session.Session, typ stanza.Type, query string) (*elem.Element, error) {
	f.t.Helper()
	e, err := elem.Parse([]byte(query))
	if err != nil {
		f.t.Fatal(err)
	}
	q := &im.IQ{Type: typ, ID: "1", From: s.JID(), To: s.JID().Bare(), Payload: e, Session: s}
	for _, r := range Feature(f.Store, followers{f}).IQ {
		if r.Type == typ && r.Space == e.Space && r.Local == e.Local {
			return r.Handle(f.t.Context(), q)
		}
	}
	f.t.Fatal("no handler")
	return nil, nil
}
