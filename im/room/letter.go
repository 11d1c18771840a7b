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

// maxInvites is how many people one message may invite.
const maxInvites = 20

// letters are the invitations or the decline in a message (XEP-0045 §7.8.2).
func (r talk) letters(t *seat, s *session.Session, st *stanza.Stanza) (out []*Message, err error) {
	k, _ := st.Child(spaceUser, "x")
	x, err := st.Element(k)
	if err != nil {
		return nil, fail("bad-request", "the message can't be read")
	}
	known := false
	for _, c := range x.Children {
		var m *Message
		switch {
		case c.Space == spaceUser && c.Local == "invite":
			known = true
			m, err = r.invite(t, s, st, c)
		case c.Space == spaceUser && c.Local == "decline":
			known = true
			m, err = r.decline(s, st, c)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		if m == nil {
			continue
		}
		if out = append(out, m); len(out) > maxInvites {
			return nil, fail("policy-violation", "too many invitations in one message")
		}
	}
	if !known {
		return nil, fail("bad-request", "a message to a room is of type groupchat, an invitation or a decline")
	}
	return out, nil
}

func (r talk) invite(t *seat, s *session.Session, st *stanza.Stanza, c *elem.Element) (*Message, error) {
	if t == nil {
		return nil, errOutside()
	}
	w := who{t.o.role, t.o.affiliation}
	switch {
	case !r.cfg.mayInvite(w), r.cfg.MembersOnly && w.affiliation < Admin && !r.cfg.AllowInvites:
		return nil, errForbidden("you may not invite others to this room")
	}
	to, err := jid.Parse(c.Attr("to"))
	if err != nil || to.Local() == "" {
		return nil, fail("jid-malformed", "an invitation needs the address of whom it is for")
	}
	if to.Domain() == r.at.Domain() {
		return nil, fail("not-acceptable", "only people are invited")
	}
	if r.affiliationOf(to.Bare()) == Outcast {
		return nil, fail("not-allowed", "whom you invite is banned from this room")
	}
	in := elem.New(spaceUser, "invite", "from", s.JID().Bare().String())
	if !r.sees(Visitor) {
		// XEP-0045 §7.8.2: in a room that hides addresses the occupant's is told.
		in.Set("from", t.o.at.String())
	}
	copyParts(in, c, "reason", "continue")
	m := r.letter(s, st, to, in)
	if r.cfg.PasswordRequired {
		m.form(elem.New(spaceUser, "password").SetText(r.cfg.Password), in)
	}
	if r.cfg.MembersOnly && r.affiliationOf(to.Bare()) < Member {
		m.admits = to.Bare() // XEP-0045 §9.5: who is invited may come
	}
	return m, nil
}

// Admit makes members of those whom invitations to a members-only room are for
// (XEP-0045 §7.8.2, §9.5), all of them or none.
func (rs *Rooms) Admit(ctx context.Context, msgs []*Message) error {
	var all []*Message
	for _, m := range msgs {
		if !m.admits.IsZero() {
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return rs.change(ctx, all[0].room, func(r *room) (*plan, error) {
		if r.state == void || r.since != all[0].since {
			return nil, errNoRoom()
		}
		next := map[jid.JID]grant{}
		for _, m := range all {
			g, ok := r.grants[m.admits]
			if !ok {
				g = grant{affiliation: None}
			}
			if g.affiliation == None {
				g.affiliation = Member
				next[m.admits] = g
			}
		}
		if len(next) == 0 {
			return nil, nil
		}
		return rule{r}.regrant(next, nil, codeAffiliation)
	})
}

// decline is for whom an invitation was from: an account, or an occupant. It goes
// to who is in the room, or a room would carry messages of anybody to anybody; and
// it is nil without a word for who is not, or anybody could ask who is there.
func (r talk) decline(s *session.Session, st *stanza.Stanza, c *elem.Element) (*Message, error) {
	if r.affiliationOf(s.JID().Bare()) == Outcast {
		return nil, errForbidden("you are banned from this room")
	}
	to, err := jid.Parse(c.Attr("to"))
	if err != nil || to.Local() == "" {
		return nil, fail("jid-malformed", "a decline needs the address of who invited")
	}
	if to.Domain() == r.at.Domain() {
		_, key, err := jid.Nickname(to.Resource())
		o := r.nicks[key]
		if err != nil || o == nil || to.Bare() != r.at {
			return nil, nil
		}
		to = o.bare
	} else if !slices.ContainsFunc(r.people, func(o *occupant) bool { return o.bare == to.Bare() }) {
		return nil, nil
	}
	in := elem.New(spaceUser, "decline", "from", s.JID().Bare().String())
	copyParts(in, c, "reason")
	return r.letter(s, st, to, in), nil
}

// copyParts takes over what a sender may say: text, and "thread" of <continue/>.
func copyParts(to, from *elem.Element, names ...string) {
	for _, n := range names {
		c := from.Child(spaceUser, n)
		if c == nil {
			continue
		}
		e := elem.New(spaceUser, n).SetText(c.Text)
		if v := c.Attr("thread"); v != "" {
			e.Set("thread", v)
		}
		to.Add(e)
	}
}

// letter is a message from the room to an account. It is a record between the
// two, in the account's archive only.
func (r talk) letter(s *session.Session, st *stanza.Stanza, to jid.JID, in *elem.Element) *Message {
	m := r.message(letter, s, st)
	m.Out = &stanza.Stanza{Kind: stanza.Message, Type: stanza.Normal, From: r.at, To: to, ID: st.ID, Lang: st.Lang}
	m.form(in)
	m.Recipient, m.Conversation = to, archive.Pair(r.at, to)
	m.Views = []archive.View{{Owner: to.Bare(), Flags: archive.Shown}}
	return m
}

// form makes the content of a letter.
func (m *Message) form(kids ...*elem.Element) {
	slices.Reverse(kids)
	m.Out.Content, m.Out.Kids = nil, nil
	m.Out.Add(userX(nil, kids...))
}
