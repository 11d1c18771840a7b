package session

import (
	"context"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Form says how a frame is made of its record, so that it can be given back to
// the archive and made again, the same to the byte. Zero: it can't be.
type Form uint8

const (
	Itself   Form = 1 + iota // the message as it was handed out
	Delayed                  // with the time it waits since (XEP-0203)
	Received                 // a carbon of it (XEP-0280 §7)
	Sent                     // a carbon of it (XEP-0280 §8)
	Common                   // a room's message, the same for all who are in it: Addressed

	// Kind is the mask of those; the rest says more of them.
	formKind Form = 7
	// WithID: it carries its id in the owner's archive (XEP-0359 §3).
	WithID Form = 8
	// Chat: a carbon's type, as the message's; without it normal.
	Chat Form = 16
)

// Kind is the form without what is said of it.
func (f Form) Kind() Form { return f & formKind }

// Ref is what a queue holds of a message that is in the archive.
type Ref struct {
	Pos  Pos
	Form Form
}

// Record makes frames of what the archive holds, one for each reference and in
// their order. What was erased there is an empty message, so that what both sides
// count stays true. The call may wait for the store.
type Record interface {
	Again(ctx context.Context, to jid.JID, refs []Ref) ([]*Frame, error)
}

// When a queue begins to give frames back: a client that acknowledges as it is
// asked to (every 20 stanzas) stays below. Once it has begun, all it writes is
// given back at once, until the client acknowledges.
const (
	spareFrames = 40
	spareBytes  = 32 << 10
)

// What is read back at a time.
const (
	pageFrames = 32
	pageBytes  = 64 << 10
)

// placeSize is what a reference counts in Limits.Bytes: what it takes.
const placeSize = 24

// place is one stanza at the front of a queue: a frame that can't be made again,
// or a reference, and its frame while it is on its way once more.
type place struct {
	f       *Frame
	pos     Pos
	size    uint32 // of the frame
	form    Form
	offline bool // Frame.Offline
}

// absent says that the frame has to be read back before it is written.
func (p *place) absent() bool { return p.f == nil }

// given says that the archive has it, whether its frame is here or not.
func (p *place) given() bool { return p.form != 0 }

// line is what has to reach the client, oldest first: places, then frames.
type line struct {
	places []place
	frames []*Frame
	sent   int // how many of both were taken by the wire
	// The frames that could be given back: those taken, without a wire all of them.
	spare, spareSize int
	back             bool // some places have had their frames read back
}

// kept are the frames among the places that can't be made again.
func (l *line) kept() (out []*Frame) {
	for i := range l.places {
		if p := &l.places[i]; !p.given() {
			out = append(out, p.f)
		}
	}
	return out
}

func (l *line) len() int { return len(l.places) + len(l.frames) }

// mind counts a frame as one that could be given back.
func (l *line) mind(f *Frame, by int) {
	if f.Form != 0 {
		l.spare += by
		l.spareSize += by * len(f.Bytes)
	}
}

// recount counts the first n frames of the line anew.
func (l *line) recount(n int) {
	l.spare, l.spareSize = 0, 0
	for _, f := range l.frames[:max(n-len(l.places), 0)] {
		l.mind(f, 1)
	}
}

// much says that it is time to give frames back.
func (l *line) much() bool {
	return l.spare > 0 && (len(l.places) > 0 || l.spare > spareFrames || l.spareSize > spareBytes)
}

// shelve makes places of the line's first n stanzas; given is called for each
// frame that is given back.
func (l *line) shelve(n int, given func(*Frame)) {
	n -= len(l.places)
	for _, f := range l.frames[:n] {
		p := place{f: f}
		if f.Form != 0 {
			p = place{pos: f.Pos, size: uint32(min(len(f.Bytes), 1<<31)), form: f.Form, offline: f.Offline}
			l.mind(f, -1)
			given(f)
		}
		l.places = append(l.places, p)
	}
	l.cut(n)
}

// unload lets go once more of the first n frames that were read back.
func (l *line) unload(n int) {
	if !l.back {
		return
	}
	for i := range l.places[:min(n, len(l.places))] {
		if p := &l.places[i]; p.given() {
			p.f = nil
		}
	}
	l.back = n < len(l.places)
}

// drop takes the first n stanzas off. An idle session keeps no memory for a line
// (16 KB would stay behind a burst).
func (l *line) drop(n int) {
	l.sent -= n
	if len(l.places) > 0 {
		k := min(n, len(l.places))
		n -= k
		rest := copy(l.places, l.places[k:])
		clear(l.places[rest:])
		if l.places = l.places[:rest]; rest == 0 {
			l.places = nil
		}
	}
	l.cut(n)
}

// cut takes the first n frames off.
func (l *line) cut(n int) {
	if n < len(l.frames) {
		rest := copy(l.frames, l.frames[n:])
		clear(l.frames[rest:])
		l.frames = l.frames[:rest]
		return
	}
	if cap(l.frames) > 16 {
		l.frames = nil
		return
	}
	for i := range l.frames {
		l.frames[i] = nil
	}
	l.frames = l.frames[:0]
}

// missing are the references of the page to be read back next.
func (l *line) missing() (refs []Ref) {
	size := 0
	for i := l.sent; i < len(l.places) && len(refs) < pageFrames; i++ {
		p := &l.places[i]
		if !p.absent() {
			continue
		}
		if size += int(p.size); size > pageBytes && len(refs) > 0 {
			break
		}
		refs = append(refs, Ref{p.pos, p.form})
	}
	return refs
}

// load puts frames to their places, the next ones that are absent. Nothing has
// taken them meanwhile: a place that is absent stops the line.
func (l *line) load(refs []Ref, frames []*Frame) {
	for i := l.sent; i < len(l.places) && len(refs) > 0; i++ {
		p := &l.places[i]
		if !p.absent() {
			continue
		}
		if p.pos != refs[0].Pos || p.form != refs[0].Form {
			return // never: see above
		}
		p.f, l.back = frames[0], true
		refs, frames = refs[1:], frames[1:]
	}
}
