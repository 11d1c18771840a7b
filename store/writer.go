package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxBatch = 256  // closures in one transaction: bounds its latency
	maxQueue = 4096 // closures waiting; past it Write waits (back-pressure, HARDENING F6)
)

const lingerTime = 2 * time.Millisecond

// request is one Write. The caller owns it until it is queued and after done has fired; between,
// the writer does, except state.
type request struct {
	fn       func(*Tx) error
	state    atomic.Int32 // waiting → begun (by the writer) or waiting → gone (by the caller)
	err      error
	panicked any
	done     chan struct{} // capacity 1
}

const (
	waiting int32 = iota
	begun
	gone
)

// requests are recycled: a Write allocates nothing of its own.
var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

// writer is the goroutine that owns the one writing connection.
type writer struct {
	db      *DB
	queue   chan *request
	control chan func(writeConn) // work between two transactions: the end of a checkpoint
	ended   chan struct{}

	mu     sync.RWMutex // read: sending to queue; written: closing it
	closed bool         // owner: mu

	// Owner of the rest, but commits: the goroutine.
	rate  float64   // writes per second, smoothed
	began time.Time // of the last batch
	last  int       // its requests
	skip  int       // batches until linger is tried again
	vain  int       // how often it brought nothing, in a row

	conn    writeConn // nil after the connection was lost
	retry   time.Duration
	nextTry time.Time
	commits atomic.Int64 // transactions committed, for tests and metrics
}

func startWriter(ctx context.Context, db *DB) (*writer, error) {
	c, err := db.eng.writer(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{db: db, conn: c, queue: make(chan *request, maxQueue), control: make(chan func(writeConn)), ended: make(chan struct{})}
	go w.run()
	return w, nil
}

// stop closes the queue, waits until what is in it is done, and reports whether it was open.
func (w *writer) stop() bool {
	w.mu.Lock()
	was := w.closed
	w.closed = true
	if !was {
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.ended
	return !was
}

func (w *writer) write(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := requests.Get().(*request)
	r.fn = fn
	r.state.Store(waiting)
	if err := w.enqueue(ctx, r); err != nil {
		return err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, gone) {
			return ctx.Err() // the writer drops it; not recycled, for it is still in the queue
		}
		<-r.done
	}
	err, p := r.err, r.panicked
	r.fn, r.err, r.panicked = nil, nil, nil
	requests.Put(r)
	if p != nil {
		panic(p) // on the caller's goroutine, where the connection's recover stands
	}
	return err
}

func (w *writer) enqueue(ctx context.Context, r *request) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	select {
	case w.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) run() {
	defer close(w.ended)
	batch := make([]*request, 0, maxBatch)
	for {
		select {
		case r, ok := <-w.queue:
			if !ok {
				w.shut()
				return
			}
			batch = w.linger(w.collect(append(batch[:0], r)))
			w.transaction(batch)
			clear(batch)
		case fn := <-w.control:
			if w.conn != nil {
				fn(w.conn)
			}
		}
	}
}

func (w *writer) shut() {
	if w.conn == nil {
		return
	}
	if err := w.conn.close(); err != nil {
		w.db.log.Warn("store: close writer", "err", err)
	}
	w.conn = nil
}

// collect adds what else is queued, without waiting: while one COMMIT is being flushed the next
// batch gathers by itself.
func (w *writer) collect(batch []*request) []*request {
	for len(batch) < maxBatch {
		select {
		case r, ok := <-w.queue:
			if !ok {
				return batch // run sees the closed queue again
			}
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// linger waits a little for more when writes come so fast that the wait will bring some: at 5,000 writes/s it
// makes one flush out of four, and flushes are what costs. A lone writer never waits, nor do writers that all stand in the batch
// already: the wait ends when nothing came for half of it, and if it did
// not at least double the batch it is not tried again for a while.
func (w *writer) linger(batch []*request) []*request {
	now := time.Now()
	w.rate += (float64(w.last)/max(now.Sub(w.began).Seconds(), 1e-6) - w.rate) / 8
	w.began = now
	had := len(batch)
	switch {
	case had >= maxBatch/4 || w.rate*lingerTime.Seconds() < 4:
	case w.skip > 0:
		w.skip--
	default:
		for until, n := now.Add(lingerTime), 0; len(batch) > n && now.Before(until); now = time.Now() {
			n = len(batch)
			time.Sleep(lingerTime / 2)
			batch = w.collect(batch)
		}
		if len(batch) >= 2*had {
			w.vain = 0
		} else {
			w.vain = min(w.vain+1, 10)
			w.skip = 4 << w.vain
		}
	}
	w.last = len(batch)
	return batch
}

// calm reports whether few would notice a pause; only the writer's goroutine may ask.
func (w *writer) calm() bool { return w.rate < 500 && len(w.queue) == 0 }

// transaction runs a batch in one transaction and answers every request of it.
func (w *writer) transaction(batch []*request) {
	ran, err := w.runBatch(batch)
	if err != nil && w.conn != nil {
		switch w.conn.classify(err) {
		case classPoison:
			w.db.poison(err)
			err = w.db.Err()
		case classConn:
			w.lost(err)
		}
	}
	for i, r := range batch {
		switch {
		case i >= ran && !r.state.CompareAndSwap(waiting, begun):
			continue // cancelled before it began
		case r.state.Load() == gone:
			continue
		case err != nil:
			r.err = err
		}
		r.done <- struct{}{}
	}
}

// runBatch returns how many requests were looked at and, if no closure's work is kept, why. A
// closure's own failure is noted in its request.
func (w *writer) runBatch(batch []*request) (ran int, err error) {
	began := time.Now()
	if err := w.db.Err(); err != nil {
		return 0, err
	}
	if err := w.begin(); err != nil {
		return 0, err
	}
	kept := false // some closure's rows are in the transaction
	for i, r := range batch {
		if !r.state.CompareAndSwap(waiting, begun) {
			continue
		}
		ok, err := w.runOne(r, kept)
		if err != nil {
			_ = w.conn.rollback() // the cause is reported
			return i + 1, &Error{What: "transaction", Err: err}
		}
		kept = kept || ok
	}
	flush := time.Now()
	if err := w.conn.commit(); err != nil {
		maybe := w.conn.classify(err) >= classConn
		_ = w.conn.rollback() // the cause is reported
		return len(batch), &Error{What: "commit", ambiguous: maybe, Err: err}
	}
	w.commits.Add(1)
	w.db.observe(len(batch), time.Since(began), time.Since(flush))
	return len(batch), nil
}

// runOne runs one closure. A savepoint protects the rows of the closures before it; when there are
// none, undoing the whole transaction does the same and costs nothing.
func (w *writer) runOne(r *request, protect bool) (kept bool, err error) {
	c := w.conn
	if protect {
		if err := c.savepoint(); err != nil {
			return false, err
		}
	}
	if r.panicked, r.err = call(c, r.fn); r.err == nil && r.panicked == nil {
		if protect {
			err = c.release()
		}
		return true, err
	}
	if r.err != nil && c.classify(r.err) != classStatement {
		return false, r.err
	}
	if protect {
		return false, errors.Join(c.rollbackTo(), c.release())
	}
	return false, errors.Join(c.rollback(), c.begin())
}

// call runs fn; what it panics with goes back to the goroutine that asked.
func call(c conn, fn func(*Tx) error) (panicked any, err error) {
	tx := Tx{c: c}
	defer func() {
		if p := recover(); p != nil {
			_ = tx.end() // undone in any case
			panicked = fmt.Sprintf("store: in Write: %v\n%s", p, debug.Stack())
		}
	}()
	err = fn(&tx)
	if failed := tx.end(); failed != nil && err == nil {
		err = failed
	}
	return nil, err
}

// begin starts a transaction. A connection that was lost while nobody wrote is replaced: nothing has run yet.
func (w *writer) begin() error {
	for again := false; ; again = true {
		if err := w.connect(); err != nil {
			return err
		}
		err := w.conn.begin()
		switch {
		case err == nil:
			return nil
		case again || w.conn.classify(err) != classConn:
			return &Error{What: "begin", Err: err}
		}
		w.lost(err)
	}
}

// connect opens the connection again after a loss, at most once per back-off.
func (w *writer) connect() error {
	if w.conn != nil {
		return nil
	}
	if wait := time.Until(w.nextTry); wait > 0 {
		return &Error{What: "connect", Err: errors.New("the database is not reachable")}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := w.db.eng.writer(ctx)
	if err != nil {
		w.back()
		return &Error{What: "connect", Err: err}
	}
	w.conn, w.retry = c, 0
	w.db.log.Info("store: writer connected again")
	return nil
}

func (w *writer) lost(err error) {
	w.db.log.Error("store: writer's connection lost", "err", err)
	_ = w.conn.close() // it is dead already
	w.conn = nil
	w.nextTry = time.Time{} // the first try is at once
}

func (w *writer) back() {
	w.retry = min(max(2*w.retry, 50*time.Millisecond), 2*time.Second)
	w.nextTry = time.Now().Add(w.retry)
}
