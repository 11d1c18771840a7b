package presence

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// RFC 6121 §3.1 to §3.3 as two people live it.
func TestSubscription_wholeLife(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.online("alice/a"), w.online("bob/b")
		a.must(a.says(`<presence to='bob@acme.test/b' type='subscribe' id='x1'><status>it is me</status></presence>`))
		a.want("asking", "push bob none ask")
		b.want("asked, from the bare JID, whole", "alice subscribe it is me")
		b.must(b.says(`<presence to='alice@acme.test/a' type='subscribed'/>`))
		a.want("approved: stanza, push, presence (RFC 6121 §3.1.5, §3.1.6)", "bob subscribed", "push bob to", "bob/b available")
		b.want("approving", "push alice from")

		b.must(b.says(`<presence to='alice@acme.test' type='subscribe'/>`))
		a.want("asked back", "bob subscribe")
		a.must(a.says(`<presence to='bob@acme.test' type='subscribed'/>`))
		b.want("approved", "push alice from ask", "alice subscribed", "push alice both", "alice/a available")
		a.want("approving", "push bob both")

		a.must(a.says(`<presence to='bob@acme.test' type='unsubscribed'/>`))
		b.want("cancelled: unavailable first (RFC 6121 §3.2.2)", "alice/a unavailable", "alice unsubscribed", "push alice from")
		a.want("cancelling", "push bob to")
		a.must(a.says(`<presence><status>secret</status></presence>`))
		b.want("not told any more")

		a.must(a.says(`<presence to='bob@acme.test' type='unsubscribe'/>`))
		b.want("unsubscribed from (RFC 6121 §3.3.3)", "alice unsubscribe", "push alice none")
		a.want("unsubscribing", "alice/a available secret", "bob/b unavailable", "push bob none")
	})
}

// RFC 6121 §3.1.3: a request waits for the contact, and comes again with each
// resource that becomes available until it is answered.
func TestSubscription_requestWaits(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.online("alice/a")
		a.must(a.says(`<presence to='bob@acme.test' type='subscribe' id='r1'><nick xmlns='http://jabber.org/protocol/nick'>Al</nick></presence>`))
		b := w.bind("bob/b")
		b.must(b.says(`<presence/>`))
		frames := b.Session
		if n, waiting := frames.Unacked(); n+waiting != 2 {
			t.Errorf("%d frames, want own presence and the request", n+waiting)
		}
		b.want("first", "bob/b available", "alice subscribe")
		b.must(b.says(`<presence><status>still here</status></presence>`))
		b.want("not with every presence", "bob/b available still here")
		b.drop()
		b2 := w.bind("bob/b2")
		b2.must(b2.says(`<presence/>`))
		b2.want("again", "bob/b2 available", "alice subscribe")
		a.must(a.says(`<presence to='bob@acme.test' type='unsubscribe'/>`))
		b2.want("taken back (RFC 6121 §A.3.2)", "alice unsubscribe")
		b3 := w.bind("bob/b3")
		b3.must(b3.says(`<presence/>`))
		b3.want("no more", "bob/b3 available", "bob/b2 available")
	})
}

// The stored request keeps what the sender wrote in it.
func TestSubscription_requestKeepsItsContent(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	a := w.online("alice/a")
	a.must(a.says(`<presence to='bob@acme.test' type='subscribe'><nick xmlns='http://jabber.org/protocol/nick'>A &amp; l</nick></presence>`))
	p, err := w.rosters.Pending(t.Context(), bob)
	if err != nil || len(p) != 1 || !strings.Contains(string(p[0].Stanza), "<nick xmlns='http://jabber.org/protocol/nick'>A &amp; l</nick>") {
		t.Errorf("%q, %v", p, err)
	}
}

func TestSubscription_refused(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	a := w.online("alice/a")
	for _, c := range []struct{ to, typ, condition string }{
		{"", "subscribe", "bad-request"},
		{"", "unsubscribed", "bad-request"},
		{"alice@acme.test", "subscribe", "not-allowed"},
		{"alice@acme.test/x", "subscribe", "not-allowed"},
		{"acme.test", "subscribe", "service-unavailable"},
		{"z@elsewhere.test", "subscribe", "remote-server-not-found"},
		{"z@elsewhere.test", "subscribed", "remote-server-not-found"},
		{"z@elsewhere.test", "unsubscribe", ""},
		{"nobody@acme.test", "subscribe", ""}, // RFC 6121 §8.5.1: silently ignored there
	} {
		attr := ""
		if c.to != "" {
			attr = " to='" + c.to + "'"
		}
		if got := condition(a.says(`<presence` + attr + ` type='` + c.typ + `'/>`)); got != c.condition {
			t.Errorf("%s to %q: %q, want %q", c.typ, c.to, got, c.condition)
		}
	}
	a.want("only the request to nobody shows", "push nobody none ask")
}

// RFC 6121 §2.5.2: removing a contact ends what both see of each other.
func TestRosterRemove_presence(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.friends([2]jid.JID{alice, bob})
	a, b := w.online("alice/a"), w.online("bob/b")
	a.got()
	a.iq(roster.Feature(w.rosters, w.Flow), `<query xmlns='jabber:iq:roster'><item jid='bob@acme.test' subscription='remove'/></query>`)
	a.want("alice", "bob/b unavailable", "push bob remove")
	b.want("bob", "alice unsubscribe", "push alice to", "alice/a unavailable", "alice unsubscribed", "push alice none")
}

// XEP-0191: blocking looks like going offline, unblocking like coming back.
func TestBlock_presence(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.friends([2]jid.JID{alice, bob}, [2]jid.JID{alice, carol})
		f := block.Feature(w.blocks, w.Flow)
		a, b, c := w.online("alice/a"), w.online("bob/b"), w.online("carol/c")
		a.got()
		b.got()
		a.iq(f, `<block xmlns='urn:xmpp:blocking'><item jid='bob@acme.test'/></block>`)
		b.want("blocked", "alice/a unavailable")
		c.want("others")
		a.must(a.says(`<presence><status>new</status></presence>`))
		b.must(b.says(`<presence><status>hidden</status></presence>`))
		a.want("alice does not hear him", "alice/a available new")
		b.want("nor he her", "bob/b available hidden")
		c.want("carol does", "alice/a available new")

		b2 := w.bind("bob/2")
		b2.must(b2.says(`<presence/>`))
		b2.want("no probe gets through", "bob/2 available", "bob/b available hidden")
		b2.must(b2.says(`<presence to='alice@acme.test' type='probe'/>`))
		b2.must(b2.says(`<presence to='alice@acme.test'/>`))
		b2.want("no answer, no error")
		b2.drop()
		b.got()
		if got := condition(a.says(`<presence to='bob@acme.test'/>`)); got != "not-acceptable" {
			t.Errorf("alice to bob: %q", got)
		}

		a.iq(f, `<unblock xmlns='urn:xmpp:blocking'/>`)
		b.want("unblocked", "alice/a available new")
		a.want("and the other way", "bob/b available hidden")
		c.want("others")
	})
}

// A request from somebody blocked changes the sender's side only.
func TestBlock_requestIsSwallowed(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	a, b := w.online("alice/a"), w.online("bob/b")
	a.iq(block.Feature(w.blocks, w.Flow), `<block xmlns='urn:xmpp:blocking'><item jid='bob@acme.test'/></block>`)
	b.must(b.says(`<presence to='alice@acme.test' type='subscribe'/>`))
	b.want("as if nothing were wrong", "push alice none ask")
	a.want("nothing")
	if p, err := w.rosters.Pending(t.Context(), alice); err != nil || len(p) != 0 {
		t.Errorf("kept: %v, %v", p, err)
	}
}

// A cancellation from somebody blocked still ends the subscription on both sides.
func TestBlock_cancellationIsNotShownButCounts(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.friends([2]jid.JID{alice, bob})
	a, b := w.online("alice/a"), w.online("bob/b")
	a.iq(block.Feature(w.blocks, w.Flow), `<block xmlns='urn:xmpp:blocking'><item jid='bob@acme.test'/></block>`)
	a.got()
	b.got()
	b.must(b.says(`<presence to='alice@acme.test' type='unsubscribed'/>`))
	a.want("only the roster changes", "push bob from")
	b.want("his side", "push alice to")
}

func TestMaySee_subscribersOnly(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.friends([2]jid.JID{alice, bob})
	for _, c := range []struct {
		owner, asker jid.JID
		want         bool
	}{{alice, bob, true}, {bob, alice, true}, {alice, carol, false}} {
		if got, err := w.MaySee(t.Context(), c.owner, c.asker); err != nil || got != c.want {
			t.Errorf("%s of %s: %v, %v", c.asker, c.owner, got, err)
		}
	}
	if err := w.blocks.Block(t.Context(), alice, []jid.JID{bob}, nil); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.MaySee(t.Context(), alice, bob); got {
		t.Error("blocked, and may see")
	}
}
