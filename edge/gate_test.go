package edge_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parlance-im/parlance/edge"
)

var (
	one = netip.MustParseAddr("192.0.2.1")
	two = netip.MustParseAddr("192.0.2.2")
)

func limits() edge.GateLimits {
	return edge.GateLimits{PerSource: 2, Total: 5, Wait: 10 * time.Second, Memory: 100}
}

func enter(t *testing.T, g *edge.Gate, a netip.Addr) *edge.Pass {
	t.Helper()
	p, err := g.Enter(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// HARDENING A15: one over the limit waits, and is refused after 10 s.
func TestGate_oneTooManyWaitsThenIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := edge.NewGate(limits())
		a, b := enter(t, g, one), enter(t, g, one)
		began := time.Now()
		if _, err := g.Enter(t.Context(), one); !errors.Is(err, edge.ErrCrowded) || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		other := enter(t, g, two) // others are unaffected
		if time.Since(began) != 10*time.Second {
			t.Error("another address had to wait")
		}
		a.Leave()
		a.Leave() // more than once does nothing
		c := enter(t, g, one)
		for _, p := range []*edge.Pass{b, c, other} {
			p.Leave()
		}
		if g.Inside() != 0 {
			t.Errorf("%d inside", g.Inside())
		}
	})
}

func TestGate_placesGoToWhoWaitedLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := edge.NewGate(limits())
		inside := []*edge.Pass{enter(t, g, one), enter(t, g, one)}
		order := make(chan int, 2)
		for i := range 2 {
			go func() {
				p, err := g.Enter(context.Background(), one)
				if err != nil {
					t.Error(err)
				}
				order <- i
				p.Leave()
			}()
			synctest.Wait()
		}
		inside[0].Leave()
		if got := <-order; got != 0 {
			t.Errorf("%d came first", got)
		}
		if got := <-order; got != 1 {
			t.Errorf("%d came second", got)
		}
		inside[1].Leave()
		synctest.Wait() // until both have left, too
		if g.Inside() != 0 {
			t.Errorf("%d inside", g.Inside())
		}
	})
}

func TestGate_totalCountsWaitingOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := edge.NewGate(limits())
		ctx, cancel := context.WithCancel(context.Background())
		inside := []*edge.Pass{enter(t, g, one), enter(t, g, one)}
		gone := make(chan error, 3)
		for range 3 {
			go func() { _, err := g.Enter(ctx, one); gone <- err }()
		}
		synctest.Wait()
		began := time.Now()
		if _, err := g.Enter(t.Context(), two); !errors.Is(err, edge.ErrCrowded) || time.Since(began) != 0 {
			t.Errorf("%v after %v: the sixth of all must be refused at once", err, time.Since(began))
		}
		cancel()
		for range 3 {
			if err := <-gone; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		for _, p := range inside {
			p.Leave()
		}
		if g.Inside() != 0 {
			t.Errorf("%d inside", g.Inside())
		}
	})
}

func TestGate_ipv6CountsBySubnet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := edge.NewGate(limits())
		a, b := enter(t, g, netip.MustParseAddr("2001:db8::1")), enter(t, g, netip.MustParseAddr("2001:db8::2"))
		if _, err := g.Enter(t.Context(), netip.MustParseAddr("2001:db8::3")); err == nil {
			t.Error("a /64 is one source")
		}
		c := enter(t, g, netip.MustParseAddr("2001:db8:0:1::1"))
		mapped, plain := enter(t, g, netip.MustParseAddr("::ffff:192.0.2.1")), enter(t, g, one)
		for _, p := range []*edge.Pass{a, b, c, mapped, plain} {
			p.Leave()
		}
	})
}

func TestPass_memoryIsSharedByAll(t *testing.T) {
	g := edge.NewGate(limits())
	a, b := enter(t, g, one), enter(t, g, two)
	if !a.Hold(60) || b.Hold(60) || !b.Hold(40) {
		t.Error("100 bytes are for all together")
	}
	a.Leave()
	if !b.Hold(100) {
		t.Error("what a connection held is free when it has left")
	}
	b.Leave()
	var none *edge.Pass
	if !none.Hold(1 << 30) {
		t.Error("without a pass there is no limit")
	}
	none.Leave()
}
