package roster

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Whatever two people do, their rosters agree: one is subscribed exactly if the
// other has a subscriber, and one waits exactly if the other is asked (RFC 6121
// Appendix A).
func TestApply_bothSidesAgree(t *testing.T) {
	db := storetest.SQLite(t)
	if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
		t.Fatal(err)
	}
	f := &fix{t: t, db: db, routes: route.NewTable(route.Config{Session: session.DefaultLimits}), Store: New(Config{DB: db})}
	people := []jid.JID{alice, bob}
	types := []stanza.Type{stanza.Subscribe, stanza.Subscribed, stanza.Unsubscribe, stanza.Unsubscribed}
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			i := rapid.IntRange(0, 1).Draw(rt, "who")
			user, contact := people[i], people[1-i]
			switch what := rapid.IntRange(0, 5).Draw(rt, "what"); what {
			case 4:
				if err := f.Remove(t.Context(), user, contact, true, nil); err != nil && condition(err) != "item-not-found" {
					rt.Fatal(err)
				}
			case 5:
				if err := f.Set(t.Context(), user, contact, "name", nil); err != nil {
					rt.Fatal(err)
				}
			default:
				f.apply(types[what], user, contact)
			}
			a, b := f.state(alice, bob), f.state(bob, alice)
			for _, p := range [][2]State{{a, b}, {b, a}} {
				if p[0].Is(To) != p[1].Is(From) || p[0].Is(PendingOut) != p[1].Is(PendingIn) {
					rt.Fatalf("alice %06b, bob %06b", a, b)
				}
				if p[0].Is(To|PendingOut) || (p[0]&(To|From|PendingOut|Approved) != 0 && !p[0].Is(Listed)) {
					rt.Fatalf("alice %06b, bob %06b: no such state", a, b)
				}
			}
		}
	})
}
