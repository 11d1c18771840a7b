package account

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func addr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(i >> 16), byte(i >> 8), byte(i)})
}

// guess tries n times, each from(i) on user(i), one every step, and tells how
// many were judged in the worst ten minutes.
func guess(l *Limiter, c *clock, n int, step time.Duration, from func(int) netip.Addr, user func(int) string) int {
	var judged []time.Time
	for i := range n {
		if ok, _ := l.Judge(from(i), user(i), false); ok {
			judged = append(judged, c.now())
		}
		c.add(step)
	}
	worst := 0
	for i, a := range judged {
		k := i
		for k < len(judged) && judged[k].Sub(a) < 10*time.Minute {
			k++
		}
		worst = max(worst, k-i)
	}
	return worst
}

func TestA8_limits(t *testing.T) {
	one := func(int) netip.Addr { return addr(1) }
	for _, c := range []struct {
		name string
		n    int
		step time.Duration
		from func(int) netip.Addr
		user func(int) string
		max  int
	}{
		{"one account, one source", 10000, time.Second, one, func(int) string { return "alice" }, 20},
		{"one account, one source, at once", 10000, 0, one, func(int) string { return "alice" }, 20},
		{"one account, 1000 sources", 10000, time.Second, func(i int) netip.Addr { return addr(i % 1000) }, func(int) string { return "alice" }, 20},
		{"1000 accounts, one source", 10000, time.Second, one, func(i int) string { return fmt.Sprint("u", i%1000) }, 60},
		{"1000 accounts, one source, at once", 10000, 0, one, func(i int) string { return fmt.Sprint("u", i%1000) }, 60},
		{"one account, one IPv6 network", 10000, time.Second, func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i), 14: byte(i >> 8)})
		}, func(i int) string { return fmt.Sprint("u", i%1000) }, 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			ck := newClock()
			l := NewLimiter(0, 0, ck.now)
			worst := guess(l, ck, c.n, c.step, c.from, c.user)
			if worst > c.max || worst < c.max/4 {
				t.Errorf("%d failed checks in ten minutes, want at most %d", worst, c.max)
			}
		})
	}
}

func TestA8_ownerOnAKnownDeviceIsNeverLockedOut(t *testing.T) {
	ck := newClock()
	l := NewLimiter(0, 0, ck.now)
	owner := netip.MustParseAddr("192.0.2.1")
	if ok, _ := l.Judge(owner, "alice", true); !ok {
		t.Fatal("first login refused")
	}
	for i := range 10000 {
		l.Fail(addr(i%1000), "alice")
		ck.add(time.Second)
		if ok, _ := l.Judge(owner, "alice", true); !ok {
			t.Fatalf("owner refused after %d guesses of others", i+1)
		}
	}
	// Even where the attacker sits behind the same address, with other accounts.
	for i := range 1000 {
		l.Fail(owner, fmt.Sprint("u", i))
	}
	if ok, _ := l.Judge(owner, "alice", true); !ok {
		t.Error("owner refused because of guesses at other accounts from the same address")
	}
	if ok, _ := l.Allow(owner, "bob"); ok {
		t.Error("an address with too many failures may go on with an account it does not know")
	}
}

func TestA8_aKnownDeviceHasALimitToo(t *testing.T) {
	ck := newClock()
	l := NewLimiter(0, 0, ck.now)
	l.Success(addr(1), "alice")
	if n := guess(l, ck, 5000, time.Second, func(int) netip.Addr { return addr(1) }, func(int) string { return "alice" }); n > 20 {
		t.Errorf("%d failed checks in ten minutes", n)
	}
}

func TestLimiter_manyRightPasswordsAtOnceAreFine(t *testing.T) {
	// After a restart everybody behind one address comes back in the same second.
	ck := newClock()
	l := NewLimiter(0, 0, ck.now)
	for i := range 5000 {
		user := fmt.Sprint("u", i)
		if ok, _ := l.Allow(addr(1), user); !ok {
			t.Fatal("refused")
		}
		if ok, _ := l.Judge(addr(1), user, true); !ok {
			t.Fatal("refused")
		}
	}
}

func TestLimiter_retryIsWhenItWorksAgain(t *testing.T) {
	ck := newClock()
	l := NewLimiter(0, 0, ck.now)
	for {
		if ok, _ := l.Judge(addr(1), "alice", false); !ok {
			break
		}
	}
	_, retry := l.Allow(addr(1), "alice")
	ck.add(retry - time.Nanosecond)
	if ok, _ := l.Allow(addr(1), "alice"); ok {
		t.Error("allowed before the time told")
	}
	ck.add(time.Nanosecond)
	if ok, _ := l.Allow(addr(1), "alice"); !ok {
		t.Error("not allowed at the time told")
	}
}

func TestLimiter_memoryIsBounded(t *testing.T) {
	ck := newClock()
	l := NewLimiter(0, 0, ck.now)
	for i := range 3 * maxTracked {
		l.Fail(addr(i), fmt.Sprint("u", i))
		l.Success(addr(i), fmt.Sprint("v", i))
	}
	if len(l.accounts) > maxTracked || len(l.sources) > maxTracked || len(l.known) > maxTracked {
		t.Errorf("%d accounts, %d sources, %d devices", len(l.accounts), len(l.sources), len(l.known))
	}
}

func TestLimiter_unixSocketHasNoSource(t *testing.T) {
	ck := newClock()
	l := NewLimiter(0, 0, ck.now)
	for i := range 1000 {
		l.Fail(netip.Addr{}, fmt.Sprint("u", i))
	}
	if ok, _ := l.Allow(netip.Addr{}, "alice"); !ok {
		t.Error("local callers are limited together")
	}
}
