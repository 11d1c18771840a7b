package archive

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// patience is how long a message may stay with sessions unconfirmed before it
// is written down as waiting; sweep is how often the ledger looks.
const (
	patience = 5 * time.Second
	sweep    = 250 * time.Millisecond
	// lastTries is for how long the last write is tried when the server stops: longer than the store waits
	// before it looks for a lost database again.
	lastTries = 5 * time.Second
)

const (
	sqlPark   = `INSERT INTO waiting (owner, pos) VALUES ($1, $2) ON CONFLICT (owner, pos) DO NOTHING`
	sqlUnpark = `DELETE FROM waiting WHERE owner = $1 AND pos = $2`
)

// Ledger follows messages handed to sessions until they are confirmed.
type Ledger struct {
	a      *Archive
	log    *slog.Logger
	fanned func() session.Pos // up to where messages were handed out

	mu    sync.Mutex // a leaf: nothing is called under it
	open  []tracked  // by position
	taken []place    // parked and confirmed since: rows to strike out

	pass    sync.Mutex  // one sweep at a time
	settled session.Pos // what archive_mark holds; owner: pass
	marked  time.Time   // when it was written; owner: pass

	parked, struck meter.Counter // rows written and struck out
}

type place struct {
	owner jid.JID
	pos   session.Pos
}

type tracked struct {
	place
	since time.Time
	f     *session.Frame
}

// NewLedger makes the ledger of an archive. fanned is the position up to which
// messages were tracked and handed to sessions (route.Table.Fanned).
func NewLedger(a *Archive, fanned func() session.Pos, log *slog.Logger) *Ledger {
	return &Ledger{a: a, log: log, fanned: fanned, settled: a.Last()}
}

// Track follows a frame for an account. It does not block.
func (l *Ledger) Track(account jid.JID, f *session.Frame) {
	l.mu.Lock()
	l.open = append(l.open, tracked{place{account, f.Pos}, l.a.now(), f})
	l.mu.Unlock()
}

// Taken has a waiting row struck out. It does not block.
func (l *Ledger) Taken(account jid.JID, pos session.Pos) {
	l.mu.Lock()
	l.taken = append(l.taken, place{account, pos})
	l.mu.Unlock()
}

// Run sweeps until ctx ends; then everything unconfirmed is written down.
func (l *Ledger) Run(ctx context.Context) error {
	t := time.NewTicker(sweep)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.last(context.WithoutCancel(ctx), lastTries)
		case <-t.C:
			old := l.a.now().Add(-patience)
			if err := l.settle(ctx, func(e tracked) bool { return e.since.Before(old) }, false); err != nil && ctx.Err() == nil {
				l.log.Warn("archive: ledger: messages not yet written down as waiting", "err", err)
			}
		}
	}
}

// last writes down, as the server stops, what no session has confirmed: it waits for the next. If the database can't be
// reached nothing is lost, for the settled mark stays behind it, and the next start has it wait as after a crash; so
// that is no failure of this process (HARDENING F6). A poisoned one is.
func (l *Ledger) last(ctx context.Context, tries time.Duration) error {
	over := time.NewTimer(tries)
	defer over.Stop()
	again := time.NewTicker(sweep)
	defer again.Stop()
	for {
		err := l.settle(ctx, func(tracked) bool { return true }, true)
		if err == nil || l.a.db.Err() != nil {
			return err
		}
		select {
		case <-over.C:
			l.log.Warn("archive: ledger: the database can't be reached; what nobody confirmed waits after the next start, and may come twice", "err", err)
			return nil
		case <-again.C:
		}
	}
}

// Sync writes down at once what no connected session of the account holds, so
// that a session which begins now finds it.
func (l *Ledger) Sync(ctx context.Context, account jid.JID) error {
	return l.settle(ctx, func(e tracked) bool { return e.owner == account && !e.f.Held() }, false)
}

// settle parks the entries that due says, strikes out what was taken, and
// moves the settled mark.
func (l *Ledger) settle(ctx context.Context, due func(tracked) bool, final bool) error {
	l.pass.Lock()
	defer l.pass.Unlock()
	park, strike, mark := l.collect(due)
	if len(park)+len(strike) == 0 && (mark == l.settled || !final && l.a.now().Sub(l.marked) < time.Second) {
		return nil
	}
	err := l.a.db.Write(ctx, func(tx *store.Tx) error {
		for _, e := range park {
			if _, err := tx.Exec(sqlPark, e.owner.String(), int64(e.pos)); err != nil {
				return err
			}
		}
		for _, p := range strike {
			if _, err := tx.Exec(sqlUnpark, p.owner.String(), int64(p.pos)); err != nil {
				return err
			}
		}
		_, err := tx.Exec(sqlSettle, int64(mark))
		return err
	})
	if err != nil {
		l.mu.Lock()
		l.taken = append(l.taken, strike...)
		l.mu.Unlock()
		return fmt.Errorf("archive: ledger: %w", err)
	}
	l.settled, l.marked = mark, l.a.now()
	l.parked.Add(len(park))
	l.struck.Add(len(strike))
	l.drop(park)
	return nil
}

// drop forgets entries that are now waiting rows.
func (l *Ledger) drop(parked []tracked) {
	if len(parked) == 0 {
		return
	}
	gone := make(map[*session.Frame]bool, len(parked))
	for _, e := range parked {
		gone[e.f] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	keep := l.open[:0]
	for _, e := range l.open {
		if !gone[e.f] {
			keep = append(keep, e)
		}
	}
	clear(l.open[len(keep):])
	l.open = keep
}

// collect finds what is due, forgets what was taken, and says up to where
// every message will be settled when the due ones are written.
func (l *Ledger) collect(due func(tracked) bool) (park []tracked, strike []place, mark session.Pos) {
	fanned := l.fanned() // before the lock: all up to there has been tracked
	l.mu.Lock()
	defer l.mu.Unlock()
	strike, l.taken = l.taken, nil
	strike = l.forget(strike)
	keep := l.open[:0]
	mark, left := fanned, false
	for _, e := range l.open {
		if e.f.Taken() {
			continue
		}
		if e.f.Given() && !e.f.Held() || due(e) { // nobody but this list has what was given back
			e.f.Park()
			if !e.f.Taken() { // see session.Frame.Park
				park = append(park, e)
			}
		} else if !left {
			mark, left = e.pos-1, true // which may be 0: nothing is settled
		}
		keep = append(keep, e)
	}
	clear(l.open[len(keep):])
	l.open = keep
	return park, strike, max(mark, l.settled)
}

// forget leaves out what was given back and confirmed before it was written down:
// there is no row to strike out. Called with mu held; it returns the others.
func (l *Ledger) forget(taken []place) []place {
	if len(taken) == 0 {
		return taken
	}
	known := make(map[place]bool, len(taken))
	for _, p := range taken {
		known[p] = false
	}
	keep := l.open[:0]
	for _, e := range l.open {
		if _, is := known[e.place]; is && e.f.Given() && !e.f.Parked() {
			known[e.place] = true
			continue
		}
		keep = append(keep, e)
	}
	clear(l.open[len(keep):])
	l.open = keep
	return slices.DeleteFunc(taken, func(p place) bool { return known[p] })
}

// Counts is how many messages nobody has confirmed yet, and how many waiting
// rows were written and struck out since the start.
func (l *Ledger) Counts() (open int, parked, struck uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open), l.parked.Count(), l.struck.Count()
}
