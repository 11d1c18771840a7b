package room

import (
	"context"
	"strconv"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// past is the newest of what was said, ready to be sent to who enters (XEP-0045
// §7.2.13). It is read from the archive with the room and follows the fanout
// from there, so that nothing is missing or doubled between history and live.
type past struct {
	upto    session.Pos // what was handed out before the room was read
	moments []moment    // oldest first
}

// moment is one message of the past.
type moment struct {
	pos   session.Pos
	at    time.Time
	frame *session.Frame
}

// fill puts what was read before what was handed out meanwhile.
func (p *past) fill(read []moment) { p.moments = append(read, p.moments...) }

// add keeps a message, and no more than most. It says false for one that was
// handed out before the room was read: that is among what was read.
func (p *past) add(m moment, most int) bool {
	if m.pos <= p.upto {
		return false
	}
	p.moments = append(p.moments, m)
	if extra := len(p.moments) - most; extra > 0 {
		p.moments = append(p.moments[:0:0], p.moments[extra:]...)
	}
	return true
}

// remove takes a retracted message out (XEP-0424 §5).
func (p *past) remove(pos session.Pos) {
	for i := range p.moments {
		if p.moments[i].pos == pos {
			p.moments = append(p.moments[:i:i], p.moments[i+1:]...)
			return
		}
	}
}

// newMoment makes the frame of a message of the past: with the time it was sent
// (XEP-0045 §7.2.13: "from" is the room) and its id in the archive. dated says that
// it has a time already (§7.9).
func newMoment(room jid.JID, k *archive.Kept, dated bool) moment {
	more := make([]byte, 0, 192)
	if !dated {
		more = append(more, `<delay xmlns="urn:xmpp:delay"`...)
		more = elem.AppendAttr(more, "from", room.String())
		more = elem.AppendAttr(more, "stamp", archive.Stamp(k.At))
		more = append(more, '/', '>')
	}
	more = route.AppendStanzaID(more, room, k.Pos)
	return moment{pos: k.Pos, at: k.At, frame: &session.Frame{Bytes: k.AppendWith(make([]byte, 0, len(k.Stanza)+len(more)), more),
		NameEnd: len("<message"), Kind: stanza.Message, Urgent: true, Addressed: true}}
}

// readPast reads the newest of a room's archive. Subjects are not part of it (XEP-0045 §7.2.13).
func readPast(ctx context.Context, rs *Rooms, room jid.JID, st *stored) ([]moment, error) {
	if rs.live.Load().History == 0 {
		return nil, nil
	}
	// More than is shown: subjects and what was taken back are among it.
	p, err := rs.Archive.ReadRoom(ctx, archive.Query{Owner: room, Floor: st.since, Backwards: true, Max: 2*rs.live.Load().History + 20})
	if err != nil {
		return nil, err
	}
	var out []moment
	for i := range p.Messages {
		k := &p.Messages[i]
		if k.Retracted || k.Damaged() {
			continue
		}
		e, err := elem.ParseIn(k.Stanza, stanza.Space, nil)
		if err != nil || onlySubject(e) {
			continue
		}
		out = append(out, newMoment(room, &k.Kept, matching(st.grants, k.Sender.Bare()).affiliation == Owner && e.Child("urn:xmpp:delay", "delay") != nil))
	}
	return out[max(0, len(out)-rs.live.Load().History):], nil
}

func onlySubject(e *elem.Element) bool {
	return e.Child("", "subject") != nil && e.Child("", "body") == nil && e.Child("", "thread") == nil
}

// wish is what somebody who enters wants to see of the past (XEP-0045 §7.2.14);
// -1 for what he does not say.
type wish struct {
	chars, stanzas int
	since          time.Time
}

func readWish(x *elem.Element, now time.Time) wish {
	w := wish{chars: -1, stanzas: -1}
	h := x.Child(spaceMUC, "history")
	if h == nil {
		return w
	}
	read := func(name string) int {
		n, err := strconv.Atoi(h.Attr(name))
		if err != nil || n < 0 {
			return -1
		}
		return n
	}
	w.chars, w.stanzas = read("maxchars"), read("maxstanzas")
	if s := read("seconds"); s >= 0 {
		w.since = now.Add(-time.Duration(min(s, 1<<31)) * time.Second)
	}
	if t, err := time.Parse(time.RFC3339Nano, h.Attr("since")); err == nil && t.After(w.since) {
		w.since = t
	}
	return w
}

// pick is the smallest part of the past that meets all wishes, the newest of it.
func (p *past) pick(w wish, most int) []moment {
	if w.stanzas >= 0 {
		most = min(most, w.stanzas)
	}
	from, chars := len(p.moments), 0
	for from > 0 && len(p.moments)-from < most {
		m := &p.moments[from-1]
		if !w.since.IsZero() && m.at.Before(w.since) {
			break
		}
		if chars += len(m.frame.Bytes); w.chars >= 0 && chars > w.chars {
			break
		}
		from--
	}
	return p.moments[from:]
}
