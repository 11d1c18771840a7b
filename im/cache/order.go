package cache

import "sync"

// Order runs the effects of commits (a changed value in memory, pushes to
// sessions) in the order of the commits themselves, although the goroutines
// that wait for one flush wake up in any order. Without it a client could be
// left with the older of two states.
//
// A writer joins inside the store's closure, which the one writer runs in
// commit order, and leaves with its effect when the commit has returned.
type Order struct {
	mu   sync.Mutex
	line []*Turn // owner: mu; joined and not run yet
	busy bool    // owner: mu; somebody runs effects
}

// Turn is a place in an Order. The zero Turn has not joined.
type Turn struct {
	joined bool
	left   bool          // owner: Order.mu
	effect func()        // owner: Order.mu
	ran    chan struct{} // closed when the effect has run
}

// Join takes the next place; joining again keeps the first.
func (o *Order) Join(t *Turn) {
	if t.joined {
		return
	}
	t.joined, t.ran = true, make(chan struct{})
	o.mu.Lock()
	o.line = append(o.line, t)
	o.mu.Unlock()
}

// Leave gives the turn's effect, nil if the commit failed, and returns when it
// has run: after those of all earlier turns. Effects must not block, nor commit.
func (o *Order) Leave(t *Turn, effect func()) {
	if !t.joined {
		return
	}
	o.mu.Lock()
	t.left, t.effect = true, effect
	if o.busy {
		o.mu.Unlock()
		<-t.ran // whoever is at it comes to this turn, or an earlier turn's owner does
		return
	}
	o.busy = true
	for len(o.line) > 0 && o.line[0].left {
		next := o.line[0]
		o.line[0] = nil
		o.line = o.line[1:]
		o.mu.Unlock()
		if next.effect != nil {
			next.effect()
		}
		close(next.ran)
		o.mu.Lock()
	}
	o.busy = false
	o.mu.Unlock()
	<-t.ran
}
