package pep

import (
	"context"
	"fmt"
	"testing"

	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// office is alice with contacts who each keep two nodes, one of which her client
// wants to hear of; they are online and want to hear of the same.
func office(b *testing.B, contacts int) (*world, []*client) {
	b.Helper()
	w := newWorld(b, storetest.SQLite(b))
	var pairs []roster.Pair
	for i := range contacts {
		pairs = append(pairs, roster.Pair{A: who("alice"), B: who(fmt.Sprint("u", i))})
	}
	if err := w.rosters.Seed(context.Background(), pairs); err != nil {
		b.Fatal(err)
	}
	var all []*client
	for i := range contacts {
		u := who(fmt.Sprint("u", i))
		for _, node := range []string{"urn:n", "urn:other"} {
			w.must(u, u, stanza.Set, publish(node, "1"))
		}
		all = append(all, w.online(fmt.Sprint("u", i, "/r"), "urn:n"))
	}
	for _, c := range all {
		c.stanzas()
	}
	return w, all
}

// A device of alice's comes online and gets 200 last items.
func BenchmarkArrive_200contacts(b *testing.B) {
	w, _ := office(b, 200)
	c := w.bind("alice/r")
	c.present(infoOf("urn:n"))
	if got := len(c.stanzas()); got != 200 {
		b.Fatalf("%d items", got)
	}
	for b.Loop() {
		c.SetPresence(session.Presence{})
		c.present(infoOf("urn:n"))
		c.Take(c.wire, make([]*session.Frame, 0, 256))
		c.Wrote(c.wire)
	}
}

// Alice publishes to 200 contacts who are online.
func BenchmarkPublish_200contacts(b *testing.B) {
	w, all := office(b, 200)
	w.must(who("alice"), who("alice"), stanza.Set, publish("urn:n", "1"))
	room := make([]*session.Frame, 0, 256)
	for b.Loop() {
		w.must(who("alice"), who("alice"), stanza.Set, publish("urn:n", "1"))
		for _, c := range all {
			c.Take(c.wire, room)
			c.Wrote(c.wire)
		}
	}
}
