package route

import (
	"bytes"
	"context"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Record reads what the archive holds at positions: one stanza for each, in that
// order. One whose content is gone is an empty message.
type Record interface {
	Stanzas(ctx context.Context, at []session.Pos) ([]Stored, error)
}

// Stored is a message as the archive has it.
type Stored struct {
	At     time.Time
	Stanza []byte // as it was sent on: <message …>…</message>
}

// nameEnd is the offset behind "<message".
const nameEnd = len("<message")

// Again meets session.Record: the same frames as were made of the messages when
// they were handed out (XEP-0198 §5: sent again as they were).
func (t *Table) Again(ctx context.Context, to jid.JID, refs []session.Ref) ([]*session.Frame, error) {
	at := make([]session.Pos, len(refs))
	for i, r := range refs {
		at[i] = r.Pos
	}
	stored, err := t.cfg.Record.Stanzas(ctx, at)
	if err != nil {
		return nil, err
	}
	if len(stored) != len(refs) {
		return nil, session.ErrGap
	}
	out := make([]*session.Frame, len(refs))
	for i, r := range refs {
		out[i] = again(to, r, stored[i])
	}
	return out, nil
}

func again(to jid.JID, r session.Ref, kept Stored) *session.Frame {
	own := to.Bare()
	id := func(dst []byte) []byte {
		if r.Form&session.WithID == 0 {
			return dst
		}
		return AppendStanzaID(dst, own, r.Pos)
	}
	var typ stanza.Type = stanza.Normal
	if r.Form&session.Chat != 0 {
		typ = stanza.Chat
	}
	f := &session.Frame{NameEnd: nameEnd, Kind: stanza.Message, Pos: r.Pos, Form: r.Form, Urgent: true}
	room := make([]byte, 0, len(kept.Stanza)+96)
	switch r.Form.Kind() {
	case session.Delayed:
		return EncodeWaiting(own, r.Pos, kept)
	case session.Received:
		f.Bytes, _ = appendCarbon(room, "received", own, to, typ, wrapped(kept.Stanza, id))
	case session.Sent:
		f.Bytes, _ = appendCarbon(room, "sent", own, to, typ, wrapped(kept.Stanza, id))
	case session.Common:
		f.Addressed = true
		f.Bytes = appendInto(room, kept.Stanza, func(dst []byte) []byte {
			if at := sender(kept.Stanza).Bare(); r.Form&session.WithID != 0 && !at.IsZero() {
				return AppendStanzaID(dst, at, r.Pos) // the room's archive
			}
			return dst
		})
	default:
		f.Bytes = appendInto(room, kept.Stanza, id)
	}
	return f
}

// sender is whom a stored message of a room is from, as stanza.AppendStart writes it;
// zero if it is not there, as when the content was erased.
func sender(msg []byte) jid.JID {
	rest, ok := bytes.CutPrefix(msg[nameEnd:], []byte(" from='"))
	end := bytes.IndexAny(rest, "/'") // RFC 7622 §3.3.1: neither is in an address before its resource
	if !ok || end < 0 {
		return jid.JID{}
	}
	at, err := jid.Parse(string(rest[:end]))
	if err != nil {
		return jid.JID{}
	}
	return at
}

// EncodeWaiting makes the frame of a message that has waited for a session
// (XEP-0160 §3), with the time it came (XEP-0203 §2) and its id (XEP-0359 §3).
func EncodeWaiting(own jid.JID, pos session.Pos, kept Stored) *session.Frame {
	b := appendInto(make([]byte, 0, len(kept.Stanza)+192), kept.Stanza, func(dst []byte) []byte {
		dst = append(dst, `<delay xmlns="urn:xmpp:delay"`...)
		dst = elem.AppendAttr(dst, "from", own.Domain())
		dst = elem.AppendAttr(dst, "stamp", stanza.Stamp(kept.At))
		return AppendStanzaID(append(dst, '/', '>'), own, pos)
	})
	return &session.Frame{Bytes: b, NameEnd: nameEnd, Kind: stanza.Message, Pos: pos, Form: session.Delayed, Offline: true, Urgent: true}
}

// appendInto writes a stored message, and what more adds before its end tag.
func appendInto(dst, msg []byte, more func([]byte) []byte) []byte {
	end := len(msg) - len("</message>")
	return append(more(append(dst, msg[:end]...)), msg[end:]...)
}

// wrapped writes a stored message inside another namespace (XEP-0297 §3).
func wrapped(msg []byte, more func([]byte) []byte) func([]byte) []byte {
	return func(dst []byte) []byte {
		dst = append(dst, msg[:nameEnd]...)
		dst = append(dst, ` xmlns="jabber:client"`...)
		end := len(msg) - len("</message>")
		return append(more(append(dst, msg[nameEnd:end]...)), msg[end:]...)
	}
}
