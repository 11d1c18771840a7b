package pep

import (
	"context"
	"sync"
)

// work is what one goroutine carries out, in the order it was added. Whoever adds
// waits for it (wait) or for something behind it (Settle), so the queue is no
// longer than there are requests under way.
type work struct {
	mu      sync.Mutex
	queue   []func(context.Context) // owner: mu
	ready   chan struct{}           // holds one token while the queue is not empty
	stopped chan struct{}           // closed when run has ended
}

func (w *work) init() {
	w.ready = make(chan struct{}, 1)
	w.stopped = make(chan struct{})
}

// add takes a job. It does not block.
func (w *work) add(job func(context.Context)) {
	w.mu.Lock()
	w.queue = append(w.queue, job)
	w.mu.Unlock()
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// wait adds a job and returns when it has run, or will not.
func (w *work) wait(ctx context.Context, job func(context.Context)) {
	done := make(chan struct{})
	w.add(func(c context.Context) {
		defer close(done)
		job(c)
	})
	select {
	case <-done:
	case <-ctx.Done():
	case <-w.stopped:
	}
}

func (w *work) run(ctx context.Context) error {
	defer close(w.stopped)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.ready:
		}
		w.mu.Lock()
		jobs := w.queue
		w.queue = nil
		w.mu.Unlock()
		for _, job := range jobs {
			if ctx.Err() != nil {
				return nil
			}
			job(ctx)
		}
	}
}
