package bench

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errLate: the time a run had is over.
var errLate = errors.New("bench: time is over")

// late takes the end of the time for no error.
func late(err error) error {
	if errors.Is(err, errLate) {
		return nil
	}
	return err
}

// pace calls f for each of total units when it is due, start + i/rate, from
// several goroutines. One that is late is told when it was due all the same.
func pace(ctx context.Context, senders int, total int64, rate int, start time.Time, f func(i int64, due time.Time) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for s := range min(int64(senders), total) {
		wg.Go(func() {
			t := time.NewTimer(0)
			defer t.Stop()
			for i := s; i < total; i += int64(senders) {
				due := start.Add(dueAfter(i, rate))
				if d := time.Until(due); d > 0 {
					t.Reset(d)
					select {
					case <-t.C:
					case <-ctx.Done():
						return
					}
				} else if ctx.Err() != nil {
					return
				}
				if err := f(i, due); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// dueAfter is i/rate seconds, exact for as long as anybody will wait.
func dueAfter(i int64, rate int) time.Duration {
	r := int64(rate)
	return time.Duration(i/r)*time.Second + time.Duration(i%r)*time.Second/time.Duration(r)
}

// sequence watches numbers that should come in order, each once. It remembers
// only the gaps.
type sequence struct {
	next      int64
	gaps      map[int64]bool
	doubled   int64
	reordered int64
}

// take notes a number; false if it has come before.
func (s *sequence) take(n int64) bool {
	switch {
	case n == s.next:
		s.next++
	case n > s.next:
		if s.gaps == nil {
			s.gaps = map[int64]bool{}
		}
		for ; s.next < n; s.next++ {
			s.gaps[s.next] = true
		}
		s.next = n + 1
	case s.gaps[n]:
		delete(s.gaps, n)
		s.reordered++
	default:
		s.doubled++
		return false
	}
	return true
}
