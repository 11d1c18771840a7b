package room

import (
	"context"
	"fmt"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Who may register with a room (XEP-0045 §7.10).
const (
	registerOpen    = "open"    // everybody where everybody may enter
	registerApprove = "approve" // whom an admin approves
	registerNobody  = "nobody"
)

// fieldRegister is a field of our own in the configuration form; XEP-0068 §3.4
// has such names in Clark notation.
const fieldRegister = "{urn:parlance:room}registration"

// maxRequests is how many registrations may wait in one room.
const maxRequests = 200

const (
	sqlRequests   = `SELECT jid, nick FROM room_request WHERE room = $1`
	sqlRequest    = `INSERT INTO room_request (room, jid, nick, at) VALUES ($1, $2, $3, $4) ON CONFLICT (room, jid) DO UPDATE SET nick = excluded.nick`
	sqlUnrequest  = `DELETE FROM room_request WHERE room = $1 AND jid = $2`
	sqlNoRequests = `DELETE FROM room_request WHERE room = $1`
	sqlForgetAsks = `DELETE FROM room_request WHERE jid = $1`
)

// readRequests are the registrations that wait, by account: the nicknames asked for.
func readRequests(tx *store.Tx, room jid.JID, into map[jid.JID]string) error {
	return tx.Each(func(r store.RowScanner) error {
		var who, nick string
		if err := r.Scan(&who, &nick); err != nil {
			return err
		}
		j, err := jid.Parse(who)
		if err != nil {
			return fmt.Errorf("room: a request of %q in %s can't be read", who, room)
		}
		into[j] = nick
		return nil
	}, sqlRequests, room.String())
}

// ask plans a registration that waits for an admin: the request is on disk, then
// each admin and owner gets the form of XEP-0045 §9.9, also one who is away.
func (rs clerk) ask(ctx context.Context, r *room, q *im.IQ, nick string) (*plan, error) {
	me := q.From.Bare()
	if had, waits := r.requests[me]; waits && had == nick {
		return nil, nil // the admins have it
	} else if waits {
		return nil, fail("not-allowed", "your request waits for an admin of this room")
	}
	if len(r.requests) >= maxRequests {
		return nil, fail("resource-constraint", "too many requests wait in this room").WithType("wait")
	}
	var letters []*Message
	for j, g := range r.grants {
		if g.affiliation >= Admin {
			letters = append(letters, talk{r}.approvalForm(q, j, nick))
		}
	}
	return &plan{
		write: func(tx *store.Tx) error {
			_, err := tx.Exec(sqlRequest, r.at.String(), me.String(), nick, rs.Now().UnixMicro())
			return err
		},
		apply: func(r *room) { r.requests[me] = nick },
		after: func() { rs.post(ctx, letters) },
	}, nil
}

// post sends letters of the room itself. That one can't be delivered undoes nothing.
func (rs clerk) post(ctx context.Context, letters []*Message) {
	ctx = context.WithoutCancel(ctx)
	for _, m := range letters {
		if err := rs.Submit(ctx, m); err != nil {
			rs.Log.Debug("room: a letter was not sent", "room", m.room.String(), "to", m.Out.To.String(), "err", err)
		}
	}
}

// roomLetter is a message of the room to an account, caused by somebody.
func (r talk) roomLetter(by, to jid.JID, id string, content *elem.Element) *Message {
	m := &Message{kind: letter, room: r.at, Sender: by, Recipient: to, since: r.since, asked: true,
		Conversation: archive.Pair(r.at, to), Views: []archive.View{{Owner: to.Bare(), Flags: archive.Shown}}}
	m.Out = &stanza.Stanza{Kind: stanza.Message, Type: stanza.Normal, From: r.at, To: to, ID: id}
	m.Out.Add(content)
	return m
}

// approvalForm is XEP-0045 §9.9. The address, which that form lacks, says who it is.
func (r talk) approvalForm(q *im.IQ, admin jid.JID, nick string) *Message {
	x := titled(formRegister, "Registration request", "Whether this person becomes a member of the room "+r.at.String()+".").Add(
		field("jid-single", "muc#jid", "Address", nil, q.From.Bare().String()),
		field("text-single", "muc#register_roomnick", "Desired nickname", nil, nick),
		field("boolean", "muc#register_allow", "Allow this person to register with the room?", nil, "0"))
	return r.roomLetter(q.From, admin, "", x)
}

// approves takes an admin's answer to a registration (XEP-0045 §9.9); it is not
// kept: what it changes is. done is false for other forms.
func (rs clerk) approves(ctx context.Context, s *session.Session, st *stanza.Stanza) (done bool, err error) {
	k, ok := st.Child(form.Space, "x")
	if !ok || st.Type == stanza.Groupchat || st.Type == stanza.Error_ || st.To.IsFull() {
		return false, nil
	}
	x, err := st.Element(k)
	if err != nil {
		return true, fail("bad-request", "the form can't be read")
	}
	f := form.Read(x)
	if f == nil || f.Type != "submit" || f.Kind() != formRegister {
		return false, nil
	}
	text, _ := f.Value("muc#jid")
	who, err := jid.Parse(text)
	if err != nil {
		return true, fail("bad-request", "whose registration is it?")
	}
	who = who.Bare()
	allow, _ := f.Value("muc#register_allow")
	return true, rs.change(ctx, st.To, func(r *room) (*plan, error) {
		if r.state != open {
			return nil, errNoRoom()
		}
		if r.affiliationOf(s.JID().Bare()) < Admin {
			return nil, errForbidden("only admins approve registrations")
		}
		nick, waits := r.requests[who]
		if !waits {
			return nil, fail("item-not-found", "nobody of this address waits; perhaps another admin has answered")
		}
		return rule{r}.settle(ctx, s.JID(), who, nick, allow == "1" || allow == "true")
	})
}

// settle plans the end of a registration that waited: with membership and
// nickname, or without.
func (r rule) settle(ctx context.Context, by, who jid.JID, nick string, allow bool) (*plan, error) {
	p := &plan{apply: func(*room) {}}
	if allow {
		g, ok := r.grants[who]
		if !ok {
			g = grant{affiliation: None}
		}
		if g.affiliation == Outcast {
			return nil, fail("not-allowed", "this person is banned from the room")
		}
		if _, key, err := jid.Nickname(nick); err == nil && door(r).mayBe(key, who) == nil {
			g.nick = nick // somebody else may have it by now: then it is a membership only
		}
		was := g.affiliation
		g.affiliation = max(g.affiliation, Member)
		var err error
		if p, err = r.regrant(map[jid.JID]grant{who: g}, nil, codeAffiliation); err != nil {
			return nil, err
		}
		if was == None {
			p.after = r.calling(ctx, by, []jid.JID{who})
		}
	}
	grants, told := p.write, p.apply
	p.write = func(tx *store.Tx) error {
		if _, err := tx.Exec(sqlUnrequest, r.at.String(), who.String()); err != nil || grants == nil {
			return err
		}
		return grants(tx)
	}
	p.apply = func(r *room) {
		delete(r.requests, who)
		told(r)
	}
	return p, nil
}

// calling is XEP-0045 §9.5: who has been made a member of a members-only room,
// and is not in it, is invited. It counts among the invitations of who did it
// (HARDENING M4). Nil in an open room.
func (r rule) calling(ctx context.Context, by jid.JID, members []jid.JID) func() {
	if !r.cfg.MembersOnly || r.state != open {
		return nil
	}
	var letters []*Message
	for _, who := range members {
		if who.Local() == "" || r.person(who).role != NoRole {
			continue
		}
		in := elem.New(spaceUser, "invite", "from", by.Bare().String())
		if !r.sees(Visitor) {
			in.Set("from", r.at.String())
			if o := r.present(by.Bare()); o != nil {
				in.Set("from", o.at.String())
			}
		}
		x := userX(nil, in)
		if r.cfg.PasswordRequired {
			x.Add(elem.New(spaceUser, "password").SetText(r.cfg.Password))
		}
		letters = append(letters, talk(r).roomLetter(by, who, "", x))
	}
	home := clerk{r.home}
	return func() { home.post(ctx, letters) }
}

// present is an account's occupant, nil if it is not here.
func (r rule) present(bare jid.JID) *occupant {
	for _, o := range r.people {
		if o.bare == bare {
			return o
		}
	}
	return nil
}
