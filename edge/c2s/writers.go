package c2s

import (
	"runtime"
	"sync"
	"time"
)

// writers are the few goroutines that write what sessions have: a message to a room of
// hundreds wakes none for each of them. They never wait for a client (outlet.turn); they
// begin when there is something to write and end when there is nothing.
type writers struct {
	srv  *Server
	most int // of them

	mu    sync.Mutex
	n     int       // mu; at work
	ready []*outlet // mu; to be served, in the order they came

	due   []reminder // mu; in the order of their times
	timer *time.Timer
}

// reminder says when to look whether an acknowledgement is to be asked for.
type reminder struct {
	o  *outlet
	at time.Duration // since Server.began
}

const (
	// crowded is how many connections one writer has waiting before it gets help: to
	// wake another costs as much as to write a message or two.
	crowded = 16
	// serving is how many a writer takes at a time.
	serving = 8
	// lookAfter is how long after remind it is looked, or up to a lookStep later: all who
	// are to be looked at in a step wake the processor once.
	lookAfter = 500 * time.Millisecond
	lookStep  = 250 * time.Millisecond
)

// add has a connection served. It does not block.
func (w *writers) add(o *outlet) {
	w.mu.Lock()
	w.ready = append(w.ready, o)
	begin := w.n == 0 || len(w.ready) > crowded*w.n && w.n < w.most
	if begin {
		w.n++
	}
	w.mu.Unlock()
	if begin {
		go w.run()
	}
}

// run serves connections until there are none left.
func (w *writers) run() {
	var some [serving]*outlet
	for {
		n := w.take(&some)
		if n == 0 {
			return
		}
		for i, o := range some[:n] {
			some[i] = nil
			o.turn()
		}
		runtime.Gosched() // nobody else is to wait until all is written
	}
}

// take gives the next ones to be served; none: the writer has ended.
func (w *writers) take(some *[serving]*outlet) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := copy(some[:], w.ready)
	if n == 0 {
		w.n--
		return 0
	}
	clear(w.ready[:n])
	if w.ready = w.ready[n:]; len(w.ready) == 0 {
		w.ready = nil
	}
	return n
}

// remind has a connection looked at in a while: whether to ask for an acknowledgement.
func (w *writers) remind(o *outlet) {
	if !o.queued.CompareAndSwap(false, true) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Since(w.srv.began)
	at := (now + lookAfter + lookStep - 1).Truncate(lookStep)
	w.due = append(w.due, reminder{o, at})
	if len(w.due) == 1 {
		w.arm(at - now)
	}
}

// arm sets the timer; mu is held.
func (w *writers) arm(d time.Duration) {
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.look)
		return
	}
	w.timer.Reset(d)
}

// look looks at those whose time has come.
func (w *writers) look() {
	now := time.Since(w.srv.began)
	w.mu.Lock()
	n := 0
	for n < len(w.due) && w.due[n].at <= now {
		n++
	}
	looked := append([]reminder(nil), w.due[:n]...)
	rest := copy(w.due, w.due[n:])
	clear(w.due[rest:])
	if w.due = w.due[:rest]; rest > 0 {
		w.arm(w.due[0].at - now)
	} else {
		w.due = nil
	}
	w.mu.Unlock()
	for _, r := range looked {
		r.o.queued.Store(false)
		if r.o.overdue(now) {
			w.remind(r.o)
		}
	}
}
