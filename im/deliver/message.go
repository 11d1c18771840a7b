package deliver

import (
	"context"
	"errors"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// Inlet is where one connection's stanzas enter the path. It belongs to the
// goroutine that reads the connection.
type Inlet struct {
	p    *Path
	s    *session.Session
	lang string // of the connection's stream
	msgs []*planned
	from []*stanza.Stanza // of msgs, for error replies
	size int
	n    int // messages not counted as handled yet, refused ones included
	done chan error
	over error // nobody can tell what became of msgs: nothing goes through any more
}

// flushCount and flushBytes bound what an inlet collects before it commits.
const (
	flushCount = 64
	flushBytes = 256 << 10
)

// Open makes the inlet of a session's connection.
func (p *Path) Open(s *session.Session) *Inlet {
	return &Inlet{p: p, s: s, lang: s.Language(), done: make(chan error, 1)}
}

// Stanza takes one complete element through the path. Messages are collected
// until Flush; anything else waits for their commit first. The error is a
// *stream.Error; the edge ends the stream with it.
func (in *Inlet) Stanza(ctx context.Context, raw *elem.Raw) error {
	if in.over != nil {
		return in.over
	}
	st, err := accept(raw, in.s.JID(), in.lang)
	var streamErr *stream.Error
	if errors.As(err, &streamErr) {
		return err
	}
	in.p.countAccept(st, err)
	if st.Kind == stanza.Message {
		in.n++
		if err == nil && in.p.cfg.Aside != nil {
			var rest *stanza.Stanza
			if rest, err = in.p.cfg.Aside(ctx, in.s, st); err == nil {
				if st = rest; st == nil {
					return nil // it was for the sender's account, all of it
				}
			}
		}
		if err != nil {
			in.p.reply(in.s, st, in.p.asError(err, st))
			return nil
		}
		return in.message(ctx, st, private(raw))
	}
	if err := in.Flush(ctx); err != nil {
		return err
	}
	if err == nil {
		err = in.other(ctx, st)
	}
	if err != nil {
		in.p.reply(in.s, st, in.p.asError(err, st))
	}
	in.s.CountIn(1)
	return nil
}

// message judges and plans a message and keeps it for the next commit.
func (in *Inlet) message(ctx context.Context, st *stanza.Stanza, private bool) error {
	j, refusal := in.p.judge(ctx, st)
	if refusal != nil {
		return in.refuse(ctx, st, refusal)
	}
	if j == nil {
		return nil
	}
	j.private = private
	if in.p.cfg.Rooms.Serves(j.st.To) {
		return in.roomMessage(ctx, j, st)
	}
	exists, err := in.p.exists(ctx, j.st)
	if err != nil {
		return in.refuse(ctx, st, in.p.asError(err, st))
	}
	pl, refusal := plan(j, in.s, in.p.snapshot(j.st, exists))
	in.p.countPlan(j.st, pl, refusal)
	if refusal != nil {
		return in.refuse(ctx, st, refusal)
	}
	if pl == nil {
		return nil
	}
	if pl.entry != nil {
		pl.entry.Stanza = j.st.AppendTo(make([]byte, 0, j.st.Size()))
		pl.out.AsKept = pl.out.Stanza == j.st
	}
	return in.take(ctx, pl, st)
}

// take keeps a planned message for the next commit.
func (in *Inlet) take(ctx context.Context, pl *planned, st *stanza.Stanza) error {
	if pl.entry != nil {
		in.size += len(pl.entry.Stanza)
	}
	in.msgs = append(in.msgs, pl)
	in.from = append(in.from, st)
	return in.flushIfMuch(ctx)
}

// takeAll keeps what one message leads to, for one transaction.
func (in *Inlet) takeAll(ctx context.Context, pls []*planned, st *stanza.Stanza) error {
	for _, pl := range pls {
		if pl.entry != nil {
			in.size += len(pl.entry.Stanza)
		}
		in.msgs = append(in.msgs, pl)
		in.from = append(in.from, st)
	}
	return in.flushIfMuch(ctx)
}

func (in *Inlet) flushIfMuch(ctx context.Context) error {
	if len(in.msgs) >= flushCount || in.size >= flushBytes {
		return in.Flush(ctx)
	}
	return nil
}

// refuse answers a message that was neither judged nor planned because something failed, or that was judged
// and may not pass. What failed says nothing of a message that may have been kept when it was sent before: then
// the stream ends, and its sender asks again (HARDENING F6).
func (in *Inlet) refuse(ctx context.Context, st *stanza.Stanza, refusal *stanza.Error) error {
	if refusal.Condition == "internal-server-error" && in.p.cfg.Archive.MayHave(dedup(st)) {
		err := in.Flush(ctx) // what came before it has its outcome
		if err == nil {
			err = errUnsure()
		}
		in.over = err
		return err
	}
	if kept, err := in.before(ctx, dedup(st)); in.over != nil {
		return in.over
	} else if kept && err == nil {
		return nil // everybody has it from when it was sent before: no refusal is true any more
	}
	in.p.reply(in.s, st, refusal)
	return nil
}

// Flush commits what was collected. After it the session's count of handled
// stanzas covers everything given so far (XEP-0198 §4): each message is on
// disk, or its sender has an error.
func (in *Inlet) Flush(context.Context) error {
	if in.n == 0 || in.over != nil {
		return in.over
	}
	if err := in.commitTaken(); err != nil {
		return err
	}
	in.s.CountIn(in.n)
	in.n = 0
	return nil
}

// commitTaken commits what was collected and does not count it yet. An error ends the stream.
func (in *Inlet) commitTaken() error {
	if len(in.msgs) == 0 {
		return nil
	}
	err := in.p.commit(in.msgs, in.done)
	var streamErr *stream.Error
	if errors.As(err, &streamErr) {
		// Not once more when the edge settles the connection: without an
		// origin-id they would be kept twice.
		in.msgs, in.from, in.over = nil, nil, err
		return err
	}
	if err != nil {
		for i, st := range in.from {
			if i == 0 || in.from[i-1] != st { // one message may lead to several
				in.p.reply(in.s, st, in.p.asError(err, st))
			}
		}
	}
	in.msgs, in.from, in.size = nil, nil, 0
	return nil
}

func (p *Path) exists(ctx context.Context, st *stanza.Stanza) (bool, error) {
	if !p.cfg.Local(st.To.Domain()) || st.To.IsDomain() {
		return false, nil
	}
	if p.cfg.Routes.Sessions(st.To.Bare()) != nil {
		return true, nil
	}
	return p.cfg.Accounts.Exists(ctx, st.To.Bare())
}
