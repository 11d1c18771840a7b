package c2s

import (
	"context"
	"net"
	"net/netip"
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
	last   time.Duration    // mu: when the last <r/> was written, since srv.began
	later  bool             // mu: a timer will see whether one is due
	limit  time.Duration    // mu: the write deadline that is set, since srv.began
	again  bool             // mu: there may be frames to read back from the archive
}

// Bits of outlet.bits.
const (
	running = 1 << iota // a drain goroutine is at work
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
				go o.drain()
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
				go o.drain()
			}
			return
		}
	}
}

// close stops all writing by the session.
func (o *outlet) close() { o.bits.Or(shut) }

// drain writes what the session has, until there is nothing.
func (o *outlet) drain() {
	defer o.srv.guard("write", func() { o.end(&ending{broken: true}) })
	for {
		o.bits.And(^uint32(dirty))
		if !o.flush() {
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
	return o.sess == nil || o.flushLocked()
}

func (o *outlet) flushLocked() bool {
	var room [batch]*session.Frame
	for {
		if e := o.ending.Load(); e != nil && !e.drain {
			return true // what is left stays with the session
		}
		frames := o.sess.Take(o, room[:0])
		ask := o.due(len(frames))
		if len(frames) == 0 && !ask {
			if o.again && !o.reload() {
				return false
			}
			if o.again {
				continue
			}
			return true
		}
		if !o.writeFrames(frames, ask) {
			return false
		}
		o.sess.Wrote(o)
		o.countWrite(frames)
	}
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

// How often <r/> is sent: a quiet session is asked at once, a busy one so often
// or after so many frames, since a question and its answer cost as much as a message.
const (
	askEvery  = 500 * time.Millisecond
	askFrames = 20
)

// due says whether <r/> belongs behind the frames just taken: stream management
// is on, none is under way, and the queue is drained (XEP-0198 §4).
func (o *outlet) due(taken int) bool {
	if !o.sm.Load() || taken == batch || o.asked.Load() {
		return false
	}
	sent, waiting := o.sess.Unacked()
	if sent == 0 || waiting > 0 {
		return false
	}
	now := time.Since(o.srv.began)
	wait := o.last + askEvery - now
	if wait <= 0 || sent >= askFrames || o.last == 0 {
		o.last = now
		return true
	}
	if !o.later {
		o.later = true
		// It wakes a connection that has ended to no effect.
		time.AfterFunc(wait, func() {
			o.mu.Lock()
			o.later = false
			o.mu.Unlock()
			o.Wake()
		})
	}
	return false
}

// put writes p whole; mu is held.
func (o *outlet) put(p []byte) error {
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
	_, err := o.w.Write(p)
	return err
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
	if !o.flushLocked() || o.ending.Load() != nil {
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
