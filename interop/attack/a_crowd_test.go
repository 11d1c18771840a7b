package attack

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// A15: one address has 50 connections that are not logged in, one account 20
// sessions; others don't notice.
func TestA15_connectionsAndSessions(t *testing.T) {
	t.Parallel()
	p := apart(t, 20)
	stop := canary(t, p)
	p.crowd(t)
	served, refused := p.flood(t)
	p.manySessions(t)
	p.churnedResources(t)
	r := stop()
	measured("A15", fmt.Sprintf("%d connections from one address, 21 binds, %d resources churned", served+refused, scaled(60, 1000)),
		fmt.Sprintf("%d served at a time, %d waited and were refused; others log in; %s", served, refused, r.health()), "51st waits, refused after 10 s; 21st bind refused; CANARY")
}

// flood opens as many connections of one address as there may be in all, half
// of the server's; it returns how many were served, and how many refused.
func (p *place) flood(t *testing.T) (served, refused int) {
	n := scaled(150, 10_000)
	from, end := source(), make(chan struct{})
	var ok, no atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for i := range n {
		c, err := client.Connect(ctx, p.C2S, server.Domain, from)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		wg.Go(func() {
			defer c.Close()
			if c.OpenStream() != nil {
				no.Add(1)
				return
			}
			ok.Add(1)
			<-end
		})
	}
	if !until(patience, func() bool { return int(ok.Load()+no.Load()) == n }) {
		t.Errorf("of %d connections from one address %d were served, %d refused", n, ok.Load(), no.Load())
	}
	close(end)
	wg.Wait()
	if ok.Load() != 50 {
		t.Errorf("%d connections of one address were served at once, limit 50", ok.Load())
	}
	return int(ok.Load()), int(no.Load())
}

func (p *place) crowd(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	from := source()
	var inside []*client.Conn
	for range 50 {
		c, err := client.Connect(ctx, p.C2S, server.Domain, from)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.OpenStream(); err != nil {
			t.Fatalf("connection %d of 50: %v", len(inside)+1, err)
		}
		inside = append(inside, c)
	}
	// The 51st waits, and is refused after ten seconds.
	began := time.Now()
	c, err := client.Connect(ctx, p.C2S, server.Domain, from)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	next, err := client.Connect(ctx, p.C2STLS, server.Domain, from)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := c.OpenStream(); err == nil {
		t.Errorf("the 51st connection of an address was served")
	}
	if d := time.Since(began); d < 9*time.Second || d > 20*time.Second {
		t.Errorf("the 51st was refused after %v, due after 10 s", d)
	}
	// Another address is unaffected.
	began = time.Now()
	p.login(t, p.person(t), "elsewhere")
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("a login from another address took %v", d)
	}
	// A place that is given back goes to who waits.
	_ = next.Close()
	late, err := client.Connect(ctx, p.C2S, server.Domain, from)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	_ = inside[0].Close()
	if err := late.OpenStream(); err != nil {
		t.Errorf("the one who waited got no place: %v", err)
	}
}

func (p *place) manySessions(t *testing.T) {
	user := p.person(t)
	for i := range 20 {
		p.login(t, user, fmt.Sprint("r", i))
	}
	c := p.at(t, authed, user)
	began := time.Now()
	_, err := c.Bind("r20")
	d := time.Since(began)
	if err == nil || !strings.Contains(err.Error(), "resource-constraint") {
		t.Errorf("21st bind: %v, want resource-constraint (RFC 6120 §7.6.2.1)", err)
	}
	if d > time.Second {
		t.Errorf("21st bind refused after %v, limit 100 ms times ten", d)
	}
	t.Logf("21st bind refused after %v", d)
	// One that exists already may still be taken over (RFC 6120 §7.7.2.2).
	if _, err := p.at(t, authed, user).Bind("r3"); err != nil {
		t.Errorf("binding a resource of the account's own again: %v", err)
	}
}

func (p *place) churnedResources(t *testing.T) {
	user := p.person(t)
	before := p.fds(t)
	for i := range scaled(60, 1000) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		c, err := client.Login(ctx, p.options(user, fmt.Sprint("churn", i)))
		cancel()
		if err != nil {
			t.Fatalf("resource %d of one account: %v", i, err)
		}
		if i%2 == 0 {
			c.Cut()
		} else {
			c.Close()
		}
	}
	if !until(patience, func() bool { return p.fds(t) <= before+4 }) { // the canary's logins come and go
		t.Errorf("%d descriptors after it, %d before", p.fds(t), before)
	}
}
