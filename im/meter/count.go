package meter

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Counter only grows. The zero value is ready, as with all types here.
type Counter struct{ n atomic.Uint64 }

// Add adds n, which is not negative.
func (c *Counter) Add(n int) { c.n.Add(uint64(n)) }

// Count is what it has come to.
func (c *Counter) Count() uint64 { return c.n.Load() }

// Buckets is a histogram as read: how many values were at most each bound.
type Buckets struct {
	Count uint64
	Sum   float64
	Upto  map[float64]uint64
}

// timeBounds are those of Times. The numbers the project promises are among
// them: 25 ms and 60 ms for an acknowledgement, 20 ms for a page of the archive.
var timeBounds = [...]time.Duration{
	50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 15 * time.Millisecond,
	20 * time.Millisecond, 25 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Times is a histogram of durations.
type Times struct {
	counts [len(timeBounds) + 1]atomic.Uint64
	sum    atomic.Int64 // ns
}

// Observe notes n things that took d each.
func (t *Times) Observe(d time.Duration, n int) {
	i := 0
	for i < len(timeBounds) && d > timeBounds[i] {
		i++
	}
	t.counts[i].Add(uint64(n))
	t.sum.Add(int64(d) * int64(n))
}

// Read gives the buckets in seconds.
func (t *Times) Read() Buckets {
	b := Buckets{Upto: make(map[float64]uint64, len(timeBounds))}
	for i := range t.counts {
		b.Count += t.counts[i].Load()
		if i < len(timeBounds) {
			b.Upto[timeBounds[i].Seconds()] = b.Count
		}
	}
	b.Sum = time.Duration(t.sum.Load()).Seconds()
	return b
}

// sizeBuckets makes powers of two up to 2048 bounds of Sizes.
const sizeBuckets = 12

// Sizes is a histogram of how many things went together.
type Sizes struct {
	counts [sizeBuckets + 1]atomic.Uint64
	sum    atomic.Uint64
}

// Observe notes a group of n.
func (s *Sizes) Observe(n int) {
	s.counts[min(bits.Len(uint(max(n-1, 0))), sizeBuckets)].Add(1)
	s.sum.Add(uint64(n))
}

// Read gives the buckets.
func (s *Sizes) Read() Buckets {
	b := Buckets{Upto: make(map[float64]uint64, sizeBuckets)}
	for i := range s.counts {
		b.Count += s.counts[i].Load()
		if i < sizeBuckets {
			b.Upto[float64(uint(1)<<i)] = b.Count
		}
	}
	b.Sum = float64(s.sum.Load())
	return b
}

// Tally counts by two names. It is for what is rare.
type Tally struct {
	mu sync.Mutex // a leaf
	n  map[[2]string]uint64
}

// tallyMost bounds the pairs of names, were they ever to come from outside.
const tallyMost = 256

// Add adds one to a pair.
func (t *Tally) Add(a, b string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = make(map[[2]string]uint64)
	}
	k := [2]string{a, b}
	if _, known := t.n[k]; !known && len(t.n) >= tallyMost {
		k = [2]string{"other", "other"}
	}
	t.n[k]++
}

// Each calls f for every pair there is.
func (t *Tally) Each(f func(a, b string, n uint64)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, n := range t.n {
		f(k[0], k[1], n)
	}
}
