package room

import (
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// voice takes a form sent to the room: a request for voice (XEP-0045 §7.13) or a
// moderator's answer to one (§8.6). Neither is kept: it is no more than a button.
func (r talk) voice(t *seat, s *session.Session, st *stanza.Stanza) (*Message, error) {
	if t == nil {
		return nil, errOutside()
	}
	k, _ := st.Child(form.Space, "x")
	x, err := st.Element(k)
	if err != nil {
		return nil, fail("bad-request", "the form can't be read")
	}
	f := form.Read(x)
	if f == nil || f.Kind() != formRequest && f.Type != "cancel" {
		return nil, fail("bad-request", "the room knows the form of a request for voice only")
	}
	if f.Type == "cancel" {
		return nil, nil // XEP-0045 §8.6: a moderator skips a request
	}
	m := r.message(request, s, st)
	m.Conversation, m.Views, m.Out = "", nil, st
	if _, answer := f.Value("muc#request_allow"); !answer {
		if t.o.role != Visitor {
			return nil, fail("not-allowed", "you have a voice") // there is nothing to ask for
		}
		m.to = t.o.key
		return m, nil
	}
	if t.o.role != Moderator {
		return nil, errForbidden("only moderators give voice")
	}
	allow, _ := f.Value("muc#request_allow")
	nick, _ := f.Value("muc#roomnick")
	_, key, err := jid.Nickname(nick)
	o := r.nicks[key]
	if err != nil || o == nil {
		return nil, fail("item-not-found", "nobody in this room has this nickname")
	}
	// The nickname may be somebody else's by the time a moderator answers.
	if asked, ok := f.Value("muc#jid"); ok {
		if real, err := jid.Parse(asked); err != nil || real.Bare() != o.bare {
			return nil, fail("item-not-found", "who asked for voice has this nickname no more")
		}
	}
	m.kind, m.to, m.grant = approval, key, allow == "1" || allow == "true"
	return m, nil
}

// askModerators is the form of XEP-0045 §8.6.
func (r talk) askModerators(m *Message) {
	o := r.nicks[m.to]
	if o == nil || o.role != Visitor {
		return
	}
	x := titled(formRequest, "Request for voice", "Whether this person may speak in the room.").Add(
		field("list-single", "muc#role", "Requested role", nil, Participant.String()),
		field("jid-single", "muc#jid", "Address", nil, o.seats[len(o.seats)-1].s.JID().String()),
		field("text-single", "muc#roomnick", "Nickname", nil, o.nick),
		field("boolean", "muc#request_allow", "Give voice", nil, "0"))
	out := elem.New(stanza.Space, "message", "from", r.at.String()).Add(x)
	f := &session.Frame{Bytes: out.AppendTo(nil, stanza.Space), NameEnd: len("<message"), Kind: stanza.Message, Urgent: true, Addressed: true}
	for _, t := range r.crowd {
		if t.o.role == Moderator {
			r.push(t.s, f)
		}
	}
}

// giveVoice is a moderator's approval (XEP-0045 §8.3).
func (r talk) giveVoice(m *Message) {
	t, o := r.seats[m.origin], r.nicks[m.to]
	if !m.grant || t == nil || t.o.role != Moderator || o == nil || o.role != Visitor {
		return
	}
	o.role = Participant
	r.announce(o, why{})
}
