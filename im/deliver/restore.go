package deliver

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Restored is a message that another server, or this one in an earlier life, has
// archived.
type Restored struct {
	Stanza *stanza.Stanza // with "from" and "to"
	At     time.Time
	// Owners have it in their archives; Waiting has not got it yet (zero: nobody waits).
	Owners  []jid.JID
	Waiting jid.JID
	Had     session.Pos // where it stood; zero if that means nothing here
	// Sender is who wrote a message of a room's archive, which is its only owner;
	// zero: it is no room's.
	Sender jid.JID
}

// Restore keeps messages of an import, in order, in one transaction. They are
// not judged: they were delivered long ago, and refusing a piece of history would
// be losing it. Nobody gets them now. What was restored before is not kept twice.
func (p *Path) Restore(_ context.Context, list []Restored) error {
	msgs := make([]*planned, 0, len(list))
	for i := range list {
		r := &list[i]
		st := r.Stanza
		e := &archive.Entry{Conversation: archive.Pair(st.From, st.To), Sender: st.From, Recipient: st.To,
			Stanza: st.AppendTo(make([]byte, 0, st.Size())), At: r.At, Had: r.Had, Waiting: r.Waiting, Dedup: dedup(st)}
		if !r.Sender.IsZero() { // as im/room has them
			e.Sender, e.Recipient, e.Conversation = r.Sender, r.Owners[0], r.Owners[0].String()
		}
		if e.Dedup.IsZero() || !r.Sender.IsZero() {
			e.Dedup = restoring(e)
		}
		for _, who := range r.Owners {
			flags := int64(archive.Shown)
			if who == r.Waiting {
				flags |= archive.Keep
			}
			e.Views = append(e.Views, archive.View{Owner: who, Flags: flags})
		}
		if !r.Waiting.IsZero() && !holds(r.Owners, r.Waiting) {
			e.Views = append(e.Views, archive.View{Owner: r.Waiting, Flags: archive.Keep})
		}
		msgs = append(msgs, &planned{entry: e, mute: true})
	}
	return p.commit(msgs, make(chan error, 1))
}

func holds(list []jid.JID, who jid.JID) bool {
	for _, j := range list {
		if j == who {
			return true
		}
	}
	return false
}

// restoring identifies a message without an origin-id by all there is of it, so
// that an import that broke off can be run once more.
func restoring(e *archive.Entry) (out archive.Sending) {
	whose := sha256.Sum256([]byte(e.Sender.Bare().String()))
	h := sha256.New()
	h.Write([]byte("restored\x00" + e.At.UTC().Format(time.RFC3339Nano) + "\x00"))
	h.Write(e.Stanza)
	n := copy(out[:], whose[:4])
	copy(out[n:], h.Sum(nil))
	return out
}
