package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
)

const mamSpace = "urn:xmpp:mam:2"

// depths are where the pages of a walk are told apart: how many pages lie
// between the newest message and these.
var depths = [...]struct {
	name string
	from int64
}{{"pages 1-10", 0}, {"pages 11-100", 10}, {"pages 101-1000", 100}, {"pages 1001-", 1000}}

// archive fills people's archives by chatting, if it is told to, and pages
// backwards through those of a few.
func archive(ctx context.Context, b *run) (*Result, error) {
	var fill *Step
	if b.Fill > 0 {
		var err error
		if fill, err = b.fillArchive(ctx); err != nil {
			return nil, err
		}
	}
	b.dial.Read = 16 << 10
	cs, err := b.open(ctx, min(4, b.Sessions), nil)
	if err != nil {
		return nil, err
	}
	defer cs.close()
	r := &Result{Unit: "page", Server: b.version(ctx, cs[0]), Sessions: len(cs)}
	if fill != nil {
		r.Steps = append(r.Steps, *fill)
	}
	return r, b.walk(ctx, cs, r)
}

// fillArchive is a chat in a closed loop.
func (b *run) fillArchive(ctx context.Context) (*Step, error) {
	cs, err := b.open(ctx, b.Sessions/2*2, func(c *Client) error { return c.say("<presence/>", 1) })
	if err != nil {
		return nil, err
	}
	defer cs.close()
	if err := cs.settle(ctx); err != nil {
		return nil, err
	}
	f := *b
	f.Count, f.Rate = b.Fill, 0
	t := f.talk(cs)
	s, err := b.span()
	if err != nil {
		return nil, err
	}
	if err := f.closed(ctx, t); err != nil {
		return nil, err
	}
	if err := b.quiet(ctx, "fill", t.sent.Load(), 10*time.Second, t.received.Load); err != nil {
		return nil, err
	}
	st, err := s.step("fill (messages)", t.received.Load(), &t.lat)
	if err == nil && st.Units < int64(b.Fill) {
		err = fmt.Errorf("bench: only %d of %d messages for the archive came", st.Units, b.Fill)
	}
	return &st, err
}

// walk reads pages, each client from its newest to its oldest, and from the
// beginning again.
func (b *run) walk(ctx context.Context, cs clients, r *Result) error {
	ctx, cancel := context.WithDeadlineCause(ctx, time.Now().Add(b.Length), errLate)
	defer cancel()
	var all Hist
	var at [len(depths)]Hist
	var pages, messages, taken atomic.Int64
	s, err := b.span()
	if err != nil {
		return err
	}
	err = b.parallel(ctx, len(cs), len(cs), func(ctx context.Context, i int) error {
		p := &pager{c: cs[i], size: b.Page}
		p.c.handle(p.result)
		for taken.Add(1) <= int64(b.Pages) {
			deep := 0
			for d := range depths {
				if p.depth >= depths[d].from {
					deep = d
				}
			}
			began := time.Now()
			n, err := p.page(ctx)
			if err != nil {
				return err
			}
			all.Add(time.Since(began))
			at[deep].Add(time.Since(began))
			messages.Add(int64(n))
			b.Progress.Tell("page", pages.Add(1), int64(b.Pages))
			if p.empty {
				return fmt.Errorf("bench: the archive of %s is empty (--fill makes messages)", cs[i].JID)
			}
		}
		return nil
	})
	if late(err) != nil {
		return err
	}
	r.Units, r.Latency = pages.Load(), all.Latency()
	if err := s.end(r); err != nil {
		return err
	}
	for d := range at {
		if l := at[d].Latency(); l != nil {
			r.Steps = append(r.Steps, Step{Name: depths[d].name, Units: at[d].Count(), Latency: l})
		}
	}
	r.Notes = append(r.Notes, fmt.Sprintf("%.1f messages a page", float64(messages.Load())/float64(max(1, r.Units))))
	return nil
}

// pager walks one archive backwards (XEP-0313 §4.3.2, XEP-0059 §2.4).
type pager struct {
	c      *Client
	size   int
	before string // id the next page ends before; empty: the newest page
	depth  int64
	empty  bool
	got    atomic.Int64
}

// result counts what comes; the reader calls it.
func (p *pager) result(_ *Client, raw *elem.Raw) {
	if string(raw.Local) == "message" && child(raw, "result") != nil {
		p.got.Add(1)
	}
}

// page reads one page and says how many messages it had. The answer comes after
// all of them (XEP-0313 §4.1).
func (p *pager) page(ctx context.Context) (int, error) {
	p.got.Store(0)
	before := "<before/>"
	if p.before != "" {
		before = "<before>" + string(elem.AppendText(nil, p.before)) + "</before>"
	}
	e, err := p.c.Ask(ctx, "set", "", fmt.Sprintf("<query xmlns='%s'><set xmlns='http://jabber.org/protocol/rsm'><max>%d</max>%s</set></query>", mamSpace, p.size, before))
	if err != nil {
		return 0, err
	}
	fin := e.Child(mamSpace, "fin")
	if fin == nil {
		return 0, fmt.Errorf("bench: archive of %s: the server says %s", p.c.JID, e)
	}
	n := int(p.got.Load())
	first := ""
	if set := fin.Child("http://jabber.org/protocol/rsm", "set"); set != nil {
		first = set.ChildText("first")
	}
	p.empty = n == 0 && p.before == ""
	if fin.Attr("complete") == "true" || first == "" {
		p.before, p.depth = "", 0
		return n, nil
	}
	p.before = first
	p.depth++
	return n, nil
}
