package deliver

import (
	"crypto/sha256"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// facts is the snapshot a plan is made from.
type facts struct {
	Local  bool // the recipient's domain is served here
	Exists bool // its account exists
	Bound  bool // the full address is bound
	Live   bool // a session of it takes messages to the bare address
	// The recipient's, the sender's archive does not show it (XEP-0441).
	HiddenTo, HiddenFrom bool
}

// planned is a judged message with its plan. Only plan makes one.
type planned struct {
	entry *archive.Entry // nil: nothing to keep
	out   route.Message
	mute  bool          // nobody gets it
	room  *room.Message // of a room; nil: between accounts
}

const (
	spaceStates   = "http://jabber.org/protocol/chatstates"
	spaceHints    = "urn:xmpp:hints"
	spaceSID      = "urn:xmpp:sid:0"
	spaceCarbons  = "urn:xmpp:carbons:2"
	spaceMUCUser  = "http://jabber.org/protocol/muc#user"
	spaceReceipts = "urn:xmpp:receipts"
)

// plan says what becomes of a message: whether it is refused, what is kept and
// for whom, who gets it. It is a pure function.
func plan(j *judged, origin *session.Session, f facts) (*planned, *stanza.Error) {
	st := j.st
	drop, refusal := undeliverable(st, f)
	if refusal != nil || drop {
		return nil, refusal
	}
	h := readHints(st)
	content := hasContent(st) || h.store
	p := &planned{out: route.Message{Stanza: st, Origin: origin}}
	p.mute = j.held
	ordinary := st.Type == stanza.Chat || st.Type == stanza.Normal
	// XEP-0280 §6.1 and §9; private messages of rooms are not copied.
	p.out.Carbons = ordinary && !h.noCopy && !j.private && !st.Has(spaceMUCUser, "x")
	if !content || st.Type == stanza.Error_ {
		return p, nil
	}
	p.entry = &archive.Entry{
		Conversation: archive.Pair(st.From, st.To),
		Sender:       st.From, Recipient: st.To,
		Dedup: dedup(st),
		Held:  j.held,
	}
	if !ordinary || h.noStore {
		return p, nil // recorded, but in nobody's own archive (XEP-0313 §6.1.1, XEP-0334 §4.2)
	}
	p.views(st, h, f)
	p.out.Keep, p.out.Shown = true, !h.noPermanent && !f.HiddenFrom
	if !f.Live && !(st.To.IsFull() && f.Bound) {
		p.entry.Waiting = st.To.Bare()
		p.out.Parked = true
	}
	return p, nil
}

// views puts the record into the archives of both sides.
func (p *planned) views(st *stanza.Stanza, h hints, f facts) {
	from, to := st.From.Bare(), st.To.Bare()
	kept := int64(archive.Keep)
	if !h.noPermanent && !f.HiddenTo { // XEP-0334 §4.1, XEP-0441 §2.1: it may wait, but is not shown later
		kept |= archive.Shown
	}
	p.entry.Views = append(make([]archive.View, 0, 2), archive.View{Owner: to, Flags: kept})
	if from != to && !h.noPermanent && !f.HiddenFrom {
		p.entry.Views = append(p.entry.Views, archive.View{Owner: from, Flags: archive.Shown})
	}
}

// undeliverable is RFC 6121 §8.5 for messages that have nowhere to go, before
// anything is kept: dropped, or refused with an error.
func undeliverable(st *stanza.Stanza, f facts) (drop bool, err *stanza.Error) {
	isError := st.Type == stanza.Error_
	switch {
	case !f.Local:
		err = stanza.Fail("remote-server-not-found", "this server does not exchange messages with "+st.To.Domain())
	case st.To.IsDomain():
		err = stanza.Fail("service-unavailable", "the server itself takes no messages")
	case !f.Exists: // RFC 6121 §8.5.1
		err = stanza.Fail("service-unavailable", "there is no such account")
	case st.To.IsFull() && f.Bound: // RFC 6121 §8.5.3.1
		return false, nil
	case isError: // RFC 6121 §8.5.2.1.1, §8.5.3.2.1
		return true, nil
	case st.Type == stanza.Groupchat: // RFC 6121 §8.5.2.1.1
		err = stanza.Fail("service-unavailable", "this address is not a room")
	case st.To.IsFull() && st.Type != stanza.Chat: // RFC 6121 §8.5.3.2.1
		err = stanza.Fail("service-unavailable", "this device is not connected; send to the bare address")
	}
	return isError, noError(err, isError)
}

// noError keeps an error from being answered with an error (RFC 6120 §8.3.1).
func noError(err *stanza.Error, isError bool) *stanza.Error {
	if isError {
		return nil
	}
	return err
}

// hasContent says whether a message says something: typing and the like, and
// what only accompanies content, is not kept (XEP-0085 §5.1).
func hasContent(st *stanza.Stanza) bool {
	for i := range st.Kids {
		switch k := &st.Kids[i]; k.Space {
		case spaceStates, spaceHints, spaceSID, spaceCarbons:
		case stanza.Space:
			if k.Local != "thread" {
				return true
			}
		case spaceReceipts:
			if k.Local != "request" {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// hints are the processing hints of XEP-0334 §4.
type hints struct{ noStore, noPermanent, noCopy, store bool }

func readHints(st *stanza.Stanza) (h hints) {
	for i := range st.Kids {
		if st.Kids[i].Space != spaceHints {
			continue
		}
		switch st.Kids[i].Local {
		case "no-store":
			h.noStore = true
		case "no-permanent-store":
			h.noPermanent = true
		case "no-copy":
			h.noCopy = true
		case "store":
			h.store = true
		}
	}
	return h
}

// dedup identifies a sending by sender, recipient, origin-id (XEP-0359 §2.2)
// and body: a message sent again after a lost connection is kept once, while a
// client that uses one id for two texts loses neither.
func dedup(st *stanza.Stanza) (sending archive.Sending) {
	k, ok := st.Child(spaceSID, "origin-id")
	if !ok {
		return sending
	}
	id, _ := st.Attr(k, "id")
	if id == "" {
		return sending
	}
	body, _ := st.Child(stanza.Space, "body")
	text := st.Content[body.Inner.Start:body.Inner.End]
	var room [1024]byte // enough for most, without a trip to the heap
	b := append(room[:0], st.From.Bare().String()...)
	whose := sha256.Sum256(b)
	for _, s := range [2]string{st.To.String(), id} {
		b = append(b, 0) // in no address, and no id of a well-formed stanza
		b = append(b, s...)
	}
	b = append(b, 0)
	sum := sha256.Sum256(append(b, text...))
	n := copy(sending[:], whose[:4])
	copy(sending[n:], sum[:])
	return sending
}

// snapshot collects what plan needs to know about a message's two sides.
func (p *Path) snapshot(st *stanza.Stanza, exists bool) facts {
	to := st.To
	f := facts{Local: p.cfg.Local(to.Domain()), Exists: exists}
	if w := p.cfg.Wishes; w != nil {
		f.HiddenTo, f.HiddenFrom = !w.Shows(to.Bare(), st.From), !w.Shows(st.From.Bare(), to)
	}
	for _, s := range p.cfg.Routes.Sessions(to.Bare()) {
		if s.JID() == to {
			f.Bound = true
		}
		if st := s.Standing(); st.Available && st.Live && st.Priority >= 0 {
			f.Live = true
		}
	}
	return f
}
