package c2s

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// outlet is the writing side of a connection and the session's wire.
type outlet struct {
	srv    *Server
	base   *edge.Conn // beneath TLS; deadlines are set on it
	frames stream.Framing

	mu sync.Mutex // orders writes; held during them
	w  net.Conn   // mu

	bits   atomic.Uint32
	ending atomic.Pointer[ending]
	sess   *session.Session // set before held is taken off
	sm     atomic.Bool      // stream management is on
	asked  atomic.Bool      // an <r/> is not answered yet
	last   atomic.Int64     // when the last <r/> was written, in nanoseconds since srv.began
	kept   atomic.Bool      // what was written since is to be confirmed soon
	queued atomic.Bool      // the writers will see whether one is due
	owed   bool             // mu: what was taken from the session has not all gone out
	limit  time.Duration    // mu: the write deadline that is set, since srv.began
	again  bool             // mu: there may be frames to read back from the archive
}

// Bits of outlet.bits.
const (
	running = 1 << iota // a writer is at work, or will be
	dirty               // there may be frames that nobody has taken yet
	held                // frames wait until the answer that comes before them is written
	shut                // the connection has ended
)

// ending says why the connection ends from our side.
type ending struct {
	reason *stream.Error // nil: politely
	over   bool          // the session ends with it
	broken bool          // writing is not possible any more
	drain  bool          // what waits is written first: what rooms say when the server stops (XEP-0045 §11.2)
}

// Wake meets session.Wire.
func (o *outlet) Wake() {
	for {
		old := o.bits.Load()
		if old&(dirty|shut) != 0 {
			return
		}
		next := old | dirty
		if old&(running|held) == 0 {
			next |= running
		}
		if o.bits.CompareAndSwap(old, next) {
			if next&^old&running != 0 {
				o.srv.writers.add(o)
			}
			return
		}
	}
}

// Kick meets session.Wire.
func (o *outlet) Kick(reason *stream.Error) { o.end(&ending{reason: reason}) }

// end makes the reading goroutine end the connection; the first reason holds.
func (o *outlet) end(e *ending) {
	if !o.ending.CompareAndSwap(nil, e) {
		return
	}
	// The order matters: who sets a deadline looks at ending afterwards.
	now := time.Now()
	_ = o.base.SetReadDeadline(now)
	_ = o.base.SetWriteDeadline(now.Add(lastWrite))
	o.srv.lot.Rouse(o.base)
}

// lastWrite bounds writes on a connection that is to end.
const lastWrite = time.Second

// release lets frames flow: the first ones come after what was written so far.
func (o *outlet) release(s *session.Session) {
	o.mu.Lock()
	o.sess, o.again = s, true
	o.mu.Unlock()
	for {
		old := o.bits.Load()
		if old&shut != 0 {
			return
		}
		next := old &^ held
		if sent, waiting := s.Unacked(); old&dirty != 0 || sent+waiting > 0 {
			next |= dirty | running
		}
		if o.bits.CompareAndSwap(old, next) {
			if next&running != 0 {
				o.srv.writers.add(o)
			}
			return
		}
	}
}

// close stops all writing by the session.
func (o *outlet) close() { o.bits.Or(shut) }

// turn is drain for a writer that serves others too: it waits for nothing. Where it
// would have to, a goroutine of the connection's own goes on.
func (o *outlet) turn() {
	defer o.srv.guard("write", func() { o.end(&ending{broken: true}) })
	o.work(func() result {
		if !o.mu.TryLock() {
			return stuck
		}
		defer o.mu.Unlock()
		if o.again || o.owed || !o.base.Later(true) {
			return stuck
		}
		defer o.base.Later(false)
		return o.flushLocked(false)
	})
}

// drain writes what the session has, until there is nothing.
func (o *outlet) drain() {
	defer o.srv.guard("write", func() { o.end(&ending{broken: true}) })
	o.work(func() result {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.flushLocked(true)
	})
}

// result is how far writing came.
type result uint8

const (
	done   result = iota // all that can be written was
	stuck                // somebody who may wait has to go on
	broken               // the connection can't be written to any more
)

// work flushes until there is nothing; running is set.
func (o *outlet) work(flush func() result) {
	for {
		o.bits.And(^uint32(dirty))
		switch flush() {
		case stuck:
			go o.drain()
			return
		case broken:
			o.close()
			o.end(&ending{broken: true})
			return
		}
		for {
			old := o.bits.Load()
			if old&dirty != 0 && old&shut == 0 {
				break
			}
			if o.bits.CompareAndSwap(old, old&^running) {
				return
			}
		}
	}
}

// batch is how many frames are written at once, flushAt how many bytes.
const (
	batch   = 32
	flushAt = 16 << 10
)

// flush writes the frames there are and, where it is due, <r/>. It says false
// when the connection can't be written to any more.
func (o *outlet) flush() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sess == nil || o.flushLocked(true) == done
}

// flushLocked is flush; without leave to wait it stops when the network takes no more.
func (o *outlet) flushLocked(wait bool) result {
	var room [batch]*session.Frame
	for {
		if e := o.ending.Load(); e != nil && !e.drain {
			return done // what is left stays with the session
		}
		if o.owed {
			if !wait {
				return stuck
			}
			if o.settle() != nil {
				return broken
			}
		}
		frames := o.sess.Take(o, room[:0])
		if followed(frames) {
			o.kept.Store(true)
		}
		ask := o.due(len(frames))
		if len(frames) == 0 && !ask {
			if o.again && !o.reload() {
				return broken
			}
			if o.again {
				continue
			}
			return done
		}
		if !o.writeFrames(frames, ask) {
			return broken
		}
		o.countWrite(frames)
		if o.owed = !wait && o.base.Owes(); !o.owed {
			o.sess.Wrote(o)
		}
	}
}

// settle sends what a write that did not wait has left; mu is held. Until it is sent, it
// does not count as written.
func (o *outlet) settle() error {
	o.limitWrite()
	err := o.base.Settle()
	if err == nil {
		o.owed = false
		o.sess.Wrote(o)
	}
	return err
}

// reload has a resumed session read back what it gave to the archive, a page at a
// time; again says whether there is a page. It is done under mu, so that nothing
// overtakes: who answers <r/> finds all frames before it written. It says false
// when the archive can't be read: the connection ends, and nothing is skipped.
func (o *outlet) reload() bool {
	ctx, cancel := context.WithTimeout(context.Background(), o.srv.conf.Limits.Write)
	defer cancel()
	var err error
	if o.again, err = o.sess.Reload(ctx, o); err != nil {
		o.srv.conf.Log.Error("a session's messages can't be read back from the archive", "session", o.sess.JID().String(), "error", err)
	}
	return err == nil
}

func (o *outlet) writeFrames(frames []*session.Frame, ask bool) bool {
	size := 0
	for _, f := range frames {
		size += len(f.Bytes) + 64
	}
	buf := o.srv.buffers.Get(min(size+64, flushAt))
	defer o.srv.buffers.Put(buf)
	out := buf[:0]
	var own []byte // for what is sent to many, with this session's address put in
	for _, f := range frames {
		el := f.Bytes
		if f.Addressed {
			if own == nil {
				own = o.srv.buffers.Get(len(el) + 64)
				defer o.srv.buffers.Put(own)
			}
			el = f.AppendTo(own[:0], o.sess.JID())
		}
		out = o.frames.Element(out, el, f.NameEnd)
		if len(out) >= flushAt {
			if o.put(out) != nil {
				return false
			}
			out = buf[:0]
		}
	}
	if ask {
		o.asked.Store(true)
		out = o.frames.Element(out, requestAck, 0)
	}
	return len(out) == 0 || o.put(out) == nil
}

var requestAck = []byte("<r xmlns='" + stream.SMSpace + "'/>")

// How often <r/> is sent (XEP-0198 §4 leaves it to the server): a quiet session is asked
// at once; a busy one behind the next frames when it was asked so long ago, or after so
// many frames, since a question and its answer cost as much as a message. When nothing
// more comes, what was not asked for is asked for by itself. What the archive's ledger
// follows has less time than the ledger has patience (5 s); the rest, such as what is
// said in rooms, has more: it waits for nobody, and what counts is how much there is.
const (
	askFrames   = 20
	askSoon     = 2 * time.Second
	askRarely   = 10 * time.Second
	askAtLatest = 500 * time.Millisecond // behind those
)

// patience is how long after the last question the next one may come.
func (o *outlet) patience() time.Duration {
	if o.kept.Load() {
		return askSoon
	}
	return askRarely
}

// due says whether <r/> belongs behind the frames just taken: stream management
// is on, none is under way, and the queue is drained.
func (o *outlet) due(taken int) bool {
	if !o.sm.Load() || taken == batch || o.asked.Load() {
		return false
	}
	sent, waiting := o.sess.Unacked()
	if sent == 0 || waiting > 0 {
		return false
	}
	last := time.Duration(o.last.Load())
	if now := time.Since(o.srv.began); last == 0 || now-last >= o.patience() || sent >= askFrames {
		o.last.Store(int64(now))
		o.kept.Store(false)
		return true
	}
	o.srv.writers.remind(o)
	return false
}

// followed says whether the ledger follows one of some frames.
func followed(frames []*session.Frame) bool {
	return slices.ContainsFunc(frames, func(f *session.Frame) bool { return f.Offline })
}

// answered is called for an acknowledgement that was asked for.
func (o *outlet) answered() {
	o.asked.Store(false)
	switch sent, _ := o.sess.Unacked(); {
	case sent >= askFrames:
		o.Wake() // asks again for what was sent since
	case sent > 0:
		o.srv.writers.remind(o)
	}
}

// overdue is called by the writers some time after remind; it says whether to look again.
func (o *outlet) overdue(now time.Duration) bool {
	if o.asked.Load() || o.bits.Load()&shut != 0 {
		return false // the answer reminds
	}
	if sent, _ := o.sess.Unacked(); sent == 0 {
		return false
	}
	if now-time.Duration(o.last.Load()) < o.patience()+askAtLatest {
		return true
	}
	o.Wake()
	return false
}

// put writes p whole; mu is held.
func (o *outlet) put(p []byte) error {
	o.limitWrite()
	_, err := o.w.Write(p)
	return err
}

// limitWrite sets the deadline of a write; mu is held.
func (o *outlet) limitWrite() {
	// A deadline is not set anew for every write, only when the one there is has
	// become short; end sets its own, and looks first.
	now, limit := time.Since(o.srv.began), o.srv.conf.Limits.Write
	if o.limit-now < limit*3/4 {
		o.limit = now + limit
		_ = o.base.SetWriteDeadline(time.Now().Add(limit))
	}
	if o.ending.Load() != nil {
		_ = o.base.SetWriteDeadline(time.Now().Add(lastWrite))
	}
}

// send writes what build makes, in one piece.
func (o *outlet) send(build func(dst []byte, f stream.Framing) []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sendLocked(build)
}

// sendBehind writes what build makes behind all frames there are.
func (o *outlet) sendBehind(build func(dst []byte, f stream.Framing) []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.flushLocked(true) != done || o.ending.Load() != nil {
		return ErrGone // the rest stays with the session
	}
	return o.sendLocked(build)
}

func (o *outlet) sendLocked(build func(dst []byte, f stream.Framing) []byte) error {
	buf := o.srv.buffers.Get(0)
	defer o.srv.buffers.Put(buf)
	if o.put(build(buf[:0], o.frames)) != nil {
		return ErrGone
	}
	return nil
}

// element writes one element; nameEnd as Framing.Element has it.
func (o *outlet) element(el []byte, nameEnd int) error {
	return o.send(func(dst []byte, f stream.Framing) []byte { return f.Element(dst, el, nameEnd) })
}

// Source is the client's address, for session.Session.Source.
func (o *outlet) Source() netip.Addr { return edge.Source(o.base) }
