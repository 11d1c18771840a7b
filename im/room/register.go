package room

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// registerGet is XEP-0045 §7.10.
func (rs desk) registerGet(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	out := elem.New(spaceRegister, "query")
	return out, rs.inRoom(ctx, q, func(r *room) error {
		g := matching(r.grants, q.From.Bare())
		if g.nick != "" {
			out.Add(elem.New(spaceRegister, "registered"), elem.New(spaceRegister, "username").SetText(g.nick))
			return nil
		}
		if err := (rule{r}).mayRegister(g); err != nil {
			return err
		}
		roomnick := field("text-single", "muc#register_roomnick", "Nickname", nil)
		roomnick.Add(elem.New(form.Space, "required"))
		out.Add(elem.New(spaceRegister, "instructions").SetText("Choose the nickname that is to be yours in this room."),
			titled(formRegister, "Registration with "+r.at.Local(), "").Add(roomnick))
		return nil
	})
}

// mayRegister says who may: members anywhere; others in an open room, or where an
// admin is asked (XEP-0045 §7.10).
func (r rule) mayRegister(g grant) error {
	switch {
	case g.affiliation >= Member:
		return nil
	case g.affiliation == Outcast, r.cfg.Registration == registerNobody, r.cfg.MembersOnly && r.cfg.Registration != registerApprove:
		return fail("not-allowed", "only an admin of this room makes members")
	}
	return nil
}

// registerSet makes somebody a member with a nickname of his own, or takes both
// away again (XEP-0077 §3.2).
func (rs desk) registerSet(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	me := q.From.Bare()
	nick, remove, err := readRegistration(q.Payload)
	if err != nil {
		return nil, err
	}
	return nil, rs.changing(ctx, q, func(r *room) (*plan, error) {
		g, ok := r.grants[me]
		if !ok {
			g = grant{affiliation: None}
		}
		if err := (rule{r}).mayRegister(matching(r.grants, me)); err != nil {
			return nil, err
		}
		if remove {
			g.nick = ""
			if g.affiliation == Member {
				g.affiliation = None
			}
			if _, waits := r.requests[me]; waits {
				return rule{r}.settle(ctx, q.From, me, "", false)
			}
			return rule{r}.regrant(map[jid.JID]grant{me: g}, nil, codeAffiliation)
		}
		_, key, err := jid.Nickname(nick)
		if err != nil {
			return nil, fail("not-acceptable", "this is not a nickname")
		}
		if err := (door{r}).mayBe(key, me); err != nil {
			return nil, err
		}
		if g.affiliation == None && r.cfg.Registration == registerApprove {
			return clerk{rs.Rooms}.ask(ctx, r, q, nick)
		}
		g.nick = nick
		if g.affiliation == None {
			g.affiliation = Member
		}
		return rule{r}.regrant(map[jid.JID]grant{me: g}, nil, codeAffiliation)
	})
}

func readRegistration(q *elem.Element) (nick string, remove bool, err error) {
	if q.Child("", "remove") != nil {
		return "", true, nil
	}
	f := form.Read(q.Child(form.Space, "x"))
	if f == nil || f.Type != "submit" || f.Kind() != formRegister {
		return "", false, fail("bad-request", "a registration is a submitted form") // XEP-0045 §7.10
	}
	nick, ok := f.Value("muc#register_roomnick")
	if !ok || nick == "" {
		return "", false, fail("bad-request", "which nickname?")
	}
	if nick, _, err = jid.Nickname(nick); err != nil {
		return "", false, fail("not-acceptable", "this is not a nickname")
	}
	return nick, false, nil
}
