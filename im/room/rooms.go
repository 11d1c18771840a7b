package room

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Settings are what an operator decides.
type Settings struct {
	Name    string // of the service, shown to people
	Create  bool   // everybody may make rooms
	Most    int    // occupants of one room
	History int    // messages kept at hand for those who enter; the most a room may be set to
	Default Config // of a new room
}

// Submit carries a message a room makes itself through the path (im/deliver):
// it returns when the message is on disk and handed out.
type Submit func(ctx context.Context, m *Message) error

// Setup is what the service runs on. All fields are needed but Guest, Admin, Blocked and Log.
type Setup struct {
	DB       *store.DB
	Archive  *archive.Archive
	Routes   *route.Table
	Service  jid.JID  // the service's domain
	Settings Settings // as they are at the start: Services.Change
	Submit   Submit
	Now      func() time.Time
	// Guest says who makes no rooms: people without an account (XEP-0175 §3),
	// whose rooms would have no owner when they are gone. Nil: nobody is one.
	Guest func(jid.JID) bool
	// Admin says who administers the service: he enters any room and may do to it
	// what its owners may. Nil: nobody.
	Admin func(ctx context.Context, account jid.JID) (bool, error)
	// Blocked are the occupants of a room an account has blocked (XEP-0191), from
	// memory. Nil: nobody blocks.
	Blocked func(account, room jid.JID) []jid.JID
	// Makes says whether somebody may make rooms here; nil: as Settings.Create says.
	Makes func(ctx context.Context, who jid.JID) (bool, error)
	Log   *slog.Logger
}

// Rooms is the rooms' service: the rooms that are in memory, by address.
type Rooms struct {
	Setup
	key  []byte // of occupant ids
	pass passing
	stop atomic.Bool
	live atomic.Pointer[Settings]

	mu     sync.Mutex
	loaded map[jid.JID]*room // owner: mu

	seated seating
	unique unique
}

// New reads the service's secret. Migrations have been applied.
func New(ctx context.Context, s Setup) (*Rooms, error) {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	rs := &Rooms{Setup: s, loaded: make(map[jid.JID]*room)}
	rs.live.Store(&s.Settings)
	rs.seated.where = make(map[*session.Session]map[*room]struct{})
	rs.unique.given = make(map[string]promise)
	rs.pass.waiting = make(map[string]passed)
	var err error
	if rs.key, err = secret(ctx, s.DB, s.Service.String()); err != nil {
		return nil, err
	}
	return rs, nil
}

// Serves says whether an address is the service's, a room's or an occupant's.
func (rs *Rooms) Serves(to jid.JID) bool { return rs != nil && to.Domain() == rs.Service.Domain() }

// occupantID is XEP-0421 §4.1: the same for an account in a room for ever, and
// nothing that leads from one room to another.
func (rs *Rooms) occupantID(room, bare jid.JID) string {
	h := hmac.New(sha256.New, rs.key)
	h.Write([]byte(room.String()))
	h.Write([]byte{0})
	h.Write([]byte(bare.String()))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// keepEmpty is how many rooms without occupants stay in memory.
const keepEmpty = 1000

// open gives the room of an address, read from the data set if it is not in
// memory. A room there is not comes back void: a state in memory that vanishes
// unless somebody makes the room.
func (rs *Rooms) open(ctx context.Context, at jid.JID) (*room, error) {
	rs.mu.Lock()
	r := rs.loaded[at]
	if r == nil {
		r = newRoom(rs, at)
		rs.loaded[at] = r
		rs.mu.Unlock()
		r.load(context.WithoutCancel(ctx)) // others may be waiting for it
	} else {
		rs.mu.Unlock()
	}
	select {
	case <-r.ready:
		return r, r.broken
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// with runs fn under a room's lock. fn must not do I/O. A room that was thrown
// out of memory or destroyed meanwhile is looked up again.
func (rs *Rooms) with(ctx context.Context, at jid.JID, fn func(*room) error) error {
	for {
		r, err := rs.open(ctx, at)
		if err != nil {
			return err
		}
		r.mu.Lock()
		if again, err := r.passed(ctx); err != nil {
			return err
		} else if again {
			continue
		}
		err = fn(r)
		r.mu.Unlock()
		rs.tidy(r)
		return err
	}
}

// passed says, with the lock held, whether a room is not there any more; it has
// let the lock go then. One that is being destroyed is waited for.
func (r *room) passed(ctx context.Context) (again bool, err error) {
	switch {
	case r.gone:
		r.mu.Unlock()
		r.home.drop(r)
		return true, nil
	case r.closing != nil:
		over := r.closing
		r.mu.Unlock()
		select {
		case <-over:
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return false, nil
}

// plan is a change of a room's durable state: what is written, and what holds in
// memory and is told once it is on disk.
type plan struct {
	write   func(*store.Tx) error
	apply   func(*room) // under the room's lock
	after   func()      // without it; nil: nothing
	closing bool        // nobody may come in meanwhile
}

// change makes a change of a room's durable state, one at a time: prepare looks,
// under the room's lock, whether it may be and says what is to be done (nil:
// nothing), so that what it saw of grants and configuration still holds when the
// change is on disk. Messages and visits go on meanwhile.
func (rs *Rooms) change(ctx context.Context, at jid.JID, prepare func(*room) (*plan, error)) error {
	for {
		r, err := rs.open(ctx, at)
		if err != nil {
			return err
		}
		select {
		case r.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		r.mu.Lock()
		if r.gone { // closing it can't be: who closes it has the turn
			r.mu.Unlock()
			<-r.turn
			rs.drop(r)
			continue
		}
		p, err := prepare(r)
		if err == nil && p != nil {
			err = r.carryOut(context.WithoutCancel(ctx), p)
		}
		r.mu.Unlock()
		<-r.turn
		rs.tidy(r)
		if err == nil && p != nil && p.after != nil {
			p.after()
		}
		return err
	}
}

// carryOut writes a plan and applies it; the lock is held but for the writing.
func (r *room) carryOut(ctx context.Context, p *plan) error {
	if p.write != nil {
		r.changing = true
		if p.closing {
			r.closing = make(chan struct{})
		}
		r.mu.Unlock()
		err := r.home.DB.Write(ctx, p.write)
		r.mu.Lock()
		r.changing = false
		if p.closing {
			close(r.closing)
			r.closing = nil
		}
		if err != nil {
			if store.IsAmbiguous(err) {
				r.collapse() // nobody knows what is on disk: it is read again
			}
			return fmt.Errorf("room: change %s: %w", r.at, err)
		}
	}
	p.apply(r)
	return nil
}

// peek is with for a room that is in memory; it says false if it is not.
func (rs *Rooms) peek(at jid.JID, fn func(*room)) bool {
	rs.mu.Lock()
	r := rs.loaded[at]
	rs.mu.Unlock()
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return false
	}
	fn(r)
	return true
}

// tidy throws a room out of memory that nobody is in, if it does not exist or
// there are many of them.
func (rs *Rooms) tidy(r *room) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone || len(r.seats) > 0 || r.changing || r.state != void && len(rs.loaded) <= keepEmpty {
		return
	}
	r.gone = true
	if rs.loaded[r.at] == r {
		delete(rs.loaded, r.at)
	}
}

// drop takes a room that is gone out of memory.
func (rs *Rooms) drop(r *room) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.loaded[r.at] == r {
		delete(rs.loaded, r.at)
	}
}

// Stop says that the server is stopping: that everybody goes now does not end
// temporary rooms, whose people come back. Each is told, in time to hear it, that he is out
// (XEP-0045 §11.2), and not one by one that the others are.
func (rs *Rooms) Stop() {
	if rs == nil || rs.stop.Swap(true) {
		return
	}
	rs.mu.Lock()
	all := slices.Collect(maps.Values(rs.loaded))
	rs.mu.Unlock()
	for _, r := range all {
		r.mu.Lock()
		for _, t := range r.crowd {
			n := &notice{st: leaving(t.o, nil), o: t.o, role: NoRole, real: t.s.JID(), own: []string{codeShutdown}}
			r.push(t.s, n.frame(r.sees(t.o.role), true, ""))
		}
		r.mu.Unlock()
	}
}

// graceTemporary is how long a temporary room without occupants is kept after a
// start: its people come back and find their room and what they were in it.
const graceTemporary = time.Hour

// sweep ends temporary rooms nobody came back to.
func (rs *Rooms) sweep(ctx context.Context) error {
	all, err := temporary(ctx, rs.DB)
	if err != nil {
		return err
	}
	for _, at := range all {
		if !rs.Serves(at) {
			continue // another host's
		}
		if err := rs.vanish(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// vanish destroys a temporary room that nobody is in (XEP-0045 §7.14).
func (rs *Rooms) vanish(ctx context.Context, at jid.JID) error {
	err := rs.change(ctx, at, func(r *room) (*plan, error) {
		if r.state != open || r.cfg.Persistent || len(r.seats) > 0 {
			return nil, nil
		}
		return &plan{closing: true, write: func(tx *store.Tx) error { return deleteRoom(tx, at) }, apply: (*room).vacate}, nil
	})
	if err != nil {
		return fmt.Errorf("room: temporary room %s: %w", at, err)
	}
	return nil
}
