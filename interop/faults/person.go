package faults

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/interop/check"
	"github.com/parlance-im/parlance/interop/client"
)

// patience is for answers of a server that is up; a server that was killed
// closes the connection, which ends every wait at once.
const patience = 20 * time.Second

// person is one device that sends without pause, reconnects whenever it is cut
// off, resumes if it can, and sends again what was not acknowledged.
type person struct {
	name, bare string
	opt        client.Options
	rec        *check.Recorder
	others     []string // bare addresses to write to
	prefix     string
	window     int             // messages without an ack
	pick       func(n int) int // seeded choice
	pause      func() time.Duration
	silence    time.Duration // of the server, until it counts as gone; 0: patience

	quiet   atomic.Bool // stop making new messages
	live    atomic.Pointer[client.Client]
	resumed atomic.Int64
	fresh   atomic.Int64

	c        *client.Client
	session  *check.Session
	serial   int
	unacked  []pending
	resume   *client.Resume
	refusals []string // of resumptions, in the server's words
	bindings int
}

type pending struct {
	id, to, body string
	count        uint32 // XEP-0198 number in the present stream, 0 if not sent in it
}

// run lives until ctx ends or everything is acknowledged after quiet was set.
func (p *person) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := p.connect(ctx); err != nil {
			if !wait(ctx, 20*time.Millisecond) {
				return fmt.Errorf("%s: never got back: %w", p.name, err)
			}
			continue
		}
		if p.talk(ctx) {
			return nil
		}
	}
	return fmt.Errorf("%s: %w with %d messages unacknowledged", p.name, ctx.Err(), len(p.unacked))
}

// wait pauses between attempts to reach a process that is down.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connect resumes the last session if there is one, else binds a new one.
func (p *person) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o := p.opt
	o.SM = true
	if p.resume != nil {
		o.Resume = p.resume
		s := p.session
		o.Tap = p.tap(s)
		c, err := client.Login(ctx, o)
		if err == nil {
			p.c = c
			p.resumed.Add(1)
			p.live.Store(c)
			return p.again()
		}
		refusal, refused := err.(*client.ResumeFailed)
		if !refused {
			return err
		}
		p.refusals = append(p.refusals, refusal.Error())
		p.end()
		o.Resume = nil
	}
	p.bindings++
	o.Resource = fmt.Sprintf("%s%d", p.opt.Resource, p.bindings)
	s := p.rec.Bound(fmt.Sprintf("%s/%s", p.bare, o.Resource), p.bare, true)
	o.Tap = p.tap(s)
	c, err := client.Login(ctx, o)
	if err != nil {
		p.rec.Left(s)
		return err
	}
	p.c, p.session = c, s
	p.fresh.Add(1)
	p.live.Store(c)
	if err := p.arrive(); err != nil {
		p.dropped()
		return err
	}
	return p.again()
}

// arrive does what a client does after binding, and learns from which message
// on it must get everything: presence is out and answered for before the
// archive is asked for its newest entry, so whatever is later than that entry
// was archived while this session was there.
func (p *person) arrive() error {
	if _, err := p.c.IQ(patience, "set", "", "<enable xmlns='urn:xmpp:carbons:2'/>"); err != nil {
		return err
	}
	if err := p.c.Send("<presence/>"); err != nil {
		return err
	}
	if err := p.c.Fence(patience); err != nil {
		return err
	}
	newest, err := p.c.Newest(patience)
	if err != nil {
		return err
	}
	after := ""
	if newest != nil {
		after = check.ID(newest.Message.OriginID(), newest.Message.Body())
	}
	p.rec.Joined(p.session, after)
	return nil
}

// tap notes every message the session gets.
func (p *person) tap(s *check.Session) func(*client.Node) bool {
	return func(n *client.Node) bool {
		if n.Name.Local != "message" {
			return n.Name.Local == "presence"
		}
		if n.Kid("urn:xmpp:mam:2", "result") != nil {
			return false
		}
		if n.Get("type") == "error" {
			p.rec.Refused(n.OriginID())
			return true
		}
		m := n
		for _, wrap := range []string{"received", "sent"} {
			if k := n.Kid("urn:xmpp:carbons:2", wrap); k != nil && n.Get("from") == p.bare {
				m = k.Path("forwarded", "message")
			}
		}
		if m.Kid("", "body") != nil {
			p.rec.Received(s, check.ID(m.OriginID(), m.Body()), m.Body())
		}
		return true
	}
}

// again sends what was never acknowledged: what the resumed server counted is
// done, everything else goes out in its old order with its old ids. What was answered with an error is done too, though
// the acknowledgement behind it never came: sent again it would be another attempt, which may be kept.
func (p *person) again() error {
	if p.c.Resumed != nil {
		p.settle()
	}
	p.unacked = slices.DeleteFunc(p.unacked, func(m pending) bool { return p.rec.WasRefused(m.id) })
	for i := range p.unacked {
		if err := p.send(&p.unacked[i]); err != nil {
			p.dropped()
			return err
		}
	}
	return nil
}

func (p *person) send(m *pending) error {
	p.rec.Sent(m.id, p.bare, m.to, p.session.Name, m.body)
	_, sent, _ := p.c.Counters()
	m.count = sent + 1
	return p.c.Send("<message type='chat' to='" + m.to + "' id='" + m.id + "'><body>" + m.body +
		"</body><origin-id xmlns='urn:xmpp:sid:0' id='" + m.id + "'/></message>")
}

// settle drops what the server's acknowledgements cover.
func (p *person) settle() {
	_, _, acked := p.c.Counters()
	for len(p.unacked) > 0 && p.unacked[0].count != 0 && int32(acked-p.unacked[0].count) >= 0 {
		p.rec.Acked(p.unacked[0].id)
		p.unacked = p.unacked[1:]
	}
}

// talk sends until the connection breaks (false) or all is said and acknowledged (true).
func (p *person) talk(ctx context.Context) bool {
	for ctx.Err() == nil {
		p.settle()
		if p.quiet.Load() && len(p.unacked) == 0 {
			return true
		}
		if !p.quiet.Load() && len(p.unacked) < p.window {
			p.serial++
			id := fmt.Sprintf("%s%s-%d", p.prefix, p.name, p.serial)
			m := pending{id: id, to: p.others[p.pick(len(p.others))], body: "words of " + id}
			p.unacked = append(p.unacked, m)
			if err := p.send(&p.unacked[len(p.unacked)-1]); err != nil {
				break
			}
			if p.serial%8 == 0 {
				_ = p.c.Raw("<r xmlns='urn:xmpp:sm:3'/>")
			}
			if d := p.pause(); d > 0 && !wait(ctx, d) {
				break
			}
			if p.alive() {
				continue
			}
			break
		}
		if err := p.c.WaitAcked(cmp.Or(p.silence, patience), p.unacked[0].count); err != nil {
			break
		}
	}
	p.dropped()
	return false
}

// fence comes back once everything that was fanned out before has arrived. A
// session that the server ended meanwhile (its queue was full) is followed by another.
func (p *person) fence(ctx context.Context) (err error) {
	for range 5 {
		if err = p.c.Fence(patience); err == nil {
			return nil
		}
		p.dropped()
		for p.connect(ctx) != nil {
			if !wait(ctx, 20*time.Millisecond) {
				return ctx.Err()
			}
		}
	}
	return err
}

func (p *person) alive() bool {
	return p.c.Await(0, func(in []*client.Node) ([]*client.Node, bool) { return in, false }) == client.ErrTimeout
}

// dropped remembers what a resumption needs. The numbers of what was sent stay:
// they say what the resumed server's h covers.
func (p *person) dropped() {
	p.c.Cut()
	p.settle()
	h, _, _ := p.c.Counters()
	if p.c.SMID != "" {
		p.resume = &client.Resume{ID: p.c.SMID, H: h}
	} else {
		p.end()
	}
}

// end closes the book of a session that can't be taken up again.
func (p *person) end() {
	p.rec.Left(p.session)
	p.resume = nil
	for i := range p.unacked {
		p.unacked[i].count = 0
	}
}
