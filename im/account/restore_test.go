package account

import (
	"errors"
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// An account is carried with its keys or its password, and nothing that is there changes.
func TestRestore_table(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		keys, err := Keys(ctx, s.Store, alice)
		if err != nil || len(keys) != len(hashes()) {
			t.Fatalf("%v %v", keys, err)
		}
		for h, k := range keys { // the fixture's keys are cheaper than an import may bring
			k.Iterations = 4096
			keys[h] = k
		}
		weak := map[sasl.Hash]sasl.Keys{sasl.SHA1: keys[sasl.SHA1]}
		k := weak[sasl.SHA1]
		k.Iterations = minIterations - 1
		weak[sasl.SHA1] = k
		short := map[sasl.Hash]sasl.Keys{sasl.SHA1: keys[sasl.SHA256]}
		for _, c := range []struct {
			name    string
			r       Restored
			added   bool
			refused bool
		}{
			{"with keys", Restored{Account: Account{JID: bob, Name: "B", Admin: true, Disabled: true}, Keys: keys}, true, false},
			{"again", Restored{Account: Account{JID: bob, Name: "C"}, Password: "x"}, false, false},
			{"with a password that is too short for a new one", Restored{Account: Account{JID: jid.MustParse("c@acme.test")}, Password: "x"}, true, false},
			{"without any", Restored{Account: Account{JID: jid.MustParse("d@acme.test")}}, true, false},
			{"with keys of the wrong length", Restored{Account: Account{JID: jid.MustParse("e@acme.test")}, Keys: short}, false, true},
			{"with keys of too few rounds", Restored{Account: Account{JID: jid.MustParse("e@acme.test")}, Keys: weak}, false, true},
			{"with keys of nothing known", Restored{Account: Account{JID: jid.MustParse("e@acme.test")}, Keys: map[sasl.Hash]sasl.Keys{"MD5": keys[sasl.SHA1]}}, false, true},
			{"with a name of control characters", Restored{Account: Account{JID: jid.MustParse("e@acme.test"), Name: "\x1b[2J"}}, false, true},
			{"that is no account", Restored{Account: Account{JID: jid.MustParse("acme.test")}}, false, true},
		} {
			added, err := Restore(ctx, s.Store, c.r)
			_, refused := IsRefused(err)
			if added != c.added || refused != c.refused || err != nil && !refused {
				t.Errorf("%s: %v %v", c.name, added, err)
			}
		}
		if a, err := s.Get(ctx, bob); err != nil || a.Name != "B" || !a.Admin || !a.Disabled || a.Created.IsZero() {
			t.Errorf("%+v %v", a, err)
		}
		if err := s.Login(here).Password(ctx, jid.MustParse("c@acme.test"), "x"); err != nil {
			t.Errorf("the old password: %v", err)
		}
		if _, ok := IsRefused(errors.New("disk")); ok {
			t.Error("every error is a refusal")
		}
	})
}

// What is known to be lacking after an account was added is what the data set says
// when it is asked, without it being asked for each.
func TestRestore_lackingIsWhatTheDataSetSays(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		keys, err := Keys(ctx, s.Store, alice)
		if err != nil {
			t.Fatal(err)
		}
		for h, k := range keys {
			k.Iterations = 4096
			keys[h] = k
		}
		one := map[sasl.Hash]sasl.Keys{sasl.SHA256: keys[sasl.SHA256]}
		for i, c := range []struct {
			r    Restored
			want bool // something is lacking from then on
		}{
			{Restored{Keys: keys}, false},
			{Restored{}, false},
			{Restored{Account: Account{Disabled: true}, Keys: one}, false},
			{Restored{Keys: one}, true},
			{Restored{Keys: keys}, true},
		} {
			c.r.JID = jid.MustParse(string(rune('m'+i)) + "@acme.test")
			if _, err := Restore(ctx, s.Store, c.r); err != nil {
				t.Fatal(err)
			}
			got := s.lacking.some.Load()
			if err := s.lacking.read(ctx, s.db); err != nil {
				t.Fatal(err)
			}
			if got != s.lacking.some.Load() || (got != 0) != c.want {
				t.Errorf("%d: %b noted, the data set says %b, want some: %v", i, got, s.lacking.some.Load(), c.want)
			}
		}
	})
}
