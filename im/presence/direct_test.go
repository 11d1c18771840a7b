package presence

import (
	"fmt"
	"testing"

	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// RFC 6121 §4.6: directed presence, and its end whichever way it comes.
func TestDirect_endsWithTheSession(t *testing.T) {
	for _, end := range []struct {
		name string
		do   func(a *client)
		want string
	}{
		{"directed unavailable", func(a *client) { a.must(a.says(`<presence to='bob@acme.test/b' type='unavailable'/>`)) }, "alice/a unavailable"},
		{"unavailable broadcast", func(a *client) { a.must(a.says(`<presence type='unavailable'><status>bye</status></presence>`)) }, "alice/a unavailable bye"},
		{"cut", (*client).drop, "alice/a unavailable"},
	} {
		t.Run(end.name, func(t *testing.T) {
			w := newWorld(t, storetest.SQLite(t))
			a, b, c := w.online("alice/a"), w.online("bob/b"), w.online("carol/c")
			a.must(a.says(`<presence to='bob@acme.test/b'><status>psst</status></presence>`))
			b.want("directed", "alice/a available psst")
			a.must(a.says(`<presence><status>all</status></presence>`))
			b.want("later broadcasts are not for him (RFC 6121 §4.6.3)")
			end.do(a)
			b.want("the end", end.want)
			a.got()
			if end.name == "directed unavailable" {
				a.drop()
				b.want("told already")
			}
			c.want("nobody else")
		})
	}
}

// Also a session that never became available takes back what it showed (RFC 6121 §4.6.3).
func TestDirect_withoutInitialPresence(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	a, b := w.bind("alice/a"), w.online("bob/b")
	a.must(a.says(`<presence to='bob@acme.test'/>`))
	b.want("directed to the bare JID", "alice/a available")
	a.drop()
	b.want("gone", "alice/a unavailable")
}

// A subscriber hears of the end once, not twice.
func TestDirect_toSubscriber(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.friends([2]jid.JID{alice, bob})
	a, b := w.bind("alice/a"), w.online("bob/b")
	a.must(a.says(`<presence to='bob@acme.test/b'/>`)) // before its initial presence
	a.must(a.says(`<presence to='bob@acme.test'/>`))
	a.must(a.says(`<presence/>`))
	a.must(a.says(`<presence to='bob@acme.test'><status>for you</status></presence>`))
	b.want("all four", "alice/a available", "alice/a available", "alice/a available", "alice/a available for you")
	a.drop()
	b.want("once", "alice/a unavailable")
}

func TestDirect_whereNobodyIs(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	a := w.online("alice/a")
	for _, c := range []struct{ to, condition string }{
		{"bob@acme.test", ""}, // RFC 6121 §8.5.2.2.2: no resources, silently ignored
		{"bob@acme.test/x", ""},
		{"nobody@acme.test", ""},
		{"acme.test", ""},
		{"x@elsewhere.test", "remote-server-not-found"},
		{"elsewhere.test", "remote-server-not-found"},
	} {
		if got := condition(a.says(`<presence to='` + c.to + `'/>`)); got != c.condition {
			t.Errorf("%s: %q, want %q", c.to, got, c.condition)
		}
	}
	if n := len(a.Directed(false)); n != 0 {
		t.Errorf("%d targets kept that nobody took", n)
	}
	a.want("nothing comes back")
}

// HARDENING: what a session makes the server keep is bounded.
func TestDirect_isBounded(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	a := w.online("alice/a")
	for i := range maxDirected {
		a.AddDirected(jid.MustParse(fmt.Sprintf("u%d@acme.test", i)))
	}
	b := w.online("bob/b")
	if got := condition(a.says(`<presence to='bob@acme.test'/>`)); got != "resource-constraint" {
		t.Errorf("%q", got)
	}
	a.must(a.says(`<presence to='u1@acme.test' type='unavailable'/>`))
	a.must(a.says(`<presence to='bob@acme.test'/>`))
	b.want("there is room again", "alice/a available")
}

// RFC 6121 §4.3.2.
func TestProbe_answers(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.friends([2]jid.JID{alice, bob})
	a, b := w.online("alice/a"), w.online("bob/b")
	c := w.online("carol/c")
	a.got()
	a.must(a.says(`<presence to='bob@acme.test' type='probe' id='p1'/>`))
	a.want("available contact", "bob/b available")
	a.must(a.says(`<presence to='carol@acme.test' type='probe'/>`))
	a.want("no subscription", "carol unsubscribed")
	a.must(a.says(`<presence to='nobody@acme.test' type='probe'/>`))
	a.want("no account: the same answer", "nobody unsubscribed")
	c.must(c.says(`<presence to='alice@acme.test'><status>hi</status></presence>`))
	a.want("directed", "carol/c available hi")
	a.must(a.says(`<presence to='carol@acme.test' type='probe'/>`))
	a.want("whoever showed itself may be asked", "carol/c available")
	b.drop()
	a.got()
	a.must(a.says(`<presence to='bob@acme.test' type='probe'/>`))
	a.want("nobody there", "bob unavailable")
	a.must(a.says(`<presence to='alice@acme.test' type='probe'/>`))
	a.want("oneself", "alice/a available")
	if got := condition(a.says(`<presence type='probe'/>`)); got != "bad-request" {
		t.Errorf("without address: %q", got)
	}
	if got := condition(a.says(`<presence to='x@elsewhere.test' type='probe'/>`)); got != "remote-server-not-found" {
		t.Errorf("remote: %q", got)
	}
}
