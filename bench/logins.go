package bench

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"
)

// logins logs people in and out: connection, TLS handshake (never resumed), SASL,
// resource, stream management, each from the beginning.
func logins(ctx context.Context, b *run) (*Result, error) {
	if b.Mechanism == "FAST" {
		b.dial.Mechanism, b.dial.tokens = "", &tokens{of: map[string]*token{}}
	}
	// Everybody once, so that whoever derives keys or gets a token has it.
	cs, err := b.open(ctx, b.Sessions, nil)
	if err != nil {
		return nil, err
	}
	r := &Result{Unit: "login", Server: b.version(ctx, cs[0]), Due: int64(b.Count)}
	cs.close()
	return r, b.logins(ctx, r, func(ctx context.Context, i int) (*Client, error) {
		// A resource of its own: the same person may be logging in beside.
		return b.dial.Open(ctx, b.user(i%b.Sessions), "bench"+strconv.Itoa(i))
	})
}

// logins measures Count calls of open, Workers at a time.
func (b *run) logins(ctx context.Context, r *Result, open func(ctx context.Context, i int) (*Client, error)) error {
	ctx, cancel := context.WithDeadlineCause(ctx, time.Now().Add(b.Length), errLate)
	defer cancel()
	var done atomic.Int64
	var lat Hist
	s, err := b.span()
	if err != nil {
		return err
	}
	err = b.parallel(ctx, b.Count, b.Workers, func(ctx context.Context, i int) error {
		began := time.Now()
		c, err := open(ctx, i)
		if err != nil {
			return err
		}
		lat.Add(time.Since(began))
		c.Close()
		b.Progress.Tell("log in", done.Add(1), int64(b.Count))
		return nil
	})
	if late(err) != nil && !errors.Is(context.Cause(ctx), errLate) {
		return err
	}
	r.Units, r.Latency = done.Load(), lat.Latency()
	if err != nil { // the time was over: fewer were due
		r.Due = r.Units
		r.Notes = append(r.Notes, "time was over before all had logged in")
	}
	return s.end(r)
}
