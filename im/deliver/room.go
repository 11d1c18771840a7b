package deliver

import (
	"context"
	"slices"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// roomMessage plans a judged message to a room and keeps what becomes of it for
// the next commit: all of it, or nothing if any part is refused.
func (in *Inlet) roomMessage(ctx context.Context, j *judged, st *stanza.Stanza) error {
	pls, err := in.planned(ctx, j, false)
	if err != nil {
		// What was kept when it was sent before is not refused now (slow mode, a room
		// left meanwhile): its sender would believe that nobody has it.
		before, failed := in.before(ctx, dedup(j.st))
		switch {
		case in.over != nil:
			return in.over
		case failed != nil:
			return in.refuseRoom(ctx, j, st, failed)
		case !before:
			return in.refuseRoom(ctx, j, st, err)
		}
		if pls, err = in.planned(ctx, j, true); err != nil {
			pls = nil // nobody to show it to: it is acknowledged
		}
	}
	if len(pls) == 0 {
		in.p.countPlan(j.st, nil, nil)
		return nil
	}
	for _, pl := range pls {
		in.p.countPlan(j.st, pl, nil)
	}
	return in.takeAll(ctx, pls, st)
}

// planned is everything a message to a room leads to. again says that it is in
// the archive already.
func (in *Inlet) planned(ctx context.Context, j *judged, again bool) (out []*planned, err error) {
	msgs, err := in.p.cfg.Rooms.Plan(ctx, in.s, j.st, room.Sent{Sending: dedup(j.st), Again: again})
	if err != nil {
		return nil, err
	}
	for i, m := range msgs {
		pl, err := in.p.planRoom(ctx, j, in.s, m)
		if err != nil {
			return nil, err
		}
		if pl == nil {
			continue
		}
		if m.Letter() && pl.entry != nil {
			pl.entry.Dedup = dedup(j.st)
			pl.entry.Dedup[0] ^= byte(i) // each of several letters of one message is a sending of its own
		}
		out = append(out, pl)
	}
	if again {
		return out, nil
	}
	return out, in.p.cfg.Rooms.Admit(ctx, msgs)
}

// before says whether a sending is in the archive, after what this connection
// sent before it is.
func (in *Inlet) before(ctx context.Context, s archive.Sending) (bool, error) {
	if s.IsZero() {
		return false, nil
	}
	if err := in.commitTaken(); err != nil {
		return false, err
	}
	return archive.Has(ctx, in.p.cfg.Archive, s)
}

func (in *Inlet) refuseRoom(ctx context.Context, j *judged, st *stanza.Stanza, err error) error {
	e := in.p.asError(err, st)
	in.p.countPlan(j.st, nil, e)
	return in.refuse(ctx, st, e)
}

// planRoom makes the record and the fanout of a message of a room. It is nil for
// one that its recipient's block list drops.
func (p *Path) planRoom(ctx context.Context, j *judged, origin *session.Session, m *room.Message) (*planned, error) {
	if m.Letter() {
		return p.planLetter(ctx, j, m)
	}
	if real := p.cfg.Rooms.Real(m); !real.IsZero() {
		// XEP-0191 §3.4: who has blocked an occupant, or the room, hears nothing of it.
		to := *m.Out
		to.To = real
		if v := p.cfg.Judge.Judge(ctx, &to); v.Action != Allow && v.Action != Alter {
			return nil, stanza.Fail("service-unavailable", "this person takes no messages from you")
		}
	}
	pl := &planned{out: route.Message{Stanza: m.Out, Origin: origin}, room: m, mute: j.held}
	h := readHints(j.st)
	if m.Silent() || j.st.Type == stanza.Error_ || !hasContent(j.st) && !h.store {
		return pl, nil
	}
	if h.noStore {
		m.Views = nil // XEP-0334 §4.2: recorded, but in nobody's archive
	}
	p.wishes(m)
	pl.entry = &archive.Entry{Conversation: m.Conversation, Sender: m.Sender, Recipient: m.Recipient,
		Views: m.Views, Dedup: dedup(j.st), Held: j.held, With: m.With()}
	pl.entry.Stanza = storedForm(m)
	return pl, nil
}

// wishes takes a private message out of the archives of who does not want to see it there (XEP-0441).
// What is said to all is in the room's archive only.
func (p *Path) wishes(m *room.Message) {
	if p.cfg.Wishes == nil || m.Out.Type == stanza.Groupchat {
		return
	}
	m.Views = slices.DeleteFunc(m.Views, func(v archive.View) bool {
		other := m.Recipient // the occupant's address
		if v.Owner != m.Sender.Bare() {
			other = m.Out.From
		}
		return v.Owner != m.Recipient && !p.cfg.Wishes.Shows(v.Owner, other)
	})
}

// storedForm is a message of a room as its archive has it. XEP-0313 §6.1.2:
// without "to".
func storedForm(m *room.Message) []byte { return m.Out.AppendTo(make([]byte, 0, m.Out.Size())) }

// planLetter plans an invitation or a decline: a message of the room to an
// account, by the ordinary rules, but in no archive of the room.
func (p *Path) planLetter(ctx context.Context, j *judged, m *room.Message) (*planned, error) {
	// The inviter is judged, as if he wrote himself (HARDENING M4).
	// What it says was judged when it came in.
	direct := stanza.Stanza{Kind: stanza.Message, Type: stanza.Normal, From: m.Sender, To: m.Out.To}
	if m.Asked() {
		direct.Content, direct.Kids, direct.Decls = m.Out.Content, m.Out.Kids, m.Out.Decls
	}
	if v := p.cfg.Judge.Judge(ctx, &direct); v.Action == Drop {
		return nil, nil
	} else if v.Action != Allow {
		return nil, stanza.Fail("service-unavailable", "this person takes no messages from you")
	}
	exists, err := p.exists(ctx, m.Out)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, stanza.Fail("item-not-found", "there is no such account") // XEP-0045 §7.8.2
	}
	if m.Out.To.IsFull() && p.cfg.Routes.Session(m.Out.To) == nil {
		m.Out.To = m.Out.To.Bare() // XEP-0045 §7.9: the device that was talked to has gone, its owner is invited
	}
	letter := &judged{st: m.Out, held: j.held, private: true}
	pl, refusal := plan(letter, nil, p.snapshot(m.Out, exists))
	if refusal != nil || pl == nil || pl.entry == nil {
		return pl, noNil(refusal)
	}
	pl.entry.Sender, pl.entry.Dedup = m.Sender, archive.Sending{}
	pl.entry.Stanza = m.Out.AppendTo(make([]byte, 0, m.Out.Size()))
	views := pl.entry.Views[:0]
	for _, v := range pl.entry.Views {
		if v.Owner == m.Out.To.Bare() {
			views = append(views, v)
		}
	}
	pl.entry.Views = views
	return pl, nil
}

func noNil(e *stanza.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// Submit carries a message a room makes itself: it is kept, then told.
func (p *Path) Submit(ctx context.Context, m *room.Message) error {
	pl, err := p.planRoom(ctx, &judged{st: m.Out}, nil, m)
	if err != nil || pl == nil {
		return err
	}
	return p.commit([]*planned{pl}, make(chan error, 1))
}

// fanRoom hands a room's message to who is in the room now.
func (p *Path) fanRoom(m *planned) {
	if e := m.entry; e != nil {
		p.cfg.Routes.Skip(e.Pos) // it counts as handed out from here on: who enters now reads it
		if !m.mute {
			p.cfg.Rooms.Fanout(m.room, e.Pos, e.At, e.Again)
		}
		return
	}
	if !m.mute {
		p.cfg.Rooms.Fanout(m.room, 0, p.cfg.Now(), false)
	}
}

// roomIQ takes an iq to the rooms' service, a room or an occupant.
func (r *responder) roomIQ(ctx context.Context, s *session.Session, st *stanza.Stanza) error {
	if !st.To.IsFull() {
		return r.answerWith(ctx, s, st, st.To, r.cfg.Rooms.IQ)
	}
	real, done, err := r.cfg.Rooms.Pass(ctx, s, st)
	switch {
	case err != nil || done:
		return err
	case real.IsZero():
		return r.answerWith(ctx, s, st, st.To, func(context.Context, *im.IQ) (*elem.Element, error) { return nil, nil })
	}
	k := st.Kids[0]
	h := r.handlers[handlerKey{im.ToAccount, st.Type, k.Space, k.Local}]
	if h == nil {
		return stanza.Fail("service-unavailable", "nobody here answers this request")
	}
	return r.answerWith(ctx, s, st, st.To, func(ctx context.Context, q *im.IQ) (*elem.Element, error) {
		q.To = real // the answer still comes from the occupant's address
		return h(ctx, q)
	})
}
