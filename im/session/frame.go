package session

import (
	"sync/atomic"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Frame is one encoded stanza on its way to sessions. It is shared by all its
// recipients and never changed, except for the taken mark.
type Frame struct {
	// Bytes is the stanza as it stands in a TCP stream whose default namespace
	// is jabber:client. NameEnd is the offset after "<message", where a
	// WebSocket edge inserts the namespace declaration (RFC 7395 §3.3.3).
	Bytes   []byte
	NameEnd int
	Kind    stanza.Kind
	// Pos is the message's position in the archive, of a carbon that of what it
	// carries; 0 when it has none.
	Pos Pos
	// Form says how to make the frame again of the record at Pos.
	Form Form
	// Urgent frames pass the client-state filter at once (XEP-0352 §4).
	Urgent bool
	// Replaces, if not empty, names what a later frame with the same key makes
	// obsolete while a client is inactive (XEP-0352: the newest presence of a sender).
	Replaces string
	// Offline says that the message belongs to those kept for a session that
	// comes later, if no session takes it (XEP-0160).
	Offline bool
	// Addressed says that Bytes name no recipient: the edge writes each session's own
	// address after the name, so that one encoding does for a whole room.
	Addressed bool
	// Bare says that an addressed frame goes to each session's account: presence of a
	// contact (RFC 6121 §4.2.2), which a session's limits count like any other frame.
	Bare bool
	// Request is the get or set an IQ frame carries: whoever asked gets an
	// error if the session ends before it was confirmed (XEP-0198 §5).
	Request *stanza.Stanza

	taken   atomic.Bool
	parked  atomic.Bool
	given   atomic.Bool
	holders atomic.Int32
}

// shared says that a frame is one of many that go to a whole room: it costs a
// session a place, not its bytes.
func (f *Frame) shared() bool { return f.Addressed && !f.Bare && f.Kind == stanza.Presence }

// AppendTo writes the frame as it stands in a TCP stream of the session with that
// address, and gives where its name ends.
func (f *Frame) AppendTo(dst []byte, own jid.JID) []byte {
	dst = append(dst, f.Bytes[:f.NameEnd]...)
	if f.Bare {
		own = own.Bare()
	}
	if f.Addressed {
		dst = elem.AppendAttr(dst, "to", own.String()) // RFC 6120 §8.1.1.1
	}
	return append(dst, f.Bytes[f.NameEnd:]...)
}

// Taken says whether some session has confirmed the frame.
func (f *Frame) Taken() bool { return f.taken.Load() }

// Held says whether a connected session has the frame in its queue.
func (f *Frame) Held() bool { return f.holders.Load() > 0 }

// Park says that the frame is written down as waiting, so that the session
// which confirms it has to have that struck out again (Ledger). The caller
// looks at Taken afterwards: whichever of the two comes second does the striking.
func (f *Frame) Park() { f.parked.Store(true) }

// Given says that a session holds only a reference of the frame: it is to be
// written down as waiting now, and confirming it goes to the Ledger in any case.
func (f *Frame) Given() bool { return f.given.Load() }

// Parked says that Park was called.
func (f *Frame) Parked() bool { return f.parked.Load() }

// Ledger is told when a parked frame, or one that was given back, was confirmed
// after all. The call must not block: it comes under the session's lock.
type Ledger interface {
	Taken(account jid.JID, pos Pos)
}
