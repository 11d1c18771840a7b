package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/parlance-im/parlance/xmpp/stream"
)

// Outcome says what became of a pushed frame.
type Outcome uint8

const (
	Queued Outcome = iota
	Full           // the queue is full: the caller ends the session, the archive heals it
	Ended          // the session takes nothing any more
)

// ErrHandledCount is XEP-0198 §4: an h greater than what was sent.
var ErrHandledCount = errors.New("session: acknowledged more stanzas than were sent")

// ErrEnded says that the session is no more, or has another connection.
var ErrEnded = errors.New("session: ended or connected")

// Push queues a frame. It never blocks.
func (s *outgoing) Push(f *Frame) Outcome {
	s.mu.Lock()
	if f.Pos != 0 && f.Pos == s.read && f.Offline {
		s.mu.Unlock()
		return Queued // see GoLive
	}
	if o := s.admit(f); o != Queued {
		s.mu.Unlock()
		return o
	}
	var w Wire
	if s.flags.Inactive && !f.Urgent {
		s.hold(f)
		if len(s.held) >= s.limits.Held {
			w = s.releaseHeld()
		}
	} else {
		s.releaseHeld() // order is kept: what was held goes first
		s.bytes += len(f.Bytes)
		s.follow(f)
		if w = s.wire; w == nil {
			s.giveBack()
		}
	}
	s.mu.Unlock()
	if w != nil {
		w.Wake()
	}
	return Queued
}

// Unconfirmed are the positions of kept messages the session has and has not
// confirmed yet; nil if there are none.
func (s *outgoing) Unconfirmed() (out map[Pos]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add := func(pos Pos) {
		if out == nil {
			out = make(map[Pos]bool)
		}
		out[pos] = true
	}
	for i := range s.line.places {
		if p := &s.line.places[i]; p.offline {
			add(p.pos)
		}
	}
	each(func(f *Frame) {
		if f.Offline {
			add(f.Pos)
		}
	}, s.line.frames, s.held)
	return out
}

// Behind queues a message that came while the session reads what waits for it.
// If it has gone live meanwhile, it is pushed; if it has left, the message waits
// with those before it, which were given up.
func (s *Session) Behind(f *Frame) Outcome {
	s.mu.Lock()
	if !s.catching {
		left := !s.live
		s.mu.Unlock()
		if left && f.Offline {
			return Queued
		}
		return s.Push(f)
	}
	defer s.mu.Unlock()
	o := s.admit(f)
	if o == Queued {
		s.behind = append(s.behind, f)
		s.bytes += len(f.Bytes)
	}
	return o
}

// admit sees whether there is room for a frame, and holds it if there is.
func (s *outgoing) admit(f *Frame) Outcome {
	switch {
	case s.ended || s.full:
		return Ended
	case !s.crowd.fits(f, s.waiting(), s.bytes, &s.limits):
		s.full = true
		return Full
	}
	s.crowd.count(f, +1)
	if f.Offline && s.wire != nil {
		f.holders.Add(1)
	}
	return Queued
}

// crowd is what the queue holds of presence that is shared with a whole room: as
// many frames as a large room has people, whose bytes exist once.
type crowd struct{ frames, bytes int }

// crowdMost and crowdBytes bound it: the presence of 5,000 people who come, and go,
// at 800 bytes each. Nothing says that it is as short, or that others hold it, too.
const (
	crowdMost  = 10_000
	crowdBytes = 8 << 20
)

func (c *crowd) count(f *Frame, by int) {
	if f.shared() {
		c.frames += by
		c.bytes += by * len(f.Bytes)
	}
}

// fits says whether there is room for a frame beside so many, of so many bytes.
func (c *crowd) fits(f *Frame, frames, bytes int, lim *Limits) bool {
	if f.shared() {
		return c.frames < crowdMost && c.bytes+len(f.Bytes) <= crowdBytes
	}
	return frames-c.frames < lim.Frames && bytes-c.bytes+len(f.Bytes) <= lim.Bytes
}

// Overflowed says that a frame found no room: the session is to be ended, not resumed.
func (s *outgoing) Overflowed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// waiting is how many stanzas the session has.
func (s *outgoing) waiting() int { return s.line.len() + len(s.held) + len(s.behind) }

// follow puts a frame at the end of the line.
func (s *outgoing) follow(f *Frame) {
	s.line.frames = append(s.line.frames, f)
	if s.wire == nil {
		s.line.mind(f, 1)
	}
}

// hold keeps a frame back from an inactive client; newer presence of the same
// sender takes the place of older (XEP-0352 §5).
func (s *outgoing) hold(f *Frame) {
	if f.Replaces != "" {
		for i, h := range s.held {
			if h.Replaces == f.Replaces {
				s.bytes += len(f.Bytes) - len(h.Bytes)
				s.crowd.count(h, -1)
				copy(s.held[i:], s.held[i+1:])
				s.held[len(s.held)-1] = f
				return
			}
		}
	}
	s.held = append(s.held, f)
	s.bytes += len(f.Bytes)
}

// releaseHeld queues what was held and returns the wire to wake, if any.
func (s *outgoing) releaseHeld() Wire {
	if len(s.held) == 0 {
		return nil
	}
	for _, f := range s.held {
		s.follow(f)
	}
	s.held = nil
	return s.wire
}

// Take appends frames that were not written yet to dst, up to its capacity,
// and marks them sent. Only the session's present wire gets any. The edge
// writes them in this order and then calls Wrote. It stops before what has to be
// read back first (Reload).
func (s *outgoing) Take(w Wire, dst []*Frame) []*Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire != w {
		return dst
	}
	l := &s.line
	for l.sent < len(l.places) && len(dst) < cap(dst) {
		f := l.places[l.sent].f
		if f == nil {
			return dst
		}
		dst = append(dst, f)
		l.sent++
	}
	for _, f := range l.frames[max(l.sent-len(l.places), 0):] {
		if len(dst) == cap(dst) {
			break
		}
		if s.sm.On {
			l.mind(f, 1)
		}
		dst = append(dst, f)
		l.sent++
	}
	return dst
}

// Wrote says that everything taken so far went to the socket. Without stream
// management that is all the confirmation there will be; with it, messages may be
// given back to the archive now.
func (s *outgoing) Wrote(w Wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.wire != w:
	case !s.sm.On:
		s.confirm(s.line.sent)
	case s.line.much() || s.line.back:
		s.giveBack()
	}
}

// giveBack lets go of frames that the archive can make again, if there are many:
// those that were taken; without a wire, all.
func (s *outgoing) giveBack() {
	if s.record == nil {
		return
	}
	n := s.line.sent
	if s.wire == nil {
		n = s.line.len()
	}
	s.line.unload(n)
	if !s.line.much() {
		return
	}
	s.line.shelve(n, func(f *Frame) {
		s.bytes -= len(f.Bytes) - placeSize
		if f.Offline {
			f.given.Store(true)
			if s.wire != nil {
				f.holders.Add(-1)
			}
		}
	})
}

// ErrGap says that what the session needs can't be read back from the archive.
var ErrGap = errors.New("session: the archive does not give back what it holds")

// Reload reads the next of what a resumed session was given before from the
// archive, and says whether there is something to take now that there was not
// before. Only the goroutine that takes calls it. After an error nothing is
// skipped: the connection is to end, and the session may be resumed once more; when
// that fails too, the session is to end, and what waits is found by the next.
func (s *outgoing) Reload(ctx context.Context, w Wire) (more bool, err error) {
	s.mu.Lock()
	var refs []Ref
	if s.wire == w {
		refs = s.line.missing()
	}
	s.mu.Unlock()
	if len(refs) == 0 {
		return false, nil
	}
	frames, err := s.record.Again(ctx, s.jid, refs)
	if err == nil && len(frames) != len(refs) {
		err = ErrGap
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire != w {
		return false, nil // another reads for itself
	}
	if err != nil {
		s.full, s.failed = s.failed, true
		return false, err
	}
	s.failed = false
	s.line.load(refs, frames)
	return true, nil
}

// confirm drops the first n stanzas of the line as taken by the client.
func (s *outgoing) confirm(n int) {
	if n == 0 {
		return
	}
	l := &s.line
	k := min(n, len(l.places))
	for i := range k {
		s.confirmPlace(&l.places[i])
	}
	for _, f := range l.frames[:n-k] {
		s.bytes -= len(f.Bytes)
		s.crowd.count(f, -1)
		if s.sm.On {
			l.mind(f, -1)
		}
		if f.Offline {
			s.take(f)
		}
	}
	l.drop(n)
	select {
	case s.space <- struct{}{}:
	default:
	}
}

func (s *outgoing) confirmPlace(p *place) {
	switch {
	case p.given():
		s.bytes -= placeSize
		if p.offline && s.ledger != nil {
			s.ledger.Taken(s.jid.Bare(), p.pos)
		}
	default:
		s.bytes -= len(p.f.Bytes)
		s.crowd.count(p.f, -1)
		if p.f.Offline {
			s.take(p.f)
		}
	}
}

// take marks a frame as confirmed and has its parking struck out.
func (s *outgoing) take(f *Frame) {
	f.taken.Store(true)
	if s.wire != nil {
		f.holders.Add(-1)
	}
	if f.parked.Load() && s.ledger != nil {
		s.ledger.Taken(s.jid.Bare(), f.Pos)
	}
}

// release gives up or takes back (by = -1 or +1) the hold on what is queued:
// a session without a connection does not keep a message from other sessions.
func (s *outgoing) release(by int32) {
	each(func(f *Frame) {
		if f.Offline {
			f.holders.Add(by)
		}
	}, s.line.kept(), s.line.frames, s.held, s.behind)
}

func each(do func(*Frame), lists ...[]*Frame) {
	for _, q := range lists {
		for _, f := range q {
			do(f)
		}
	}
}

// Space returns a channel that is signalled when the queue has become shorter
// or the session has ended. One reader only.
func (s *outgoing) Space() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.space == nil {
		s.space = make(chan struct{}, 1)
	}
	return s.space
}

// EnableSM switches stream management on (XEP-0198 §3). The edge calls it
// while it holds its own write lock, between the frames written before
// <enabled/> and those after, so that both sides count from the same place.
func (s *outgoing) EnableSM(id string, resume bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirm(s.line.sent)
	s.sm = SM{On: true, Resume: resume, ID: id}
	s.inSeen = 0
}

// StreamManagement returns the state.
func (s *resource) StreamManagement() SM {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sm
}

// Ack confirms everything up to the client's h (XEP-0198 §4), modulo 2^32.
func (s *outgoing) Ack(h uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int(int32(h - s.sm.Acked))
	if !s.sm.On || n < 0 || n > s.line.sent {
		return ErrHandledCount
	}
	s.confirm(n)
	s.sm.Acked = h
	return nil
}

// Sent is how many stanzas were sent since stream management began, for the
// send-count of a handled-count-too-high error (XEP-0198 §4).
func (s *outgoing) Sent() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sm.Acked + uint32(s.line.sent)
}

// Unacked is how many sent frames wait for an acknowledgement, and how many
// frames wait to be sent.
func (s *outgoing) Unacked() (sent, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.line.sent, s.line.len() - s.line.sent
}

// Room is how many more frames, and how many more bytes, the queue can take.
// It has none once the session has ended or overflowed.
func (s *outgoing) Room() (frames, bytes int, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.full {
		return 0, 0, true
	}
	return s.limits.Frames - s.waiting() + s.crowd.frames, s.limits.Bytes - s.bytes + s.crowd.bytes, false
}

// CountIn adds to the number of the client's stanzas that were handled: for a
// message, archived or refused. Once a frame found no room nothing is counted
// any more: it may have been the refusal.
func (s *outgoing) CountIn(n int) {
	s.mu.Lock()
	if !s.full {
		s.inSeen += uint32(n)
	}
	s.mu.Unlock()
}

// Handled is the h to send in <a/>, <resumed/> and <failed/>.
func (s *resource) Handled() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inSeen
}

// Attach gives a session without a connection a new one (XEP-0198 §5). h is what
// the client says it has handled: that is confirmed, the rest of what was sent
// will be sent again, as it was sent before.
func (s *Session) Attach(w Wire, h uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.full || s.wire != nil {
		return ErrEnded
	}
	n := int(int32(h - s.sm.Acked))
	if n < 0 || n > s.line.sent {
		return ErrHandledCount
	}
	s.confirm(n)
	s.sm.Acked = h
	s.wire = w
	s.release(+1)
	s.line.sent = 0
	s.line.recount(0)
	s.flags.Inactive = false // XEP-0352 §4.1: not restored
	s.releaseHeld()
	s.detached, s.lost = time.Time{}, nil
	return nil
}

// Detach takes the wire away if it is still w, and says so. The session then
// queues on without a connection.
func (s *Session) Detach(w Wire, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire != w || s.ended {
		return false
	}
	s.release(-1)
	s.wire = nil
	s.line.recount(s.line.len())
	s.giveBack()
	s.detached = now
	s.dropLost()
	return true
}

// Lost is closed when the connection the session has now has been given up by
// its edge, or the session has ended: everything the edge had read is then
// counted in Handled. It is closed already if there is no connection.
func (s *Session) Lost() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == nil {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	if s.lost == nil {
		s.lost = make(chan struct{})
	}
	return s.lost
}

// dropLost tells those who wait for the connection's end.
func (s *Session) dropLost() {
	if s.lost != nil {
		close(s.lost)
		s.lost = nil
	}
}

// Detached is when the connection was lost; zero while there is one.
func (s *Session) Detached() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.detached
}

// End closes the session for good. The first call returns the frames that
// were never confirmed and the wire to close; later ones return nothing.
func (s *Session) End() (left []*Frame, w Wire, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, nil, false
	}
	s.ended = true
	w = s.wire
	s.dropLost()
	if w != nil {
		s.release(-1)
	}
	left = slices.Concat(s.line.kept(), s.line.frames, s.held, s.behind)
	select {
	case s.space <- struct{}{}:
	default:
	}
	s.line, s.held, s.behind, s.wire, s.bytes = line{}, nil, nil, nil, 0
	s.crowd = crowd{}
	return left, w, true
}

// Conflict is the stream error for a connection whose session went on
// elsewhere (RFC 6120 §7.7.2.2, XEP-0198 §5).
func Conflict(text string) *stream.Error {
	return &stream.Error{Condition: "conflict", Text: text}
}

// NotAuthorized is the stream error for a session whose account may not be
// here any more (RFC 6120 §4.9.3.12).
func NotAuthorized(text string) *stream.Error {
	return &stream.Error{Condition: "not-authorized", Text: text}
}
