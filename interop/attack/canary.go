package attack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/parlance-im/parlance/interop/client"
)

// Canary is two honest people who exchange messages while something bad
// happens to the server, and a third who logs in again and again.
type Canary struct {
	a, b   *client.Client
	login  client.Options
	every  time.Duration
	cancel context.CancelFunc
	began  time.Time
	wg     sync.WaitGroup

	mu     sync.Mutex
	trips  []time.Duration // owner: mu
	logins []time.Duration // owner: mu
	errs   []error         // owner: mu
	worst  time.Duration   // owner: mu
}

// Report is what the canary met.
type Report struct {
	Messages, Logins   int
	Errors             []error
	P50, P99, Max      time.Duration // round trips of a message and its echo
	LoginP50, LoginP99 time.Duration
	LoginMax           time.Duration
	Worst              time.Duration // when the slowest round trip began, after the start
}

func (r Report) String() string {
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + " ms" }
	return fmt.Sprintf("canary: %d messages, round trip p50 %s p99 %s max %s (at %s); %d logins, p50 %s p99 %s max %s; %d errors",
		r.Messages, ms(r.P50), ms(r.P99), ms(r.Max), r.Worst.Round(time.Second), r.Logins, ms(r.LoginP50), ms(r.LoginP99), ms(r.LoginMax), len(r.Errors))
}

// CanaryWait is how long the canary waits for one echo before it counts as an error.
const CanaryWait = 25 * time.Second

// StartCanary logs a and b in and lets a send to b every so often; login is
// whose fresh logins are tried meanwhile.
func StartCanary(ctx context.Context, a, b, login client.Options, every time.Duration) (*Canary, error) {
	c := &Canary{login: login, every: every, began: time.Now()}
	var err error
	if c.a, err = client.Login(ctx, a); err != nil {
		return nil, fmt.Errorf("canary: %w", err)
	}
	if c.b, err = client.Login(ctx, b); err != nil {
		c.a.Close()
		return nil, fmt.Errorf("canary: %w", err)
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	quiet, hush := context.WithCancel(context.WithoutCancel(ctx)) // ends once nobody waits for an echo
	c.wg.Go(func() { defer hush(); c.talk(run) })
	c.wg.Go(func() { c.echo(quiet) })
	c.wg.Go(func() { c.knock(run) })
	return c, nil
}

// Errors are those met so far.
func (c *Canary) Errors() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.errs)
}

// Stop ends the talk and tells how it went.
func (c *Canary) Stop() Report {
	c.cancel()
	c.wg.Wait()
	c.a.Close()
	c.b.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Report{Messages: len(c.trips), Logins: len(c.logins), Errors: c.errs, Worst: c.worst}
	slices.Sort(c.trips)
	slices.Sort(c.logins)
	r.P50, r.P99, r.Max = at(c.trips, 50), at(c.trips, 99), at(c.trips, 100)
	r.LoginP50, r.LoginP99, r.LoginMax = at(c.logins, 50), at(c.logins, 99), at(c.logins, 100)
	return r
}

// at is the percentile of sorted values.
func at(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

func (c *Canary) failed(what string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.errs) < 20 {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", what, err))
	}
}

// talk sends one message after the other and waits for each echo.
func (c *Canary) talk(ctx context.Context) {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for i := 0; ; i++ {
		text := "canary " + strconv.Itoa(i)
		began := time.Now()
		err := c.a.Send("<message type='chat' to='" + client.Escape(c.b.JID) + "' id='" + client.Token() + "'><body>" + text + "</body></message>")
		if err == nil {
			_, err = c.a.Take(CanaryWait, func(n *client.Node) bool { return n.Body() == text })
		}
		if err != nil {
			c.failed("message "+strconv.Itoa(i), err)
			return // the session is of no use any more
		}
		c.mu.Lock()
		if d := time.Since(began); len(c.trips) == 0 || d > slices.Max(c.trips) {
			c.worst = began.Sub(c.began)
		}
		c.trips = append(c.trips, time.Since(began))
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// echo sends back what b hears, until talk has ended.
func (c *Canary) echo(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := c.b.Next(100 * time.Millisecond)
		switch {
		case errors.Is(err, client.ErrTimeout):
			continue
		case err != nil:
			c.failed("echo", err)
			return
		case n.Body() == "":
			continue
		}
		if err := c.b.Send("<message type='chat' to='" + client.Escape(n.Get("from")) + "' id='" + client.Token() + "'><body>" + n.Body() + "</body></message>"); err != nil {
			c.failed("echo", err)
			return
		}
	}
}

// knock logs in about once a second.
func (c *Canary) knock(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		began := time.Now()
		k, err := client.Login(context.WithoutCancel(ctx), c.login)
		if err != nil {
			c.failed("login", err)
		} else {
			c.mu.Lock()
			c.logins = append(c.logins, time.Since(began))
			c.mu.Unlock()
			k.Close()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
