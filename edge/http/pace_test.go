package http

import (
	"net/netip"
	"testing"
	"time"

	"github.com/parlance-im/parlance/edge"
)

func TestPacer_burstThenPace(t *testing.T) {
	p := newPacer(Pace{Burst: 10, PerSecond: 2})
	now := time.Unix(1000, 0)
	one, other := edge.SourceKey(netip.MustParseAddr("192.0.2.1")), edge.SourceKey(netip.MustParseAddr("192.0.2.2"))
	passed := 0
	for range 100 {
		if p.take(now, one) == 0 {
			passed++
		}
	}
	if passed != 10 {
		t.Errorf("%d passed at once, want 10", passed)
	}
	if wait := p.take(now, one); wait <= 0 || wait > 500*time.Millisecond {
		t.Errorf("room again in %v, want half a second at most", wait)
	}
	if p.take(now, other) != 0 {
		t.Error("another address has to wait")
	}
	passed = 0
	for range 600 { // a minute
		now = now.Add(100 * time.Millisecond)
		if p.take(now, one) == 0 {
			passed++
		}
	}
	if passed < 119 || passed > 121 {
		t.Errorf("%d passed in a minute, want 120", passed)
	}
	if now = now.Add(time.Minute); p.take(now, one) != 0 || len(p.full) != 2 {
		t.Error("not as before after a minute of silence")
	}
}

func TestPacer_memoryIsBounded(t *testing.T) {
	p := newPacer(DefaultPace())
	now := time.Unix(1000, 0)
	for i := range 3 * pacedSources {
		p.take(now, edge.SourceKey(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})))
		now = now.Add(time.Microsecond)
		if len(p.full) > pacedSources {
			t.Fatalf("%d entries, want at most %d", len(p.full), pacedSources)
		}
	}
}
