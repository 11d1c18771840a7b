package account

import (
	"errors"
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// HARDENING I10: a domain's administrators are its own accounts, and nobody's elsewhere.
func TestDomain_admins(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx, acme, other := t.Context(), Of(s.Store, "acme.test"), Of(s.Store, "ther.test")
		far := jid.MustParse("alice@other.test")
		for _, j := range []jid.JID{alice, bob, far} {
			s.create(t, j)
		}
		is := func(d Domain, who jid.JID, want bool) {
			t.Helper()
			if got, err := d.IsAdmin(ctx, who); got != want || err != nil {
				t.Errorf("%s: %v %v, want %v", who, got, err, want)
			}
		}
		if err := acme.SetAdmins(ctx, []jid.JID{alice}); err != nil {
			t.Fatal(err)
		}
		is(acme, alice, true)
		is(acme, jid.MustParse("alice@acme.test/desk"), true)
		is(acme, bob, false)
		is(acme, far, false)
		is(acme, jid.MustParse("acme.test"), false)
		is(Of(s.Store, "other.test"), alice, false)
		if err := s.SetAdmin(ctx, far, true); err != nil {
			t.Fatal(err)
		}
		if err := acme.SetAdmins(ctx, []jid.JID{bob}); err != nil {
			t.Fatal(err)
		}
		is(acme, alice, false)
		is(Of(s.Store, "other.test"), far, true)
		for _, bad := range [][]jid.JID{nil, {jid.MustParse("nobody@acme.test")}} {
			if err := acme.SetAdmins(ctx, bad); err == nil {
				t.Errorf("%v are administrators", bad)
			}
		}
		if err := s.Disable(ctx, alice, true); err != nil {
			t.Fatal(err)
		}
		if err := acme.SetAdmins(ctx, []jid.JID{alice}); !errors.Is(err, ErrNoAdmin) {
			t.Errorf("only a disabled one: %v", err)
		}
		is(acme, bob, true)
		if list, err := acme.Admins(ctx); err != nil || len(list) != 1 || list[0].JID != bob {
			t.Errorf("%v %v", list, err)
		}
		if all, off, err := acme.Tally(ctx); all != 2 || off != 1 || err != nil {
			t.Errorf("%d %d %v", all, off, err)
		}
		if all, _, err := other.Tally(ctx); all != 0 || err != nil { // its name ends like another's
			t.Errorf("%d %v", all, err)
		}
		if list, err := acme.List(ctx, "", 10, true); err != nil || len(list) != 1 || list[0].JID != alice {
			t.Errorf("%v %v", list, err)
		}
		if list, err := acme.List(ctx, alice.String(), 10, false); err != nil || len(list) != 1 || list[0].JID != bob {
			t.Errorf("%v %v", list, err)
		}
	})
}
