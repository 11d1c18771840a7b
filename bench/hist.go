package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A bucket is at most 1/64 of its values wide: 1.6 %.
const (
	subBits = 6
	sub     = 1 << subBits
	ranks   = 40 - subBits // up to 2^39 ns, nine minutes; more counts as that
)

// Hist is a histogram of durations of fixed size: within each power of two, 64
// buckets of equal width. Many goroutines may add to it.
type Hist struct {
	n   atomic.Int64
	max atomic.Int64
	b   [(ranks + 1) * sub]atomic.Int64
}

// slot is the bucket of v: below 64 each value has its own.
func slot(v int64) int {
	if v < sub {
		return int(max(v, 0))
	}
	e := bits.Len64(uint64(v)) - 1 - subBits
	if e >= ranks {
		return (ranks+1)*sub - 1
	}
	return (e+1)*sub + int(v>>e) - sub
}

// top is the largest value of a bucket.
func top(i int) int64 {
	if i < sub {
		return int64(i)
	}
	e := i/sub - 1
	return (int64(i%sub+sub)+1)<<e - 1
}

// Add notes one duration.
func (h *Hist) Add(d time.Duration) {
	v := int64(d)
	h.b[slot(v)].Add(1)
	h.n.Add(1)
	for m := h.max.Load(); v > m && !h.max.CompareAndSwap(m, v); m = h.max.Load() {
	}
}

// Count is how many durations were added.
func (h *Hist) Count() int64 { return h.n.Load() }

// At is the duration that a share q of all did not exceed, at most 1.6 % too
// much; 0 if there are none.
func (h *Hist) At(q float64) time.Duration {
	n := h.n.Load()
	if n == 0 {
		return 0
	}
	rank := min(int64(q*float64(n))+1, n)
	for i := range h.b {
		if rank -= h.b[i].Load(); rank <= 0 && i < len(h.b)-1 {
			return time.Duration(min(top(i), h.max.Load()))
		}
	}
	return time.Duration(h.max.Load())
}

// Latency is a histogram's summary.
func (h *Hist) Latency() *Latency {
	if h.Count() == 0 {
		return nil
	}
	return &Latency{ms(h.At(.5)), ms(h.At(.9)), ms(h.At(.99)), ms(h.At(.999)), ms(time.Duration(h.max.Load()))}
}

// ms is a duration in milliseconds, to the microsecond.
func ms(d time.Duration) float64 { return float64(d.Round(time.Microsecond).Microseconds()) / 1000 }
