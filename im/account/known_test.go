package account

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// restarted is another server on the same data set; what the first had in mind is written down as it stops.
func (s fix) restarted(t *testing.T) fix {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Remember(ctx, slog.New(slog.DiscardHandler))
	next, err := New(t.Context(), s.db, Config{Iterations: 64, Now: s.c.now})
	if err != nil {
		t.Fatal(err)
	}
	return fix{Store: next, db: s.db, c: s.c}
}

func (s fix) sourceCount(t *testing.T) (n int) {
	t.Helper()
	if err := s.db.Read(t.Context(), func(tx *store.Tx) error {
		return tx.Row("SELECT COUNT(*) FROM known_source").Scan(&n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// HARDENING A8: an attacker does not lock the owner out of a device they use, not even right after a restart.
func TestA8_knownDeviceAfterARestart(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		phone, other := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.10")
		attacker := netip.MustParseAddr("198.51.100.1")
		if got := condition(t, s.Login(phone).Password(ctx, alice, good)); got != "" {
			t.Fatal(got)
		}
		s = s.restarted(t)
		for range 40 {
			_ = s.Login(attacker).Password(ctx, alice, "guess")
		}
		for where, want := range map[netip.Addr]string{phone: "", other: string(sasl.TemporaryAuthFailure), attacker: string(sasl.TemporaryAuthFailure)} {
			if got := condition(t, s.Login(where).Password(ctx, alice, good)); got != want {
				t.Errorf("from %v: %q, want %q", where, got, want)
			}
		}
		// It has a limit of its own, also now.
		for range 40 {
			_ = s.Login(phone).Password(ctx, alice, "wrong")
		}
		if got := condition(t, s.Login(phone).Password(ctx, alice, good)); got != string(sasl.TemporaryAuthFailure) {
			t.Errorf("after 40 wrong ones from the phone: %q", got)
		}
		// After a month it is a stranger again.
		s.c.add(knownFor + time.Hour)
		s = s.restarted(t)
		for range 40 {
			_ = s.Login(attacker).Password(ctx, alice, "guess")
		}
		if got := condition(t, s.Login(phone).Password(ctx, alice, good)); got != string(sasl.TemporaryAuthFailure) {
			t.Errorf("a month later: %q", got)
		}
	})
}

// What is remembered is bounded, ages, goes with the account, and names no address.
func TestRemember_bounds(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		s.create(t, bob)
		for i := range 2 * maxKnown {
			s.limiter.Success(netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i)), alice.String())
			s.c.add(time.Second)
		}
		s.limiter.Success(netip.MustParseAddr("192.0.2.1"), bob.String())
		s.limiter.Success(netip.MustParseAddr("192.0.2.1"), nobody.String())
		if err := s.Store.sources.remember(ctx); err != nil {
			t.Fatal(err)
		}
		if n := s.sourceCount(t); n != maxKnown+1 {
			t.Errorf("%d rows, want %d of alice and one of bob", n, maxKnown)
		}
		if !s.restarted(t).Store.sources.recall(ctx, netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", 2*maxKnown-1)), alice) {
			t.Error("the last one used was forgotten")
		}
		if s.restarted(t).Store.sources.recall(ctx, netip.MustParseAddr("192.0.2.0"), alice) {
			t.Error("the first of many is still known")
		}
		// A login a minute later writes nothing.
		s.limiter.Success(netip.MustParseAddr("192.0.2.1"), bob.String())
		if f := s.limiter.takeFresh(); len(f) != 0 {
			t.Errorf("written again: %v", f)
		}
		if err := s.Remove(ctx, alice); err != nil {
			t.Fatal(err)
		}
		if n := s.sourceCount(t); n != 1 {
			t.Errorf("%d rows after alice was removed, want bob's", n)
		}
		s.c.add(knownFor + time.Hour)
		s.limiter.Success(netip.MustParseAddr("192.0.2.77"), bob.String())
		if err := s.Store.sources.remember(ctx); err != nil {
			t.Fatal(err)
		}
		if n := s.sourceCount(t); n != 1 {
			t.Errorf("%d rows a month later, want the new one", n)
		}
	})
}
