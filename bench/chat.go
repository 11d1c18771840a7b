package bench

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// talk is a chat under way: people in pairs, the first of each writes to the second.
type talk struct {
	tag      string
	pairs    []*pair
	lat, ack Hist
	received atomic.Int64
	sent     atomic.Int64
}

// pair is one sender and one receiver.
type pair struct {
	t    *talk
	from *Client
	to   string // bare address
	mu   sync.Mutex
	sent int // owner: mu
	buf  []byte
	seq  sequence // owner: the receiver's reader
	room chan struct{}
}

func chat(ctx context.Context, b *run) (*Result, error) {
	cs, err := b.open(ctx, b.Sessions/2*2, func(c *Client) error { return c.say("<presence/>", 1) })
	if err != nil {
		return nil, err
	}
	defer cs.close()
	if err := cs.settle(ctx); err != nil {
		return nil, err
	}
	r := &Result{Unit: "message", Asked: b.Rate, Server: b.version(ctx, cs[0])}
	t := b.talk(cs)
	s, err := b.span()
	if err != nil {
		return nil, err
	}
	if b.Rate > 0 {
		err = b.fixed(ctx, t)
	} else {
		err = b.closed(ctx, t)
	}
	if err != nil {
		return nil, err
	}
	if err := b.quiet(ctx, "receive", t.sent.Load(), 10*time.Second, t.received.Load); err != nil {
		return nil, err
	}
	r.Units = t.received.Load()
	if err := s.end(r); err != nil {
		return nil, err
	}
	cs.lost(r)
	cs.close() // the readers' counts are theirs until they end
	t.sum(r)
	if due := b.due(); b.Rate > 0 && t.sent.Load() < due {
		r.Notes = append(r.Notes, "the server did not take the rate: "+strconv.FormatInt(t.sent.Load(), 10)+" of "+strconv.FormatInt(due, 10)+" sent in twice the time")
	}
	return r, nil
}

// talk makes pairs of neighbours.
func (b *run) talk(cs clients) *talk {
	t := &talk{tag: b.tag}
	for i := 0; i+1 < len(cs); i += 2 {
		p := &pair{t: t, from: cs[i], to: b.bare(i + 1), room: make(chan struct{}, max(b.Window, 1))}
		t.pairs = append(t.pairs, p)
		cs[i].mu.Lock()
		cs[i].onAck = func(due time.Time) { t.ack.Add(time.Since(due)) }
		cs[i].mu.Unlock()
		cs[i+1].handle(func(_ *Client, raw *elem.Raw) { p.receive(raw) })
	}
	return t
}

// due is how many messages a fixed rate makes.
func (b *run) due() int64 {
	n := int64(b.Rate) * int64(b.Length) / int64(time.Second)
	if b.Count > 0 {
		n = min(n, int64(b.Count))
	}
	return n
}

// fixed keeps to the schedule: message i is due at start + i/rate, and says so.
// It gives up after twice the time.
func (b *run) fixed(ctx context.Context, t *talk) error {
	total, start := b.due(), time.Now()
	ctx, cancel := context.WithDeadlineCause(ctx, start.Add(2*b.Length+time.Second), errLate)
	defer cancel()
	defer t.hurry(ctx)()
	return late(pace(ctx, 16, total, b.Rate, start, func(i int64, due time.Time) error {
		b.Progress.Tell("send", t.sent.Load(), total)
		return t.pairs[i%int64(len(t.pairs))].send(1, due)
	}))
}

// closed keeps Window messages under way in each pair.
func (b *run) closed(ctx context.Context, t *talk) error {
	ctx, cancel := context.WithDeadlineCause(ctx, time.Now().Add(b.Length), errLate)
	defer cancel()
	defer t.hurry(ctx)()
	all := int64(b.Count)
	var taken atomic.Int64
	return late(b.parallel(ctx, len(t.pairs), len(t.pairs), func(ctx context.Context, i int) error {
		p := t.pairs[i]
		for {
			n, err := p.free(ctx)
			if err != nil {
				return err
			}
			if all > 0 {
				if over := taken.Add(int64(n)) - all; over > 0 {
					n -= int(min(over, int64(n)))
				}
			}
			if n == 0 {
				return nil
			}
			if err := p.send(n, time.Now()); err != nil {
				return err
			}
			if all > 0 {
				b.Progress.Tell("send", t.sent.Load(), all)
			}
		}
	}))
}

// hurry frees, when the time is over, the senders whom a server keeps waiting
// that reads no more.
func (t *talk) hurry(ctx context.Context) (done func() bool) {
	return context.AfterFunc(ctx, func() {
		for _, p := range t.pairs {
			_ = p.from.conn.SetWriteDeadline(time.Now().Add(5 * time.Second)) // a closed connection waits for nobody
		}
	})
}

// free waits until there is room for a message, and takes all there is.
func (p *pair) free(ctx context.Context) (int, error) {
	select {
	case p.room <- struct{}{}:
	case <-p.from.closed:
		return 0, p.from.lost()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	for n := 1; ; n++ {
		select {
		case p.room <- struct{}{}:
		default:
			return n, nil
		}
	}
}

const text = " The quick brown fox jumps over the lazy dog, and the archive keeps it."

// send writes n messages in one go. Every fourth asks for an acknowledgement.
func (p *pair) send(n int, due time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ask := p.buf[:0], false
	for range n {
		b = append(b, "<message to='"...)
		b = append(b, p.to...)
		b = append(b, "' type='chat' id='m"...)
		b = strconv.AppendInt(b, int64(p.sent), 10)
		b = append(b, "'><body>"...)
		b = append(b, p.t.tag...)
		b = strconv.AppendInt(append(b, ' '), int64(p.sent), 10)
		b = strconv.AppendInt(append(b, ' '), due.UnixNano(), 10)
		b = append(b, text...)
		b = append(b, "</body><origin-id xmlns='urn:xmpp:sid:0' id='"...)
		b = append(b, p.t.tag...)
		b = strconv.AppendInt(append(b, '-'), int64(p.from.Index), 10)
		b = strconv.AppendInt(append(b, '-'), int64(p.sent), 10)
		b = append(b, "'/></message>"...)
		ask = ask || p.sent%4 == 3
		p.sent++
	}
	p.buf = b
	p.t.sent.Add(int64(n))
	return p.from.Send(b, n, ask, due)
}

// receive notes one message of this run.
func (p *pair) receive(raw *elem.Raw) {
	if string(raw.Local) != "message" {
		return
	}
	n, due, ok := parseBody(child(raw, "body"), p.t.tag)
	if !ok || !p.seq.take(n) {
		return
	}
	p.t.lat.Add(time.Since(due))
	p.t.received.Add(1)
	select {
	case <-p.room:
	default: // nobody waits at a fixed rate
	}
}

// parseBody reads "tag number due text".
func parseBody(body []byte, tag string) (n int64, due time.Time, ok bool) {
	own, rest, ok1 := bytes.Cut(body, []byte{' '})
	num, rest, ok2 := bytes.Cut(rest, []byte{' '})
	at, _, ok3 := bytes.Cut(rest, []byte{' '})
	if !ok1 || !ok2 || !ok3 || string(own) != tag {
		return 0, due, false
	}
	n, err1 := strconv.ParseInt(string(num), 10, 64)
	ns, err2 := strconv.ParseInt(string(at), 10, 64)
	return n, time.Unix(0, ns), err1 == nil && err2 == nil && n >= 0
}

// sum adds the pairs' counts; the readers have ended.
func (t *talk) sum(r *Result) {
	r.Due, r.Latency, r.Ack = t.sent.Load(), t.lat.Latency(), t.ack.Latency()
	r.Lost = r.Due - r.Units
	for _, p := range t.pairs {
		r.Doubled += p.seq.doubled
		r.Reordered += p.seq.reordered
	}
}
