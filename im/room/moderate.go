package room

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// moderate is XEP-0425 §3: a moderator takes somebody's message back. It is a
// message of the room: kept, then told.
func (rs desk) moderate(ctx context.Context, q *im.IQ) error {
	if q.Payload.Child(spaceRetract, "retract") == nil {
		return fail("bad-request", "a moderated message is retracted")
	}
	reason := q.Payload.ChildText("reason")
	if len(reason) > maxText {
		return fail("not-acceptable", "the reason is too long")
	}
	var m *Message
	err := rs.inRoom(ctx, q, func(r *room) error {
		t := r.seats[q.Session]
		if t == nil || t.o.role != Moderator && !rs.boss {
			return errForbidden("only moderators take back what others wrote")
		}
		pos, ok := talk{r}.position(q.Payload.Attr("id"))
		if !ok {
			return fail("item-not-found", "there is no message of that id in this room")
		}
		m = talk{r}.moderation(q, t.o, reason)
		m.retracts = pos
		return nil
	})
	if err != nil {
		return err
	}
	found, err := rs.Archive.HasRecord(ctx, m.room, m.retracts)
	if err != nil {
		return err
	}
	if !found {
		return fail("item-not-found", "there is no message of that id in this room")
	}
	return rs.Submit(ctx, m)
}

func (r talk) moderation(q *im.IQ, by *occupant, reason string) *Message {
	mod := func() *elem.Element {
		return elem.New(spaceModerate, "moderated", "by", by.at.String()).Add(elem.New(spaceOccupant, "occupant-id", "id", by.id))
	}
	gone := elem.New(spaceRetract, "retract", "id", q.Payload.Attr("id")).Add(mod())
	if reason != "" {
		gone.Add(elem.New(spaceRetract, "reason").SetText(reason))
	}
	st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.Groupchat, From: r.at, ID: q.ID}
	st.Add(gone)
	return &Message{kind: speech, room: r.at, Sender: q.From, Recipient: r.at, since: r.since, Out: st,
		Conversation: r.at.String(), Views: []archive.View{{Owner: r.at, Flags: archive.Shown}},
		by: tomb{moderated: mod(), reason: reason, sender: jid.JID{}}}
}
