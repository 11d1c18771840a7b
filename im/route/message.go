package route

import (
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Message is a message past its commit, with what the plan decided about it.
type Message struct {
	Stanza *stanza.Stanza
	Pos    session.Pos      // zero if it has no place in the archive
	Origin *session.Session // the sending session, nil if there is none
	// Carbons: copies go to other resources of both sides (XEP-0280 §6).
	Carbons bool
	// Keep: a recipient without a live session finds it waiting (XEP-0160).
	Keep bool
	// Shown: the sender's archive has it too (XEP-0313 §6.1).
	Shown bool
	// Parked: the commit has already written it down as waiting.
	Parked bool
	// AsKept: the record at Pos holds this very stanza, so that queues may give it
	// back to the archive (session.Form).
	AsKept bool
}

// Message pushes m to the recipient's and the sender's sessions as they are
// now. Messages with a position come in its order, from one goroutine.
func (t *Table) Message(m *Message) {
	to := m.Stanza.To
	d := delivery{m: m}
	if m.Keep && !m.Parked {
		// Before Fanned says that it was handed out: the ledger believes that
		// everything up to there was tracked, and settles it.
		t.cfg.Ledger.Track(to.Bare(), d.frame())
	}
	if m.Pos != 0 {
		// Before sessions are looked up: one that begins to catch up now reads
		// the message or is found catching up below, see BeginCatchUp.
		t.fanned.Store(uint64(m.Pos))
	}
	if a := t.account(to.Bare()); a != nil {
		a.mu.Lock()
		d.direct(t, a)
		if m.Carbons {
			d.copies(t, a, "received", to.Bare(), nil)
		}
		a.mu.Unlock()
	}
	if m.Carbons && m.Origin != nil {
		own := m.Origin.JID().Bare()
		if a := t.account(own); a != nil {
			a.mu.Lock()
			d.copies(t, a, "sent", own, m.Origin)
			a.mu.Unlock()
		}
	}
}

// delivery is one message on its way; frames are encoded when first needed.
type delivery struct {
	m   *Message
	f   *session.Frame
	got []*session.Session // got the message itself
}

func (d *delivery) frame() *session.Frame {
	if d.f == nil {
		d.f = encodeMessage(d.m)
	}
	return d.f
}

// direct is RFC 6121 §8.5.2.1.1 and §8.5.3 for sessions that exist; which
// messages get here at all was planned before the commit. Called with a.mu held.
func (d *delivery) direct(t *Table, a *account) {
	st := d.m.Stanza
	if st.To.IsFull() {
		for _, s := range a.sessions {
			if s.JID() == st.To {
				// RFC 6121 §8.5.3.1: the connected resource, available or not.
				d.push(t, s, s.Standing())
				return
			}
		}
		if st.Type != stanza.Chat { // RFC 6121 §8.5.3.2.1
			return
		}
	}
	for _, s := range a.sessions {
		// RFC 6121 §8.5.2.1.1: never to a resource of negative priority. One that is
		// available and not live is about to read what waits, this among it.
		if is := s.Standing(); is.Catching || is.Live && is.Available && is.Priority >= 0 {
			d.push(t, s, is)
		}
	}
}

func (d *delivery) push(t *Table, s *session.Session, is session.Standing) {
	if is.Catching { // also what is not kept: nothing overtakes (RFC 6120 §10.1)
		t.settle(s, s.Behind(d.frame()))
	} else {
		t.settle(s, s.Push(d.frame()))
	}
	d.got = append(d.got, s)
}

// copies sends carbons of one kind to an account's sessions that switched them
// on and did not get the message itself. Called with a.mu held.
func (d *delivery) copies(t *Table, a *account, kind string, own jid.JID, but *session.Session) {
next:
	for _, s := range a.sessions {
		is := s.Standing()
		// A session that has not announced itself gets none yet: what waits for
		// it comes first, in order.
		if s == but || !is.Carbons || !is.Available && !is.Catching {
			continue
		}
		for _, g := range d.got {
			if g == s {
				continue next
			}
		}
		f := encodeCarbon(d.m, kind, own, s.JID())
		if is.Catching {
			t.settle(s, s.Behind(f))
		} else {
			t.settle(s, s.Push(f))
		}
		if kind == "received" {
			d.got = append(d.got, s) // not once more as "sent" when one writes to oneself
		}
	}
}

// archivedFor says whether an account's archive has the message. Only then it has an
// id there: a client asks for what came after the newest id it knows (XEP-0313 §6.1.1).
func (m *Message) archivedFor(owner jid.JID) bool {
	if m.Pos == 0 || !m.Keep {
		return false
	}
	return m.Shown || owner == m.Stanza.To.Bare()
}

// encodeMessage adds the recipient's archive id (XEP-0359 §2.1).
func encodeMessage(m *Message) *session.Frame {
	st := m.Stanza
	dst, nameEnd := st.AppendStart(make([]byte, 0, st.Size()+96))
	dst = append(dst, st.Content...)
	if m.archivedFor(st.To.Bare()) {
		dst = AppendStanzaID(dst, st.To.Bare(), m.Pos)
	}
	f := &session.Frame{Bytes: st.AppendEnd(dst), NameEnd: nameEnd, Kind: stanza.Message,
		Pos: m.Pos, Form: m.form(session.Itself, st.To.Bare()), Offline: m.Keep, Urgent: m.Pos != 0}
	if m.Parked {
		f.Park()
	}
	return f
}

// form says how to make the frame of the message for an account again; zero if
// the record does not say.
func (m *Message) form(kind session.Form, owner jid.JID) session.Form {
	if !m.AsKept || m.Pos == 0 {
		return 0
	}
	if m.archivedFor(owner) {
		kind |= session.WithID
	}
	return kind
}

// AppendStanzaID writes a <stanza-id/> by an entity.
func AppendStanzaID(dst []byte, by jid.JID, pos session.Pos) []byte {
	dst = append(dst, `<stanza-id xmlns="urn:xmpp:sid:0"`...)
	dst = elem.AppendAttr(dst, "by", by.String())
	dst = elem.AppendAttr(dst, "id", pos.String())
	return append(dst, '/', '>')
}

// encodeCarbon wraps the message for the other sessions of one side
// (XEP-0280 §7-§8); "from" is the account, which is how clients know it is real.
func encodeCarbon(m *Message, kind string, own, to jid.JID) *session.Frame {
	st := m.Stanza
	form := session.Received
	if kind == "sent" {
		form = session.Sent
	}
	switch form = m.form(form, own); {
	case form == 0 || st.Type == stanza.Normal:
	case st.Type == stanza.Chat:
		form |= session.Chat
	default:
		form = 0 // another type is not in a form
	}
	b, nameEnd := appendCarbon(make([]byte, 0, 2*st.Size()+320), kind, own, to, st.Type, func(dst []byte) []byte {
		return AppendForwarded(dst, st, func(b []byte) []byte {
			if !m.archivedFor(own) {
				return b
			}
			return AppendStanzaID(b, own, m.Pos)
		})
	})
	return &session.Frame{Bytes: b, NameEnd: nameEnd, Kind: stanza.Message, Pos: m.Pos, Form: form, Urgent: m.Pos != 0}
}

// appendCarbon writes a carbon around what inner writes.
func appendCarbon(dst []byte, kind string, own, to jid.JID, typ stanza.Type, inner func([]byte) []byte) (out []byte, nameEnd int) {
	outer := stanza.Stanza{Kind: stanza.Message, Type: typ, From: own, To: to}
	dst, nameEnd = outer.AppendStart(dst)
	dst = append(dst, '<')
	dst = append(dst, kind...)
	dst = append(dst, ` xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">`...)
	dst = inner(dst)
	dst = append(dst, `</forwarded></`...)
	dst = append(dst, kind...)
	dst = append(dst, '>')
	return outer.AppendEnd(dst), nameEnd
}

// AppendForwarded writes a stanza inside another namespace (XEP-0297 §3): with
// jabber:client declared, and what more adds before the end tag.
func AppendForwarded(dst []byte, st *stanza.Stanza, more func([]byte) []byte) []byte {
	var start [512]byte
	tag, nameEnd := st.AppendStart(start[:0])
	dst = append(dst, tag[:nameEnd]...)
	dst = append(dst, ` xmlns="jabber:client"`...)
	dst = append(dst, tag[nameEnd:]...)
	dst = append(dst, st.Content...)
	if more != nil {
		dst = more(dst)
	}
	return st.AppendEnd(dst)
}
