package attack

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// X8 and F13: more connections than may log in at a time stop behind their
// ClientHello, the point where they cost most. They take turns from nobody:
// CANARY logs in all the while.
func TestX8_loiterersInTheHandshake(t *testing.T) {
	t.Parallel()
	kinds := slices.DeleteFunc(slows(t), func(k slow) bool { return k.name != "direct TLS, hello only" })
	n := scaled(800, 10_000)
	limit := time.Duration(scaled(46, 31)) * time.Second
	p := apart(t, 10)
	stop := canary(t, p)
	before := p.rss(t)
	longest, early, peak, most := p.besiege(t, kinds, n, limit)
	r := stop()
	last, grew := longest[kinds[0].name], peak-before
	t.Logf("%d connections, %d at once: gone after %v at most, %d KiB each at most", n, most, last.Round(10*time.Millisecond), grew>>10/int64(n))
	if bar := 32<<10*int64(n) + int64(scaled(24<<20, 0)); grew > bar {
		t.Errorf("MEM: %s for %d connections, limit %s", mib(grew), n, mib(bar))
	}
	if early > 0 {
		t.Errorf("%d of %d connections were never open", early, n)
	}
	measured("X8 (F13)", fmt.Sprintf("%d connections that say a ClientHello and nothing more, 1500 a second; %d at once", n, most),
		fmt.Sprintf("last gone after %.1f s; RSS %s → %s (+%s); %s", last.Seconds(), mib(before), mib(peak), mib(grew), r.health()),
		"≤ 31 s; RSS ≤ +320 MiB; CANARY")
}
