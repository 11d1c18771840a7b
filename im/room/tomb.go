package room

import (
	"errors"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// tomb is what a tombstone says of who took a message back.
type tomb struct {
	id        string // of the retraction's message
	sender    jid.JID
	moderated *elem.Element // XEP-0425 §4; nil: the author did it
	reason    string
}

// bury puts a tombstone into the room's archive in place of a message (XEP-0424
// §4). The record stays as it is (HARDENING I7). It says false if there is no
// such message, or if it is not the author's to take back.
func bury(tx *store.Tx, m *Message, at time.Time) (bool, error) {
	k, err := archive.FindRecord(tx, m.room, m.retracts)
	if errors.Is(err, archive.ErrNotFound) || err == nil && m.by.moderated == nil && k.Sender.Bare() != m.by.sender {
		return false, nil // HARDENING I6
	}
	if err != nil {
		return false, err
	}
	e, err := elem.ParseIn(k.Stanza, stanza.Space, nil)
	if err != nil {
		return false, nil // damaged: nothing to hide
	}
	return true, archive.Bury(tx, m.room, m.retracts, m.by.stone(e, at))
}

// stone is the message without what it said.
func (b *tomb) stone(e *elem.Element, at time.Time) []byte {
	out := &elem.Element{Name: e.Name, Attrs: e.Attrs}
	if id := e.Child(spaceOccupant, "occupant-id"); id != nil {
		out.Add(id)
	}
	gone := elem.New(spaceRetract, "retracted", "stamp", stamp(at))
	if b.id != "" {
		gone.Set("id", b.id)
	}
	if b.moderated != nil {
		gone.Add(b.moderated)
	}
	if b.reason != "" {
		gone.Add(elem.New(spaceRetract, "reason").SetText(b.reason))
	}
	return out.Add(gone).AppendTo(nil, stanza.Space)
}

// position reads an archive id of this room.
func (r talk) position(id string) (session.Pos, bool) {
	pos, ok := session.ParsePos(id)
	return pos, ok && pos > r.since
}
