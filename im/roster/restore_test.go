package roster

import (
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Each owner's side is written as it was; requests wait again, unless they were answered.
func TestRestore_oneSide(t *testing.T) {
	run(t, DefaultLimits, func(t *testing.T, f *fix) {
		ctx := t.Context()
		owner, bob, carol := jid.MustParse("alice@x.test"), jid.MustParse("bob@x.test"), jid.MustParse("carol@y.test")
		items := []Item{{JID: bob, Name: "Bob", Groups: []string{"a", "b"}, Subscription: "both", Approved: true}, {JID: carol, Subscription: "none", Ask: true}}
		request := func(from jid.JID) Waiting {
			return Waiting{From: from, Stanza: []byte("<presence from='" + from.String() + "' type='subscribe'/>")}
		}
		for range 2 {
			if err := f.Restore(ctx, owner, items, []Waiting{request(bob), request(carol)}); err != nil {
				t.Fatal(err)
			}
		}
		got, _, err := f.Roster(ctx, owner)
		if err != nil || len(got) != 2 || got[0].Name != "Bob" || len(got[0].Groups) != 2 || got[0].Subscription != "both" || !got[0].Approved || !got[1].Ask {
			t.Errorf("%+v %v", got, err)
		}
		if p, err := f.Pending(ctx, owner); err != nil || len(p) != 1 || p[0].From != carol {
			t.Errorf("%+v %v", p, err)
		}
		if got, _, err := f.Roster(ctx, bob); err != nil || len(got) != 0 {
			t.Errorf("bob's side is written too: %+v %v", got, err)
		}
		rel, err := f.Relations(ctx, owner)
		if err != nil || !rel.Of(bob).Is(To|From) || !rel.Of(carol).Is(PendingOut|PendingIn) {
			t.Errorf("%v %v", rel, err)
		}
	})
}
