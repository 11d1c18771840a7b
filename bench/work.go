package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// OpenAll logs in users from up to workers at a time.
func OpenAll(ctx context.Context, d *Dial, from, to, workers int, each func(i int, c *Client) error) ([]*Client, error) {
	all := make([]*Client, to-from)
	var next atomic.Int64
	next.Store(int64(from))
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= to || ctx.Err() != nil {
					return
				}
				c, err := d.Open(ctx, User(i), "bench")
				if err == nil && each != nil {
					err = each(i, c)
				}
				if err != nil {
					errs <- err
					return
				}
				all[i-from] = c
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return all, err
	default:
		return all, ctx.Err()
	}
}

// CloseAll closes clients, a few at a time.
func CloseAll(cs []*Client) {
	var wg sync.WaitGroup
	gate := make(chan struct{}, 64)
	for _, c := range cs {
		if c == nil {
			continue
		}
		gate <- struct{}{}
		wg.Go(func() { c.Close(); <-gate })
	}
	wg.Wait()
}

// Befriend makes each of n users a mutual contact of the next k, in a ring, by
// pre-approval and subscription (RFC 6121 §3), so that rosters are what clients made them.
func Befriend(ctx context.Context, cs []*Client, k int) error {
	n := len(cs)
	for i, c := range cs {
		var b strings.Builder
		for j := 1; j <= k; j++ {
			for _, o := range []int{(i + j) % n, (i - j + n) % n} {
				to := User(o) + "@" + Domain
				fmt.Fprintf(&b, "<presence to='%s' type='subscribed'/><presence to='%s' type='subscribe'/>", to, to)
			}
		}
		if err := c.Send(b.String(), 4*k, false); err != nil {
			return err
		}
		if i%16 == 15 || i == n-1 {
			if err := c.Settle(ctx); err != nil {
				return err
			}
		}
	}
	for _, c := range cs {
		if err := c.Settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Rate is the result of a fixed-rate chat.
type Rate struct {
	Sent, Received           int
	Lost, Doubled, Reordered int
	P50, P90, P99, P999, Max time.Duration // due → received
	CPU                      time.Duration // the server's, per message
	PerSecond                float64
	Length                   time.Duration
}

// pair is one sender and one receiver.
type pair struct {
	from, to *Client
	sent     int
	next     int // sequence number the receiver waits for; owner: its reader
	seen     map[int]bool
	lat      []time.Duration
	doubled  int
	reorder  int
	mu       sync.Mutex // sent
}

// Chat sends rate messages a second over the clients taken in pairs for a time,
// and measures from when each was due.
func Chat(ctx context.Context, pid int, cs []*Client, rate int, length time.Duration) (Rate, error) {
	pairs := make([]*pair, len(cs)/2)
	for i := range pairs {
		pairs[i] = &pair{from: cs[2*i], to: cs[2*i+1], seen: map[int]bool{}}
	}
	var r Rate
	var received atomic.Int64
	for _, c := range cs {
		c.onIn = nil
	}
	for _, p := range pairs {
		p.to.onIn = func(_ *Client, raw *elem.Raw) {
			if p.receive(raw) {
				received.Add(1)
			}
		}
	}
	cpu0, err := CPU(pid)
	if err != nil {
		return r, err
	}
	start := time.Now()
	if r.Sent, err = sendAll(ctx, pairs, rate, start, length); err != nil {
		return r, err
	}
	r.Length = time.Since(start)
	// What is still under way has ten seconds.
	for end := time.Now().Add(10 * time.Second); int(received.Load()) < r.Sent && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	cpu1, err := CPU(pid)
	if err != nil {
		return r, err
	}
	r.sum(pairs, cpu1-cpu0)
	return r, nil
}

// sendAll keeps to the schedule: message i is due at start + i/rate, and says so.
func sendAll(ctx context.Context, pairs []*pair, rate int, start time.Time, length time.Duration) (int, error) {
	total := int(int64(rate) * int64(length) / int64(time.Second))
	const senders = 16
	var wg sync.WaitGroup
	errs := make(chan error, senders)
	for s := range senders {
		wg.Go(func() {
			for i := s; i < total && ctx.Err() == nil; i += senders {
				due := start.Add(time.Duration(int64(i) * int64(time.Second) / int64(rate)))
				if d := time.Until(due); d > 0 {
					time.Sleep(d)
				}
				p := pairs[i%len(pairs)]
				if err := p.send(due.UnixNano()); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
		return total, nil
	}
}

func (p *pair) send(due int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.sent
	p.sent++
	return p.from.Send(fmt.Sprintf("<message to='%s@%s' type='chat' id='m%d'><body>%d %d The quick brown fox jumps over the lazy dog, and the archive keeps it.</body><origin-id xmlns='urn:xmpp:sid:0' id='%s-%d-%d'/></message>",
		p.to.User, Domain, n, n, due, p.from.User, due, n), 1, n%4 == 3)
}

// receive notes one message; false if it is none of the workload.
func (p *pair) receive(raw *elem.Raw) bool {
	if string(raw.Local) != "message" {
		return false
	}
	for i := range raw.Kids {
		if string(raw.Kids[i].Local) != "body" {
			continue
		}
		f := bytes.SplitN(raw.Buf[raw.Kids[i].Inner.Start:raw.Kids[i].Inner.End], []byte(" "), 3)
		n, err1 := strconv.Atoi(string(f[0]))
		due, err2 := strconv.ParseInt(string(f[1]), 10, 64)
		if err1 != nil || err2 != nil {
			return false
		}
		switch {
		case p.seen[n]:
			p.doubled++
			return false
		case n != p.next:
			p.reorder++
		}
		p.seen[n], p.next = true, n+1
		p.lat = append(p.lat, time.Duration(time.Now().UnixNano()-due))
		return true
	}
	return false
}

func (r *Rate) sum(pairs []*pair, cpu time.Duration) {
	var all []time.Duration
	for _, p := range pairs {
		all = append(all, p.lat...)
		r.Doubled += p.doubled
		r.Reordered += p.reorder
	}
	r.Received = len(all)
	r.Lost = r.Sent - r.Received
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[min(len(all)-1, int(q*float64(len(all))))] }
	r.P50, r.P90, r.P99, r.P999, r.Max = at(.5), at(.9), at(.99), at(.999), all[len(all)-1]
	r.CPU = cpu / time.Duration(r.Received)
	r.PerSecond = float64(r.Received) / r.Length.Seconds()
}
