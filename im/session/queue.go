package session

import (
	"errors"
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
func (s *Session) Push(f *Frame) Outcome {
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
		s.queue = append(s.queue, f)
		s.bytes += len(f.Bytes)
		w = s.wire
	}
	s.mu.Unlock()
	if w != nil {
		w.Wake()
	}
	return Queued
}

// Unconfirmed are the positions of kept messages the session has and has not
// confirmed yet; nil if there are none.
func (s *Session) Unconfirmed() (out map[Pos]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range [2][]*Frame{s.queue, s.held} {
		for _, f := range q {
			if f.Offline && out == nil {
				out = make(map[Pos]bool)
			}
			if f.Offline {
				out[f.Pos] = true
			}
		}
	}
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
func (s *Session) admit(f *Frame) Outcome {
	switch {
	case s.ended || s.full:
		return Ended
	case !s.fits(f):
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

// crowdMost bounds it: the presence of 5,000 people who come, and go.
const crowdMost = 10_000

func (c *crowd) count(f *Frame, by int) {
	if f.shared() {
		c.frames += by
		c.bytes += by * len(f.Bytes)
	}
}

// fits says whether there is room for a frame.
func (s *Session) fits(f *Frame) bool {
	if f.shared() {
		return s.crowd.frames < crowdMost
	}
	return s.waiting()-s.crowd.frames < s.limits.Frames && s.bytes-s.crowd.bytes+len(f.Bytes) <= s.limits.Bytes
}

// Overflowed says that a frame found no room: the session is to be ended, not resumed.
func (s *Session) Overflowed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// waiting is how many frames the session has.
func (s *Session) waiting() int { return len(s.queue) + len(s.held) + len(s.behind) }

// hold keeps a frame back from an inactive client; newer presence of the same
// sender takes the place of older (XEP-0352 §5).
func (s *Session) hold(f *Frame) {
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
func (s *Session) releaseHeld() Wire {
	if len(s.held) == 0 {
		return nil
	}
	s.queue = append(s.queue, s.held...)
	s.held = nil
	return s.wire
}

// Take appends frames that were not written yet to dst, up to its capacity,
// and marks them sent. Only the session's present wire gets any. The edge
// writes them in this order and then calls Wrote.
func (s *Session) Take(w Wire, dst []*Frame) []*Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire != w {
		return dst
	}
	for s.sent < len(s.queue) && len(dst) < cap(dst) {
		dst = append(dst, s.queue[s.sent])
		s.sent++
	}
	return dst
}

// Wrote says that everything taken so far went to the socket. Without stream
// management that is all the confirmation there will be.
func (s *Session) Wrote(w Wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == w && !s.sm.On {
		s.confirm(s.sent)
	}
}

// confirm drops the first n frames of the queue as taken by the client.
func (s *Session) confirm(n int) {
	if n == 0 {
		return
	}
	for i, f := range s.queue[:n] {
		s.bytes -= len(f.Bytes)
		s.crowd.count(f, -1)
		if f.Offline {
			s.take(f)
		}
		s.queue[i] = nil
	}
	s.sent -= n
	select {
	case s.space <- struct{}{}:
	default:
	}
	if n == len(s.queue) {
		// An idle session keeps no queue (16 KB would stay behind a burst).
		if cap(s.queue) > 16 {
			s.queue = nil
		} else {
			s.queue = s.queue[:0]
		}
		return
	}
	s.queue = append(s.queue[:0], s.queue[n:]...)
}

// take marks a frame as confirmed and has its parking struck out.
func (s *Session) take(f *Frame) {
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
func (s *Session) release(by int32) {
	for _, q := range [3][]*Frame{s.queue, s.held, s.behind} {
		for _, f := range q {
			if f.Offline {
				f.holders.Add(by)
			}
		}
	}
}

// Space returns a channel that is signalled when the queue has become shorter
// or the session has ended. One reader only.
func (s *Session) Space() <-chan struct{} {
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
func (s *Session) EnableSM(id string, resume bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirm(s.sent)
	s.sm = SM{On: true, Resume: resume, ID: id}
	s.inSeen = 0
}

// StreamManagement returns the state.
func (s *Session) StreamManagement() SM {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sm
}

// Ack confirms everything up to the client's h (XEP-0198 §4), modulo 2^32.
func (s *Session) Ack(h uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int(int32(h - s.sm.Acked))
	if !s.sm.On || n < 0 || n > s.sent {
		return ErrHandledCount
	}
	s.confirm(n)
	s.sm.Acked = h
	return nil
}

// Sent is how many stanzas were sent since stream management began, for the
// send-count of a handled-count-too-high error (XEP-0198 §4).
func (s *Session) Sent() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sm.Acked + uint32(s.sent)
}

// Unacked is how many sent frames wait for an acknowledgement, and how many
// frames wait to be sent.
func (s *Session) Unacked() (sent, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent, len(s.queue) - s.sent
}

// Room is how many more frames, and how many more bytes, the queue can take.
// It has none once the session has ended or overflowed.
func (s *Session) Room() (frames, bytes int, ended bool) {
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
func (s *Session) CountIn(n int) {
	s.mu.Lock()
	if !s.full {
		s.inSeen += uint32(n)
	}
	s.mu.Unlock()
}

// Handled is the h to send in <a/>, <resumed/> and <failed/>.
func (s *Session) Handled() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inSeen
}

// Attach gives a session without a connection a new one (XEP-0198 §5). h is what
// the client says it has handled: that is confirmed, the rest of what was sent
// will be sent again.
func (s *Session) Attach(w Wire, h uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.full || s.wire != nil {
		return ErrEnded
	}
	n := int(int32(h - s.sm.Acked))
	if n < 0 || n > s.sent {
		return ErrHandledCount
	}
	s.confirm(n)
	s.sm.Acked = h
	s.wire = w
	s.release(+1)
	s.sent = 0
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
	left = append(append(s.queue, s.held...), s.behind...)
	select {
	case s.space <- struct{}{}:
	default:
	}
	s.queue, s.held, s.behind, s.wire, s.sent, s.bytes, s.crowd = nil, nil, nil, nil, 0, 0, crowd{}
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
