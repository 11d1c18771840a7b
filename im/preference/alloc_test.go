//go:build !race

package preference

import (
	"testing"

	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Every message asks twice.
func TestShows_allocatesNothing(t *testing.T) {
	s, rosters := open(t, storetest.SQLite(t))
	bob := jid.MustParse("bob@x.test/phone")
	if err := rosters.Set(t.Context(), alice, bob.Bare(), "", nil); err != nil {
		t.Fatal(err)
	}
	for _, p := range []Preferences{{Default: Always}, {Default: Never, Always: []jid.JID{jid.MustParse("carol@x.test")}}, {Default: Roster}} {
		if err := s.Set(t.Context(), alice, p); err != nil {
			t.Fatal(err)
		}
		s.Shows(alice, bob) // the roster comes into memory
		if n := testing.AllocsPerRun(1000, func() { s.Shows(alice, bob) }); n != 0 {
			t.Errorf("%s: %v allocations", p.Default, n)
		}
	}
}
