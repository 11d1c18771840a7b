package deliver

import (
	"context"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// waitingPage is how many waiting messages are read at a time; reserve is the
// room left in the session's queue for everything else.
const (
	waitingPage = 100
	reserve     = 64
)

// waiting starts to read what waits for a session, if it now takes messages
// (XEP-0160 §3), and lets one that no longer does rest.
func (p *Path) waiting(s *session.Session) {
	if pr := s.Presence(); !pr.Available || pr.Priority < 0 {
		s.Rest()
		return
	}
	if !s.BeginCatchUp() {
		return
	}
	p.catchUp.Go(func() {
		<-p.ready
		for {
			p.catchUpWith(p.ctx, s)
			s.EndCatchUp()
			// It may have gone away and come back while this was ending.
			if p.ctx.Err() != nil || !s.BeginCatchUp() {
				return
			}
		}
	})
}

// catchUpWith reads waiting messages into a session, oldest first, until it has
// seen all that was handed out so far and goes live in the same instant
// (route.Table.GoLive). Nothing overtakes: until then new messages wait too.
func (p *Path) catchUpWith(ctx context.Context, s *session.Session) {
	own := s.JID().Bare()
	last := p.skipRead(ctx, s)
	for {
		seen := p.cfg.Routes.Homeless(s)
		upto := p.cfg.Routes.Fanned()
		err := p.cfg.Ledger.Sync(ctx, own)
		var page []archive.Kept
		if err == nil {
			page, err = p.cfg.Archive.Waiting(ctx, own, last, upto, waitingPage)
		}
		if err != nil {
			p.cfg.Log.Error("deliver: what waits for an account can't be read yet", "account", own.String(), "err", err)
			if !pause(ctx, s, time.Second) {
				return
			}
			continue
		}
		for i := range page {
			if !p.replay(ctx, s, own, &page[i]) {
				return
			}
			last = page[i].Pos
		}
		if len(page) < waitingPage && p.cfg.Routes.GoLive(s, seen) {
			return
		}
	}
}

// skipRead forgets what the client has read from the archive by itself.
func (p *Path) skipRead(ctx context.Context, s *session.Session) session.Pos {
	f := s.Flags()
	if !f.Archive {
		return 0
	}
	if err := p.cfg.Archive.Skip(ctx, s.JID().Bare(), f.ArchivePos); err != nil {
		// They stay waiting: the next session gets them once more.
		p.cfg.Log.Warn("deliver: messages read from the archive still wait", "err", err)
	}
	return f.ArchivePos
}

// replay pushes one waiting message when the session has room for it. It says
// false when the session is not there for it any more.
func (p *Path) replay(ctx context.Context, s *session.Session, own jid.JID, k *archive.Kept) bool {
	more := make([]byte, 0, 192)
	more = append(more, `<delay xmlns="urn:xmpp:delay"`...)
	more = elem.AppendAttr(more, "from", own.Domain())
	more = elem.AppendAttr(more, "stamp", archive.Stamp(k.At))
	more = append(more, '/', '>')
	more = route.AppendStanzaID(more, own, k.Pos)
	f := &session.Frame{Bytes: k.AppendWith(make([]byte, 0, len(k.Stanza)+len(more)), more), NameEnd: len("<message"),
		Kind: stanza.Message, Pos: k.Pos, Offline: true, Urgent: true}
	f.Park()
	space := s.Space()
	for {
		frames, bytes, ended := s.Room()
		if pr := s.Presence(); ended || !pr.Available || pr.Priority < 0 {
			return false
		}
		_, queued := s.Unacked()
		if frames > reserve && bytes > len(f.Bytes) || frames > 0 && queued == 0 && bytes > len(f.Bytes) {
			p.cfg.Routes.Push(s, f)
			return true
		}
		select {
		case <-space:
		case <-ctx.Done():
			return false
		}
	}
}

// pause waits before another try; it says false when there is no point in it.
func pause(ctx context.Context, s *session.Session, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		_, _, ended := s.Room()
		return !ended
	}
}
