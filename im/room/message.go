package room

import (
	"context"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// kind is what a message to a room is.
type kind uint8

const (
	speech   kind = iota // to all occupants
	whisper              // to one (XEP-0045 §7.5)
	letter               // invitation or decline, to an account
	request              // for voice, to the moderators (XEP-0045 §8.6)
	approval             // of voice
)

// Message is what becomes of a message to a room: planned before the commit,
// handed out by Fanout after it.
type Message struct {
	// Out is the message as it goes out, and as it is kept: from the occupant's
	// or the room's address. A letter is addressed to the account it is for.
	Out *stanza.Stanza
	// Sender is the real address of who wrote it, Recipient where it was sent.
	Sender, Recipient jid.JID
	// Views are the archives it is seen in; none for what is not kept there.
	Views []archive.View
	// Conversation is what it belongs to in the record.
	Conversation string

	kind     kind
	room     jid.JID
	origin   *session.Session
	to       string // nickname key of a whisper's recipient, or of who is given voice
	subject  bool
	retracts session.Pos // the message it takes back
	applied  bool        // the tombstone stands
	by       tomb
	since    session.Pos // of the room it was said in
	grant    bool        // an approval says yes
	admits   jid.JID     // who is invited becomes a member
	asked    bool        // the room says it itself: nobody has judged it yet
}

// Asked says that a letter was not judged when it came in, for it did not.
func (m *Message) Asked() bool { return m.asked }

// Letter says that it goes to an account by the ordinary way.
func (m *Message) Letter() bool { return m.kind == letter }

// Silent says that it is not content: a form the room handles.
func (m *Message) Silent() bool { return m.kind == request || m.kind == approval }

// With says whether the record's transaction has more to write.
func (m *Message) With() func(*store.Tx, session.Pos, time.Time) error {
	if !m.subject && m.retracts == 0 {
		return nil
	}
	return m.write
}

// write is the rest of the record's transaction: the room's subject, the
// tombstone of a retracted message.
func (m *Message) write(tx *store.Tx, pos session.Pos, at time.Time) error {
	if m.subject {
		_, err := tx.Exec(sqlSubject, m.room.String(), m.Out.Content, m.Out.From.String(), at.UnixMicro())
		return err
	}
	var err error
	m.applied, err = bury(tx, m, at)
	return err
}

// Sent is what is known of a message beside what it says.
type Sent struct {
	Sending archive.Sending // zero without an origin-id (XEP-0359)
	Again   bool            // it is in the archive already
}

// spoken is an account's last message.
type spoken struct {
	at   time.Time
	sent archive.Sending
}

// Plan says what becomes of a message of one of our sessions to a room or an
// occupant: several messages for several invitations, none for what is dropped.
// A *stanza.Error goes back to the sender.
func (rs *Rooms) Plan(ctx context.Context, s *session.Session, st *stanza.Stanza, sent Sent) (out []*Message, err error) {
	if st.To.Local() == "" {
		if st.Type == stanza.Error_ {
			return nil, nil
		}
		return nil, fail("service-unavailable", "the service itself takes no messages")
	}
	if done, err := (clerk{rs}).approves(ctx, s, st); done {
		return nil, err
	}
	err = rs.with(ctx, st.To.Bare(), func(r *room) error {
		out, err = talk{r}.plan(s, st, sent)
		return err
	})
	if st.Type == stanza.Error_ {
		return out, nil // RFC 6120 §8.3.1: an error is not answered with one
	}
	return out, err
}

func (r talk) plan(s *session.Session, st *stanza.Stanza, sent Sent) ([]*Message, error) {
	t := r.seats[s]
	switch {
	case r.state == void, r.state == locked && t == nil:
		return nil, errNoRoom() // XEP-0045 §17.2
	case st.To.IsFull():
		return one(r.whisper(t, s, st))
	case st.Type == stanza.Error_:
		return nil, nil
	case st.Type == stanza.Groupchat:
		return one(r.speak(t, s, st, sent))
	case st.Has(spaceUser, "x"):
		return r.letters(t, s, st)
	case st.Has("jabber:x:data", "x"):
		return one(r.voice(t, s, st))
	}
	// XEP-0045 §17.2: what all are to read is of type groupchat.
	return nil, fail("bad-request", "a message to a room is of type groupchat")
}

func one(m *Message, err error) ([]*Message, error) {
	if m == nil || err != nil {
		return nil, err
	}
	return []*Message{m}, nil
}

// message makes one of the room, in its conversation and archive.
func (r talk) message(k kind, s *session.Session, st *stanza.Stanza) *Message {
	return &Message{kind: k, room: r.at, origin: s, Sender: st.From, Recipient: st.To, since: r.since,
		Conversation: r.at.String(), Views: []archive.View{{Owner: r.at, Flags: archive.Shown}}}
}

// speak is XEP-0045 §7.4 and §8.1.
func (r talk) speak(t *seat, s *session.Session, st *stanza.Stanza, sent Sent) (*Message, error) {
	if t == nil {
		return nil, errOutside()
	}
	m := r.message(speech, s, st)
	m.subject = st.Has(stanza.Space, "subject") && !st.Has(stanza.Space, "body") && !st.Has(stanza.Space, "thread")
	switch {
	case m.subject && t.o.role < Moderator && !(r.cfg.ChangeSubject && t.o.role >= Participant):
		return nil, errForbidden("you may not change the subject of this room")
	case t.o.role < Participant:
		return nil, errForbidden("you have no voice in this room; ask its moderators for it")
	}
	if err := r.slow(t.o, st, sent); err != nil {
		return nil, err
	}
	m.Out = without(st, roomOnly)
	m.Out.From, m.Out.Type = t.o.at, stanza.Groupchat
	m.Out.Content = appendOccupantID(m.Out.Content, t.o.id)
	if k, ok := st.Child(spaceRetract, "retract"); ok {
		id, _ := st.Attr(k, "id")
		if pos, ok := r.position(id); ok {
			m.retracts, m.by = pos, tomb{id: st.ID, sender: t.o.bare}
		}
	}
	return m, nil
}

// slow is XEP-0500 §6: one judgement per account, not per session. What is sent
// again passes: it is on its way, or kept, and was judged then.
func (r talk) slow(o *occupant, st *stanza.Stanza, sent Sent) error {
	if r.cfg.SlowMode == 0 || sent.Again || o.affiliation >= Admin || !st.Has(stanza.Space, "body") {
		return nil
	}
	now, wait := r.home.Now(), time.Duration(r.cfg.SlowMode)*time.Second
	if last, ok := r.spoke[o.bare]; ok && now.Sub(last.at) < wait {
		if last.sent == sent.Sending && !sent.Sending.IsZero() {
			return nil
		}
		return fail("policy-violation", "slow mode: wait "+wait.String()+" between two messages").WithType("wait")
	}
	if len(r.spoke) > 2*len(r.people)+64 {
		for who, last := range r.spoke {
			if now.Sub(last.at) >= wait {
				delete(r.spoke, who)
			}
		}
	}
	r.spoke[o.bare] = spoken{now, sent.Sending}
	return nil
}

// whisper is XEP-0045 §7.5.
func (r talk) whisper(t *seat, s *session.Session, st *stanza.Stanza) (*Message, error) {
	switch {
	case t == nil:
		return nil, errOutside()
	case st.Type == stanza.Groupchat:
		return nil, fail("bad-request", "what all are to read goes to the room itself")
	}
	_, key, err := jid.Nickname(st.To.Resource())
	o := r.nicks[key]
	if err != nil || o == nil {
		return nil, fail("item-not-found", "nobody in this room has this nickname")
	}
	if !r.cfg.mayWhisper(t.o.role) && t.o != o && !(t.o.role == Moderator && r.cfg.PrivateMessages != pmNone) {
		return nil, errForbidden("you may not send private messages in this room")
	}
	m := r.message(whisper, s, st)
	m.to = o.key
	// A conversation of its own, between two people and through this room.
	m.Conversation = r.at.String() + " " + archive.Pair(t.o.bare, o.bare)
	m.Views = []archive.View{{Owner: o.bare, Flags: archive.Shown}}
	if o.bare != t.o.bare {
		m.Views = append(m.Views, archive.View{Owner: t.o.bare, Flags: archive.Shown})
	}
	m.Out = without(st, roomOnly)
	m.Out.From, m.Out.To = t.o.at, o.at
	// XEP-0045 §7.5: the mark of a private message.
	m.Out.Content = append(m.Out.Content, `<x xmlns="http://jabber.org/protocol/muc#user"/>`...)
	m.Out.Content = appendOccupantID(m.Out.Content, t.o.id)
	return m, nil
}

// Real is the account a private message is for, so that its block list can be
// asked; zero if it has left.
func (rs *Rooms) Real(m *Message) (real jid.JID) {
	if m.kind != whisper {
		return real
	}
	rs.peek(m.room, func(r *room) {
		if o := r.nicks[m.to]; o != nil {
			real = o.bare
		}
	})
	return real
}

// Fanout hands a message out to who is in the room now, in the order of the
// log: who was banned or left during the commit gets nothing, who came in has
// not missed it. again says that it was kept when it was sent before.
func (rs *Rooms) Fanout(m *Message, pos session.Pos, at time.Time, again bool) {
	rs.peek(m.room, func(r *room) {
		if r.since != m.since {
			return // said in a room that was destroyed; this one has its name only
		}
		switch m.kind {
		case speech:
			talk{r}.say(m, pos, at, again)
		case whisper:
			talk{r}.pass(m, pos, again)
		case request:
			talk{r}.askModerators(m)
		case approval:
			talk{r}.giveVoice(m)
		}
	})
}

// say encodes a message once and gives it to everybody.
func (r talk) say(m *Message, pos session.Pos, at time.Time, again bool) {
	st := m.Out
	dst, nameEnd := st.AppendStart(make([]byte, 0, st.Size()+160))
	dst = append(dst, st.Content...)
	shown := pos != 0 && len(m.Views) > 0
	if shown {
		dst = route.AppendStanzaID(dst, r.at, pos) // XEP-0359 §3
	}
	f := &session.Frame{Bytes: st.AppendEnd(dst), NameEnd: nameEnd, Kind: stanza.Message, Pos: pos, Urgent: pos != 0, Addressed: true}
	if pos != 0 && !again {
		// The record has these bytes, but for the id: a queue may hold its position instead.
		f.Form = session.Common
		if shown {
			f.Form |= session.WithID
		}
	}
	if again {
		// The others have it. Whoever sent it again waits for its reflection.
		if r.seats[m.origin] != nil {
			r.push(m.origin, f)
		}
		return
	}
	if m.applied {
		r.past.remove(m.retracts)
	}
	switch {
	case isSubject(st) && m.kind == speech:
		r.subject = subject{content: st.Content, by: st.From.String(), at: at}
	case shown:
		k := archive.Kept{Pos: pos, At: at, Stanza: st.AppendTo(make([]byte, 0, st.Size()))}
		r.past.add(newMoment(r.at, &k, r.affiliationOf(m.Sender) == Owner && st.Has("urn:xmpp:delay", "delay")), r.home.live.Load().History)
	}
	for _, t := range r.crowd {
		if t.hears(st.From) {
			r.push(t.s, f)
		}
	}
}

func isSubject(st *stanza.Stanza) bool {
	return st.Has(stanza.Space, "subject") && !st.Has(stanza.Space, "body") && !st.Has(stanza.Space, "thread")
}

// pass gives a private message to all sessions of its recipient (XEP-0045 §7.2.8).
func (r talk) pass(m *Message, pos session.Pos, again bool) {
	o := r.nicks[m.to]
	if again || o == nil {
		return
	}
	st := *m.Out
	st.To = jid.JID{}
	dst, nameEnd := st.AppendStart(make([]byte, 0, st.Size()+160))
	dst = append(dst, st.Content...)
	if pos != 0 && len(m.Views) > 0 {
		dst = route.AppendStanzaID(dst, o.bare, pos)
	}
	f := &session.Frame{Bytes: st.AppendEnd(dst), NameEnd: nameEnd, Kind: stanza.Message, Urgent: pos != 0, Addressed: true}
	for _, t := range o.seats {
		r.push(t.s, f)
	}
}
