package deliver

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// waitingPage is how many waiting messages are read at a time; reserve is the
// room left in the session's queue for everything else.
const (
	waitingPage = 100
	reserve     = 64
)

// available takes an available presence: what waits for the session is read
// before it is live (XEP-0160 §3). The catch-up begins before anybody hears of
// the session, so that no answer to its presence can miss it.
func (p *Path) available(ctx context.Context, s *session.Session, st *stanza.Stanza) error {
	var c *catchUp
	if !negative(st) {
		c = p.beginCatchUp(ctx, s)
	}
	_, err := p.cfg.Presence.Update(ctx, s, st)
	if pr := s.Presence(); !pr.Available || pr.Priority < 0 {
		if c != nil {
			s.AbortCatchUp()
		}
		s.Rest()
		return err
	}
	if c == nil {
		// One that was on its way may have ended just before the presence was known.
		c = p.beginCatchUp(ctx, s)
	}
	switch {
	case c == nil:
	case len(c.page) == 0 && c.err == nil:
		s.GoLive(max(c.last, c.known))
	default:
		p.catchUp.Go(func() { c.run(p.ctx) })
	}
	return err
}

// beginCatchUp begins to read what waits; nil if the session is live or somebody
// reads for it already. Mostly nothing waits, and the session is live before its
// presence is answered.
func (p *Path) beginCatchUp(ctx context.Context, s *session.Session) *catchUp {
	upto, ok := p.cfg.Routes.BeginCatchUp(s)
	if !ok {
		return nil
	}
	c := &catchUp{p: p, s: s, own: s.JID().Bare(), upto: upto, has: s.Unconfirmed()}
	c.first(ctx)
	return c
}

// negative says that a presence asks for no messages to the bare address
// (RFC 6121 §8.5.2.1.1). One that is not well formed is refused by its owner.
func negative(st *stanza.Stanza) bool {
	n, err := strconv.ParseInt(strings.TrimSpace(st.Text(stanza.Space, "priority")), 10, 8)
	return err == nil && n < 0
}

// catchUp reads what waits for a session up to a position, oldest first and as
// fast as the client takes it. Then the session is live: what came meanwhile has
// been kept back in the order of the log.
type catchUp struct {
	p     *Path
	s     *session.Session
	own   jid.JID
	upto  session.Pos
	last  session.Pos // read so far
	known session.Pos // the client has read the archive up to here
	page  []archive.Kept
	err   error // why the page could not be read
	// has is what the session had before this began: written down as waiting too,
	// for others, if it is slow to confirm. What it confirms meanwhile is on the page still.
	has map[session.Pos]bool
}

// first reads the first page.
func (c *catchUp) first(ctx context.Context) {
	if c.err = c.p.cfg.Ledger.Sync(ctx, c.own); c.err == nil {
		c.skipRead(ctx)
		c.next(ctx)
	}
}

// skipRead forgets what the client has read from the archive by itself.
func (c *catchUp) skipRead(ctx context.Context) {
	f := c.s.Flags()
	if !f.Archive {
		return
	}
	c.known = f.ArchivePos
	if err := c.p.cfg.Archive.Skip(ctx, c.own, f.ArchiveFrom, f.ArchivePos); err != nil {
		// They stay waiting, and come once more.
		c.p.cfg.Log.Warn("deliver: messages read from the archive still wait", "err", err)
	}
}

func (c *catchUp) next(ctx context.Context) {
	c.page, c.err = c.p.cfg.Archive.Waiting(ctx, c.own, c.last, c.upto, waitingPage)
}

// run goes on from the first page to the end.
func (c *catchUp) run(ctx context.Context) {
	for {
		if c.err != nil {
			c.p.cfg.Log.Error("deliver: what waits for an account can't be read yet", "account", c.own.String(), "err", c.err)
			if !pause(ctx, c.s, time.Second) {
				break
			}
			c.first(ctx)
			continue
		}
		for i := range c.page {
			for !c.has[c.page[i].Pos] && !c.p.replay(ctx, c.s, c.own, &c.page[i]) {
				if c.s.AbortCatchUp() || ctx.Err() != nil {
					return
				}
			}
			c.last = c.page[i].Pos
		}
		if len(c.page) < waitingPage {
			c.s.GoLive(max(c.last, c.known))
			return
		}
		c.next(ctx)
	}
	c.s.AbortCatchUp()
}

// replay pushes one waiting message when the session has room for it. It says
// false when the session is not there for it any more.
func (p *Path) replay(ctx context.Context, s *session.Session, own jid.JID, k *archive.Kept) bool {
	if k.Damaged() {
		p.cfg.Log.Error("deliver: a record can't be read any more and is not sent; see parlance doctor --archive", "account", own.String(), "position", int64(k.Pos))
	}
	f := route.EncodeWaiting(own, k.Pos, k.Stored())
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
