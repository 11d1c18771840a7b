package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// crowd is many clients, each at an address of its own.
type crowd struct {
	opts  []client.Options
	conns []*client.Client // by index; nil: not there
}

func newCrowd(s *server.Server, n int) *crowd {
	c := &crowd{conns: make([]*client.Client, n)}
	for i := range n {
		o := s.Options(server.Name(i), "crowd")
		o.SM, o.Source = true, fmt.Sprintf("127.%d.%d.%d", 10+i/62500, 1+i/250%250, 1+i%250)
		c.opts = append(c.opts, o)
	}
	return c
}

// come has everybody log in, at most so many at a time, and says how many sessions
// were taken up again, and who could not come back.
func (c *crowd) come(ctx context.Context, atOnce int) (resumed int64, err error) {
	var all sync.WaitGroup
	var again atomic.Int64
	var first atomic.Pointer[error]
	turn := make(chan struct{}, atOnce)
	for i := range c.opts {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			o := c.opts[i]
			if old := c.conns[i]; old != nil {
				h, _, _ := old.Counters()
				o.Resume = &client.Resume{ID: old.SMID, H: h}
			}
			for {
				k, err := client.Login(ctx, o)
				if err == nil {
					if k.Resumed != nil {
						again.Add(1)
					} else {
						err = k.Send("<presence/>")
					}
					c.conns[i] = k
				} else if _, refused := err.(*client.ResumeFailed); refused {
					o.Resume = nil
					continue
				} else if wait(ctx, time.Second) {
					continue // refused for the moment: no worse than a client without jitter
				}
				if err != nil {
					first.CompareAndSwap(nil, &err)
				}
				return
			}
		})
	}
	all.Wait()
	if e := first.Load(); e != nil {
		err = *e
	}
	return again.Load(), err
}

// vanish cuts every connection at once.
func (c *crowd) vanish() {
	var all sync.WaitGroup
	for _, k := range c.conns {
		if k != nil {
			all.Go(k.Cut)
		}
	}
	all.Wait()
}

// peak samples a process's memory until stop is called.
func peak(t *testing.T, pid int) (stop func() int64) {
	ctx, cancel := context.WithCancel(context.Background())
	most := make(chan int64)
	go func() {
		var m int64
		for {
			m = max(m, memory(t, pid))
			if !wait(ctx, 50*time.Millisecond) {
				most <- m
				return
			}
		}
	}()
	return func() int64 { cancel(); return <-most }
}

// HARDENING F13: everybody is cut off at once and comes back at once, with full TLS
// handshakes and no jitter, while others talk.
func TestStorm_reconnect(t *testing.T) {
	n := *clients
	r := note(t, "F13", fmt.Sprintf("%d clients cut off at once, back at once with full handshakes, under load", n))
	s := crowded(t, n)
	c := newCrowd(s, n)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	if _, err := c.come(ctx, 32); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.vanish)
	l := newLoad(s, rand.New(rand.NewPCG(lot(t), 9)), 20*time.Millisecond)
	before := l.views(t, s)
	l.start(ctx)
	wait(ctx, 2*time.Second)
	steady := memory(t, s.Pid)
	most := peak(t, s.Pid)
	c.vanish()
	for _, p := range l.people {
		if k := p.live.Load(); k != nil {
			k.Cut()
		}
	}
	began := time.Now()
	resumed, err := c.come(ctx, n)
	took := time.Since(began)
	top := most()
	if err != nil {
		t.Errorf("not everybody came back: %v", err)
	}
	for i, k := range c.conns {
		if err := k.Fence(10 * patience); err != nil {
			t.Errorf("%s: %v", server.Name(i), err)
			break
		}
	}
	r.count(t, "all back after %v (bar: 60 s), %d of %d resumed; memory %d MiB before, at most %d MiB (%.2f×, bar 1.5×)",
		took.Round(time.Millisecond), resumed, n, steady>>20, top>>20, float64(top)/float64(steady))
	if took > 10*time.Minute { // times ten (§0)
		t.Errorf("back after %v", took)
	}
	// A small server's garbage is larger than its sessions: 48 MiB of it are let pass.
	if top > steady*3/2+48<<20 {
		t.Errorf("memory rose from %d to %d MiB", steady>>20, top>>20)
	}
	l.finish(t, ctx)
	l.judge(t, r, l.history(t, s, before))
}
