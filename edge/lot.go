package edge

import (
	"sync"
	"time"
)

// Sleeper is the owner of a parked connection. Rouse is called in a goroutine of
// its own, once for each time it was parked: there is something to read, or,
// if overdue, its time has come, or Lot.Rouse was called.
type Sleeper interface {
	Rouse(overdue bool)
}

// Lot holds idle connections without a goroutine each: one goroutine waits for
// all of them. The zero value is ready; on systems without epoll it takes none.
//
// The descriptors are watched one shot at a time and level-triggered, so that
// bytes which came before a connection was parked rouse it at once.
type Lot struct {
	// Tick is how exact times are; 0 is a second. Not to be changed after the first Park.
	Tick time.Duration

	mu     sync.Mutex
	poll   *poller       // mu; nil until the first Park
	closed bool          // mu
	berths []berth       // mu; a Conn's place is its berth-1
	free   []int32       // mu
	parked int           // mu
	moved  chan struct{} // mu; closed when parked changes, nil if nobody waits for that
	began  time.Time
}

// berth is one connection's place, kept as long as the connection is open.
type berth struct {
	owner  Sleeper
	until  time.Duration // since Lot.began
	gen    int32         // tells an event of an earlier connection at this place
	parked bool
}

// Park watches c for its owner, who gives up reading until it is roused: when
// there is something to read, or at until. It says false, and has done nothing,
// if it can't; else c and its owner belong to the lot at once.
func (l *Lot) Park(c *Conn, owner Sleeper, until time.Time) bool {
	if c.raw == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !l.start() {
		return false
	}
	known := c.berth != 0
	if !known {
		l.take(c, owner)
	}
	b := &l.berths[c.berth-1]
	b.until, b.parked = until.Sub(l.began), true
	var err error
	if e := c.raw.Control(func(fd uintptr) { err = l.poll.watch(int(fd), c.berth, b.gen, known) }); e != nil || err != nil {
		b.parked = false
		return false
	}
	l.count(+1)
	return true
}

// count changes parked; mu is held.
func (l *Lot) count(by int) {
	l.parked += by
	if l.moved != nil {
		close(l.moved)
		l.moved = nil
	}
}

func (l *Lot) take(c *Conn, owner Sleeper) {
	if n := len(l.free); n > 0 {
		c.berth, l.free = l.free[n-1], l.free[:n-1]
	} else {
		l.berths = append(l.berths, berth{})
		c.berth = int32(len(l.berths))
	}
	l.berths[c.berth-1].owner = owner
}

// start begins waiting; mu is held.
func (l *Lot) start() bool {
	if l.poll != nil {
		return true
	}
	p, err := newPoller()
	if err != nil {
		return false
	}
	if l.Tick <= 0 {
		l.Tick = time.Second
	}
	l.poll, l.began = p, time.Now()
	go l.run(p)
	return true
}

// run rouses connections until Close.
func (l *Lot) run(p *poller) {
	defer close(p.done)
	last := time.Now()
	for p.wait(l.Tick, l.event) {
		if time.Since(last) >= l.Tick {
			l.sweep()
			last = time.Now()
		}
	}
}

// event is called for a descriptor that is ready.
func (l *Lot) event(place, gen int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int(place) <= len(l.berths) && l.berths[place-1].gen == gen {
		l.rouse(place, false)
	}
}

// sweep rouses those whose time has come.
func (l *Lot) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Since(l.began)
	for i := range l.berths {
		if b := &l.berths[i]; b.parked && b.until <= now {
			l.rouse(int32(i+1), true)
		}
	}
}

// rouse gives a connection back to its owner; mu is held.
func (l *Lot) rouse(place int32, overdue bool) {
	b := &l.berths[place-1]
	if !b.parked {
		return
	}
	b.parked = false
	l.count(-1)
	go b.owner.Rouse(overdue)
}

// Rouse gives c back to its owner if it is parked. It does not block.
func (l *Lot) Rouse(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.berth != 0 {
		l.rouse(c.berth, false)
	}
}

// Leave gives up c's place. It is called before c is closed, by its owner.
func (l *Lot) Leave(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.berth == 0 {
		return
	}
	b := &l.berths[c.berth-1]
	*b = berth{gen: b.gen + 1}
	l.free = append(l.free, c.berth)
	c.berth = 0
}

// Parked is how many connections are held.
func (l *Lot) Parked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.parked
}

// Await returns when exactly n connections are parked, or says false after d.
func (l *Lot) Await(n int, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		l.mu.Lock()
		if l.parked == n {
			l.mu.Unlock()
			return true
		}
		if l.moved == nil {
			l.moved = make(chan struct{})
		}
		moved := l.moved
		l.mu.Unlock()
		select {
		case <-moved:
		case <-t.C:
			return false
		}
	}
}

// Close rouses who is still there and ends the goroutine. Nothing is parked
// any more after it.
func (l *Lot) Close() {
	l.mu.Lock()
	l.closed = true
	p := l.poll
	l.poll = nil
	for i := range l.berths {
		l.rouse(int32(i+1), false)
	}
	l.mu.Unlock()
	if p != nil {
		p.close()
	}
}
