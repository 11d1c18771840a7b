package deliver

import (
	"context"
	"errors"
	"iter"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// announceMax is how many of the server's own messages share a transaction: few
// enough that what people write meanwhile does not wait for long.
const announceMax = 256

// Announce takes messages the server itself says to its people through judge,
// plan, commit and fanout, like anybody's: many of them in a transaction, and
// nothing is delivered that is not archived. It returns how many were kept. Who
// is not there, or has blocked the server, is left out. A message with an
// origin-id that was kept before is not sent again (XEP-0359 §2.2), so an
// announcement that broke off can be given once more.
func (p *Path) Announce(ctx context.Context, msgs iter.Seq[*stanza.Stanza]) (sent int, err error) {
	done := make(chan error, 1)
	var group []*planned
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		err := p.commit(group, done)
		if err == nil {
			sent += len(group)
		}
		group = nil
		return err
	}
	for st := range msgs {
		pl, err := p.own(ctx, st)
		if err != nil {
			return sent, errors.Join(err, flush())
		}
		if pl == nil {
			continue
		}
		if group = append(group, pl); len(group) == announceMax {
			if err := flush(); err != nil {
				return sent, err
			}
		}
	}
	return sent, flush()
}

// own judges and plans a message of the server's; nil if it goes to nobody.
func (p *Path) own(ctx context.Context, st *stanza.Stanza) (*planned, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j, refusal := p.judge(ctx, st)
	if j == nil || refusal != nil {
		return nil, nil
	}
	exists, err := p.exists(ctx, j.st)
	if err != nil {
		return nil, err
	}
	pl, refusal := plan(j, nil, p.snapshot(j.st, exists))
	p.countPlan(j.st, pl, refusal)
	if refusal != nil || pl == nil || pl.entry == nil {
		return nil, nil
	}
	pl.entry.Stanza = j.st.AppendTo(make([]byte, 0, j.st.Size()))
	// The server has no archive of its own to look into.
	views := pl.entry.Views[:0]
	for _, v := range pl.entry.Views {
		if v.Owner != j.st.From.Bare() {
			views = append(views, v)
		}
	}
	pl.entry.Views = views
	return pl, nil
}

// Evict ends the session of a full address, or all of an account's; they can't
// be resumed. It returns how many there were.
func (l *lifecycle) Evict(ctx context.Context, who jid.JID, reason string) (ended int) {
	for _, s := range l.cfg.Routes.Sessions(who.Bare()) {
		if who.IsFull() && s.JID() != who {
			continue
		}
		// RFC 6120 §4.9.3.14: the administrator has decided so.
		s.Kick(&stream.Error{Condition: "policy-violation", Text: reason})
		l.finish(ctx, s)
		ended++
	}
	return ended
}
