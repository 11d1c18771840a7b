package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"modernc.org/libc"
)

// liteReader is a connection of the read pool.
type liteReader struct {
	*liteConn
	stopTLS *libc.TLS // interrupt's own: it runs beside the reader
	used    time.Time // owner: lite.mu
}

func (e *lite) read(ctx context.Context, fn func(conn) error) error {
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-e.slots }()
	r, err := e.takeReader()
	if err != nil {
		return err
	}
	defer e.giveReader(r)
	return r.snapshot(ctx, fn)
}

// snapshot runs fn in one read transaction, and stops its statement when ctx ends.
func (r *liteReader) snapshot(ctx context.Context, fn func(conn) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() != nil {
		var quiet sync.WaitGroup
		quiet.Add(1)
		stop := context.AfterFunc(ctx, func() {
			defer quiet.Done()
			r.interrupt(r.stopTLS)
		})
		defer func() {
			if !stop() {
				quiet.Wait() // so that it can't hit the next user of this connection
				if err != nil {
					err = errors.Join(ctx.Err(), err)
				}
			}
		}()
	}
	if err := r.run("BEGIN"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.rollback()) }() // also when fn panics
	return fn(r.liteConn)
}

func (e *lite) takeReader() (*liteReader, error) {
	e.mu.Lock()
	if e.done {
		e.mu.Unlock()
		return nil, ErrClosed
	}
	if n := len(e.idle); n > 0 {
		r := e.idle[n-1]
		e.idle = e.idle[:n-1]
		e.mu.Unlock()
		return r, nil
	}
	e.mu.Unlock()
	c, err := e.connect(readerCache, "PRAGMA query_only=ON")
	if err != nil {
		return nil, err
	}
	return &liteReader{liteConn: c, stopTLS: libc.NewTLS()}, nil
}

func (e *lite) giveReader(r *liteReader) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done || r.open.s != nil || r.inTx() {
		r.drop(e) // a closure that panicked may have left it in a state of its own
		return
	}
	r.used = time.Now()
	e.idle = append(e.idle, r)
	if e.reap == nil {
		e.reap = time.AfterFunc(e.o.idle, e.reapReaders)
	}
}

// reapReaders closes the connections that were idle for a while; each holds up to its cache's size.
func (e *lite) reapReaders() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reap = nil
	if e.done {
		return
	}
	limit := time.Now().Add(-e.o.idle)
	n := 0
	for n < len(e.idle) && !e.idle[n].used.After(limit) {
		e.idle[n].drop(e)
		n++
	}
	e.idle = append(e.idle[:0], e.idle[n:]...)
	if len(e.idle) > 0 {
		e.reap = time.AfterFunc(e.o.idle, e.reapReaders)
	}
}

func (r *liteReader) drop(e *lite) {
	if err := r.close(); err != nil {
		e.db.log.Warn("store: close reader", "err", err)
	}
	r.stopTLS.Close()
}

// closeReaders waits for the readers in use, and closes all.
func (e *lite) closeReaders() {
	e.mu.Lock()
	e.done = true
	if e.reap != nil {
		e.reap.Stop()
	}
	e.mu.Unlock()
	for range cap(e.slots) {
		e.slots <- struct{}{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.idle {
		r.drop(e)
	}
	e.idle = nil
	for range cap(e.slots) { // a late Read finds a slot, and then that the pool is closed
		<-e.slots
	}
}
