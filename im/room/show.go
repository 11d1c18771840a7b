package room

import (
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// notice is a presence of an occupant on its way to sessions of the room.
type notice struct {
	st       *stanza.Stanza // type, content; from the occupant's address
	o        *occupant
	role     Role // as told; none when the occupant leaves
	real     jid.JID
	codes    []string // for all
	own      []string // beside 110, for the occupant's own sessions
	nick     string   // XEP-0045 §7.6: the new nickname
	why      why
	hats     hats             // of the room, if they are to be shown
	version  string           // XEP-0463 §5.2.1: the present one, for who enters
	tagged   bool             // the change's versions are told
	keepSelf bool             // the occupant's own sessions hear of it elsewhere
	asker    *session.Session // whose request this answers, with that request's id
	id       string
}

// frame encodes a notice for those who may see real addresses or those who may not.
func (n *notice) frame(real, self bool, id string) *session.Frame {
	st := *n.st
	st.ID = id
	dst, nameEnd := st.AppendStart(make([]byte, 0, len(st.Content)+640))
	dst = append(dst, st.Content...)
	it := elem.New(spaceUser, "item", "affiliation", n.o.affiliation.String(), "role", n.role.String())
	if real && !n.real.IsZero() {
		it.Set("jid", n.real.String())
	}
	if n.nick != "" {
		it.Set("nick", n.nick)
	}
	x := userX(nil, n.why.addTo(it))
	if self {
		x = x.Add(statuses(append([]string{codeSelf}, n.own...))...)
	}
	x.Add(statuses(n.codes)...)
	switch {
	case n.version != "":
		x.Add(mav("", n.version))
	case n.tagged && n.why.step.until != "":
		x.Add(mav(n.why.step.since, n.why.step.until)) // XEP-0463 §5.2.2
	}
	dst = x.AppendTo(dst, stanza.Space)
	dst = appendOccupantID(dst, n.o.id)
	dst = n.hats.appendHats(dst, n.o.bare)
	f := &session.Frame{Bytes: st.AppendEnd(dst), NameEnd: nameEnd, Kind: stanza.Presence, Addressed: true, Urgent: self}
	if !self {
		f.Replaces = n.o.at.String() // XEP-0352 §5
	}
	return f
}

// idFor is the request's id for the session that sent it (muc#stable_id), none
// for others.
func (n *notice) idFor(s *session.Session) string {
	if s == n.asker {
		return n.id
	}
	return ""
}

func statuses(codes []string) (out []*elem.Element) {
	for _, c := range codes {
		out = append(out, elem.New(spaceUser, "status", "code", c))
	}
	return out
}

// leave is the presence of somebody who goes: its content, or none.
func leaving(o *occupant, st *stanza.Stanza) *stanza.Stanza {
	out := &stanza.Stanza{Kind: stanza.Presence, Type: stanza.Unavailable, From: o.at}
	if st != nil {
		out.Content, out.Kids, out.Decls, out.Lang, out.NoLang = st.Content, st.Kids, st.Decls, st.Lang, st.NoLang
	}
	return out
}

// tell sends a notice to all in the room, encoded at most three times: for who
// sees addresses, for who does not, and for the occupant's own sessions.
func (r *room) tell(n *notice) {
	var frames [4]*session.Frame
	quiet := n.role != NoRole && r.cfg.silent(n.role) || n.role == NoRole && r.cfg.silent(n.o.role)
	for _, t := range r.crowd {
		n.tagged = t.versions
		switch {
		case t.o == n.o:
			if !n.keepSelf {
				r.push(t.s, n.frame(r.sees(t.o.role), true, n.idFor(t.s)))
			}
			continue
		case quiet: // XEP-0045 §7.2.2: muc#roomconfig_presencebroadcast
			continue
		}
		i := 0
		if r.sees(t.o.role) {
			i = 1
		}
		if n.tagged && n.why.step.until != "" {
			i += 2
		}
		if frames[i] == nil {
			frames[i] = n.frame(i&1 == 1, false, "")
		}
		r.push(t.s, frames[i])
	}
}

// now is what an occupant shows at present: its newest session's presence.
func (r *room) now(o *occupant) *notice {
	t := o.seats[len(o.seats)-1]
	return &notice{st: t.presence, o: o, role: o.role, real: t.s.JID(), hats: r.hats}
}

// shown is an occupant's present presence for one who enters, encoded once.
func (r *room) shown(o *occupant, real bool) *session.Frame {
	i := 0
	if real {
		i = 1
	}
	if o.shown[i] == nil {
		o.shown[i] = r.now(o).frame(real, false, "")
	}
	return o.shown[i]
}

// announce tells all what an occupant is now, with codes, and forgets how it was
// encoded before.
func (r *room) announce(o *occupant, w why, codes ...string) {
	o.shown = [2]*session.Frame{}
	n := r.now(o)
	n.codes, n.why = codes, w
	r.tell(n)
}
