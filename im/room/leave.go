package room

import (
	"context"
	"slices"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

var stamp = archive.Stamp

// depart is XEP-0045 §7.14. Who is not in the room is not answered (XEP-0045 §17.3).
//
// A session also leaves by saying that the room's presence does not reach it (XEP-0045
// §18.1.2); other errors are its client's own affair. The others then see that it was no
// wish of anybody's (XEP-0045 §11.1).
func (rs *Rooms) depart(ctx context.Context, s *session.Session, st *stanza.Stanza) error {
	said, codes := without(st, roomOnly), []string(nil)
	if st.Type == stanza.Error_ {
		if c := bounce(st); c != "" && !slices.Contains(unreachable, c) {
			return nil
		}
		said, codes = nil, []string{codeTechnical}
	}
	var left bool
	rs.peek(st.To.Bare(), func(r *room) {
		if t := r.seats[s]; t != nil {
			r.part(t, said, codes)
			left = true
		}
	})
	if left {
		return rs.emptied(ctx, st.To.Bare())
	}
	return nil
}

// unreachable are the conditions that say that a stanza of the room did not reach
// an occupant.
var unreachable = []string{"gone", "item-not-found", "recipient-unavailable", "redirect",
	"remote-server-not-found", "remote-server-timeout"}

// bounce is what an error says (RFC 6120 §8.3.3); "" if it says nothing.
func bounce(st *stanza.Stanza) string {
	k, ok := st.Child(stanza.Space, "error")
	if !ok {
		return ""
	}
	e, err := st.Element(k)
	if err != nil {
		return ""
	}
	for _, c := range e.Children {
		if c.Space == stanza.ErrorSpace && c.Local != "text" {
			return c.Local
		}
	}
	return ""
}

// Unavailable takes a session out of all its rooms: it has said that it is
// unavailable for everybody (RFC 6121 §4.5.2), or has ended.
func (rs *Rooms) Unavailable(ctx context.Context, s *session.Session, st *stanza.Stanza) {
	if rs == nil || rs.stop.Load() {
		return
	}
	if st != nil {
		st = without(st, roomOnly)
	}
	for _, r := range rs.seated.rooms(s) {
		r.mu.Lock()
		t := r.seats[s]
		if t != nil {
			r.part(t, st, nil)
		}
		r.mu.Unlock()
		if err := rs.emptied(context.WithoutCancel(ctx), r.at); err != nil {
			rs.Log.Error("room: an empty room was not put away", "room", r.at.String(), "err", err)
		}
	}
}

// part takes a session out and tells it and the others. st is what it said, nil
// if nothing.
func (r *room) part(t *seat, st *stanza.Stanza, codes []string) {
	o := t.o
	n := &notice{st: leaving(o, st), o: o, role: NoRole, real: t.s.JID(), codes: codes}
	last := r.rise(t)
	// XEP-0045 §7.14: who leaves hears of it first.
	id := ""
	if st != nil {
		id = st.ID
	}
	r.push(t.s, n.frame(r.sees(o.role), true, id))
	if last {
		r.tell(n)
		return
	}
	// The occupant stays with what its other sessions show.
	r.announce(o, why{})
}

// emptied puts away what nobody is in any more: a room that was never configured
// (XEP-0045 §10.1.3), a temporary one (§7.14).
func (rs *Rooms) emptied(ctx context.Context, at jid.JID) error {
	if rs.stop.Load() {
		return nil
	}
	temporary := false
	rs.peek(at, func(r *room) {
		if len(r.seats) > 0 {
			return
		}
		switch {
		case r.state == locked:
			r.vacate()
		case r.state == open && !r.cfg.Persistent:
			temporary = true
		}
	})
	if temporary {
		return rs.vanish(ctx, at)
	}
	return nil
}

// expel takes an occupant out with all its sessions: it was kicked or banned, or
// may not be here any more. codes says why.
func (r *room) expel(o *occupant, w why, codes ...string) {
	n := &notice{o: o, role: NoRole, st: leaving(o, nil), codes: codes, why: w}
	n.real = o.seats[len(o.seats)-1].s.JID()
	for _, t := range slices.Clone(o.seats) {
		r.rise(t)
		n.tagged = t.versions
		r.push(t.s, n.frame(r.sees(o.role), true, ""))
	}
	r.tell(n)
}

// collapse is for when nobody knows what the data set says of the room: all are
// out, and it is read again.
func (r *room) collapse() {
	for _, o := range slices.Clone(r.people) {
		r.expel(o, why{}, codeTechnical) // XEP-0045 §11.1
	}
	r.gone = true
}

// ruin sends everybody out of a room that is destroyed (XEP-0045 §10.9): one
// presence each.
func (r *room) ruin(destroy *elem.Element) {
	for _, t := range slices.Clone(r.crowd) {
		o := t.o
		st := leaving(o, nil)
		st.Add(userX(nil, item(spaceUser, None, NoRole), destroy))
		st.Content = appendOccupantID(st.Content, o.id)
		dst, nameEnd := st.AppendStart(nil)
		r.push(t.s, &session.Frame{Bytes: st.AppendEnd(append(dst, st.Content...)), NameEnd: nameEnd, Kind: stanza.Presence, Addressed: true, Urgent: true})
	}
	r.vacate()
}
