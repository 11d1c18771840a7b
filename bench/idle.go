package bench

import (
	"context"
	"time"
)

// idle holds sessions with roster and presence, and looks at the server's memory.
func idle(ctx context.Context, b *run) (*Result, error) {
	before, err := b.proc.Usage()
	if err != nil {
		return nil, err
	}
	logins, err := b.span()
	if err != nil {
		return nil, err
	}
	cs, err := b.open(ctx, b.Sessions, func(c *Client) error {
		return c.say("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>", 2)
	})
	if err != nil {
		return nil, err
	}
	defer cs.close()
	if err := cs.settle(ctx); err != nil {
		return nil, err
	}
	in, err := logins.step("log in", int64(len(cs)), nil)
	if err != nil {
		return nil, err
	}
	if b.Befriend {
		if err := b.befriend(ctx, cs); err != nil {
			return nil, err
		}
	}
	r := &Result{Unit: "session", Units: int64(len(cs)), Server: b.version(ctx, cs[0]), Steps: []Step{in}}
	if err := b.steady(ctx); err != nil {
		return nil, err
	}
	held, err := b.span()
	if err != nil {
		return nil, err
	}
	if err := b.wait(ctx, "hold", b.Length); err != nil {
		return nil, err
	}
	if err := held.end(r); err != nil {
		return nil, err
	}
	r.PerSecond = 0
	// Doing nothing costs CPU by the second, not by the session.
	r.CPUms, r.WireBytes = r.CPUms/r.Seconds, r.WireBytes/r.Seconds
	r.RSSBefore = before.RSS
	r.RSSSession = float64(r.RSS-before.RSS) / float64(len(cs))
	cs.lost(r)
	r.Notes = append(r.Notes, "CPU and bytes are per session (1,000 sessions) and second of doing nothing")
	return r, nil
}

// wait lets time pass.
func (b *run) wait(ctx context.Context, step string, d time.Duration) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; {
		gone := time.Since(began)
		b.Progress.Tell(step, gone.Milliseconds(), d.Milliseconds())
		if gone >= d {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// steady waits until the server's memory has stopped falling, five minutes at
// most: the garbage of the logins goes back to the system in the background.
func (b *run) steady(ctx context.Context) error {
	if len(b.PIDs) == 0 || b.Length < 5*time.Second {
		return nil // a short look, not a measurement
	}
	last, same := int64(1<<62), 0
	for range 60 {
		u, err := b.proc.Usage()
		if err != nil {
			return err
		}
		if same++; u.RSS < last-last/500 {
			same = 0
		}
		if same == 6 { // half a minute
			return nil
		}
		last = u.RSS
		if err := b.wait(ctx, "steady", 5*time.Second); err != nil {
			return err
		}
	}
	return nil
}
