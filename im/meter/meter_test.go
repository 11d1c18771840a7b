package meter

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/xmpp/stanza"
)

func TestTimes_buckets(t *testing.T) {
	var h Times
	for _, c := range []struct {
		d time.Duration
		n int
	}{{-time.Second, 1}, {0, 1}, {50 * time.Microsecond, 1}, {50*time.Microsecond + 1, 2}, {25 * time.Millisecond, 3}, {time.Hour, 1}} {
		h.Observe(c.d, c.n)
	}
	b := h.Read()
	for upto, want := range map[float64]uint64{0.00005: 3, 0.0001: 5, 0.02: 5, 0.025: 8, 10: 8} {
		if b.Upto[upto] != want {
			t.Errorf("at most %v s: %d, want %d", upto, b.Upto[upto], want)
		}
	}
	if b.Count != 9 || b.Sum < 3599 || b.Sum > 3599.1 || len(b.Upto) != len(timeBounds) {
		t.Errorf("%+v", b)
	}
}

func TestSizes_buckets(t *testing.T) {
	var h Sizes
	for _, n := range []int{0, 1, 2, 3, 4, 5, 2048, 2049} {
		h.Observe(n)
	}
	b := h.Read()
	for upto, want := range map[float64]uint64{1: 2, 2: 3, 4: 5, 8: 6, 1024: 6, 2048: 7} {
		if b.Upto[upto] != want {
			t.Errorf("at most %v: %d, want %d", upto, b.Upto[upto], want)
		}
	}
	if b.Count != 8 || b.Sum != 0+1+2+3+4+5+2048+2049 {
		t.Errorf("%+v", b)
	}
}

func TestTally_namesAreBounded(t *testing.T) {
	var y Tally
	for i := range tallyMost + 10 {
		y.Add(fmt.Sprint(i), "x")
	}
	y.Add("0", "x")
	var pairs int
	got := map[string]uint64{}
	y.Each(func(a, _ string, n uint64) { pairs++; got[a] = n })
	if pairs != tallyMost+1 || got["other"] != 10 || got["0"] != 2 {
		t.Errorf("%d pairs, other %d, known %d", pairs, got["other"], got["0"])
	}
}

func TestMeter_countsFromManySides(t *testing.T) {
	var m Meter
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				m.Passed(Accept, stanza.Message, 2)
				m.Refuse(Plan, stanza.Fail("gone", ""))
				m.Deliver.Observe(time.Millisecond, 3)
			}
		})
	}
	wg.Wait()
	if n := m.Count(Accept, stanza.Message); n != 8000 {
		t.Errorf("%d accepted", n)
	}
	if b := m.Deliver.Read(); b.Count != 12000 || b.Sum != 12 {
		t.Errorf("%+v", b)
	}
	m.Refused.Each(func(verb, condition string, n uint64) {
		if verb != "plan" || condition != "gone" || n != 4000 {
			t.Error(verb, condition, n)
		}
	})
}

func TestCommitted_failuresAreNotCommits(t *testing.T) {
	var m Meter
	m.Committed(5, time.Now(), nil)
	m.Committed(3, time.Now(), errors.New("disk full"))
	if m.Count(Commit, stanza.Message) != 5 || m.Unkept.Count() != 3 || m.Keep.Read().Count != 1 || m.Group.Read().Sum != 5 {
		t.Errorf("kept %d, unkept %d", m.Count(Commit, stanza.Message), m.Unkept.Count())
	}
}

// What is counted per message must cost nothing that shows: no allocation.
func TestMeter_allocatesNothing(t *testing.T) {
	var m Meter
	gone := stanza.Fail("gone", "")
	m.Refuse(Plan, gone)
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		m.Passed(Write, stanza.IQ, 1)
		m.Committed(3, now, nil)
		m.Stored(3, time.Millisecond, time.Millisecond)
		m.Deliver.Observe(time.Millisecond, 1)
		m.Refuse(Plan, gone)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPassed(b *testing.B) {
	var m Meter
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Passed(Accept, stanza.Message, 1)
		}
	})
}

func BenchmarkTimes(b *testing.B) {
	var m Meter
	for range b.N {
		m.Deliver.Observe(12*time.Millisecond, 1)
	}
}
