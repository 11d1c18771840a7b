package edge

import (
	"context"
	"runtime"
	"time"
)

// A login takes several times the memory of a session at rest: the handshake's
// messages, keys and grown stack. When everybody comes back at once (HARDENING F13)
// all of them together would be what the server is measured by, so only so many are
// under way at a time; the others wait where they cost least, with nothing but
// their socket. A turn begins with a whole ClientHello and ends with the login.
//
// Who lets the server wait must not keep others out (HARDENING X8). A turn is another's
// after longTurn, and when turns are wanted and hardly any ends, the oldest are: some at
// every tick, so that the work of those who follow is spread, and twice as many in each
// window, until people get on. Who has lost their turn goes on within the deadlines of
// everybody, as long as these are not too many: then the oldest of them are cut off, but
// nobody before slowest, which is more than a login takes anybody who means it.
const (
	turnsPerCPU = 256
	turnTick    = 25 * time.Millisecond
	turnWindow  = 8 // ticks
	longTurn    = 1500 * time.Millisecond
	lostPerTurn = 8
	slowest     = 3 * time.Second
	calmTicks   = int(time.Second / turnTick)
)

// defaultTurns is how many logins are under way at a time: enough to keep every
// processor busy with people 50 ms away who answer six times.
func defaultTurns() int { return turnsPerCPU * runtime.GOMAXPROCS(0) }

// turns is who has one and who waits for one. Gate.mu guards it.
type turns struct {
	held, line row
	lost       row // whose turn was taken away
	ticking    bool
	tick       int  // in this window
	ended      int  // turns that ended in this window
	calm       int  // ticks since somebody waited
	crowd      bool // what OnCrowd was told
	take       int  // turns to be taken away at every tick; kept while nobody waits: loiterers seldom come alone
}

// row is passes in order, oldest first.
type row struct {
	first, last *Pass
	n           int
}

func (r *row) push(p *Pass) {
	p.in, p.before, p.behind = r, r.last, nil
	if r.last != nil {
		r.last.behind = p
	} else {
		r.first = p
	}
	r.last = p
	r.n++
}

func (r *row) remove(p *Pass) {
	if p.before != nil {
		p.before.behind = p.behind
	} else {
		r.first = p.behind
	}
	if p.behind != nil {
		p.behind.before = p.before
	} else {
		r.last = p.before
	}
	p.in, p.before, p.behind = nil, nil, nil
	r.n--
}

// Turn waits for c's turn to log in, at most until then. The error is ErrCrowded or
// ctx's.
func (p *Pass) Turn(ctx context.Context, c *Conn, until time.Time) error {
	if p == nil || p.gate.lim.Turns <= 0 {
		return nil
	}
	g := p.gate
	g.mu.Lock()
	if p.in != nil || p.done {
		g.mu.Unlock()
		return nil
	}
	p.conn = c
	t := &g.turns
	if t.held.n < g.lim.Turns {
		t.begin(p)
		g.mu.Unlock()
		return nil
	}
	called := make(chan struct{})
	p.called = called
	t.line.push(p)
	if !t.ticking {
		t.ticking, t.tick, t.ended, t.calm = true, 0, 0, 0
		time.AfterFunc(turnTick, g.turnTick)
	}
	g.mu.Unlock()
	return p.queue(ctx, called, time.Until(until))
}

func (p *Pass) queue(ctx context.Context, called <-chan struct{}, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	err := ErrCrowded
	select {
	case <-called:
		return nil
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	t := &p.gate.turns
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if p.in != &t.line {
		return nil // it was called at the same moment
	}
	t.line.remove(p)
	return err
}

func (t *turns) begin(p *Pass) {
	p.turn = time.Now()
	t.held.push(p)
	if p.called != nil {
		close(p.called)
		p.called = nil
	}
}

// endTurn gives p's turn to the next; Gate.mu is held.
func (g *Gate) endTurn(p *Pass) {
	t := &g.turns
	switch p.in {
	case &t.held:
		t.held.remove(p)
		t.ended++
		t.next(g.lim.Turns)
	case &t.lost:
		t.lost.remove(p)
	}
}

// next calls who waits, as far as there is room.
func (t *turns) next(most int) {
	for t.held.n < most && t.line.n > 0 {
		p := t.line.first
		t.line.remove(p)
		t.begin(p)
	}
}

// turnTick looks after turns as long as somebody waits for one, and a second longer.
func (g *Gate) turnTick() {
	g.mu.Lock()
	cut := g.takeTurns()
	crowd := g.turns.calm < calmTicks
	tell := crowd != g.turns.crowd
	g.turns.crowd, g.turns.ticking = crowd, crowd
	g.mu.Unlock()
	for _, c := range cut {
		_ = c.Close()
	}
	if tell && g.OnCrowd != nil {
		g.OnCrowd(crowd)
	}
	if crowd {
		time.AfterFunc(turnTick, g.turnTick)
	}
}

// takeTurns takes turns from those who keep others waiting, and says whose
// connections are to be closed; mu is held.
func (g *Gate) takeTurns() (cut []*Conn) {
	t, most, now := &g.turns, g.lim.Turns, time.Now()
	for t.lost.n > lostPerTurn*most && now.Sub(t.lost.first.turn) >= slowest {
		p := t.lost.first
		t.lost.remove(p)
		if p.conn != nil {
			p.cut = true
			cut = append(cut, p.conn)
		}
	}
	if t.line.n == 0 && t.lost.n <= lostPerTurn*most {
		t.calm++
		return cut
	}
	t.calm = 0
	if t.tick++; t.tick == turnWindow {
		if t.ended < max(most/32, 1) {
			t.take = min(max(2*t.take, most/64, 1), max(most/8, 1))
		} else {
			t.take = 0
		}
		t.tick, t.ended = 0, 0
	}
	for n := range min(t.line.n, t.held.n) {
		p := t.held.first
		if n >= t.take && now.Sub(p.turn) < longTurn {
			break
		}
		t.held.remove(p)
		t.lost.push(p)
	}
	t.next(most)
	return cut
}
