package faults

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/proxy"
	"github.com/parlance-im/parlance/interop/server"
)

// HARDENING F14 in small: connections are cut without a word, the server stays;
// sessions are resumed and nothing is lost, doubled or out of order.
func TestCut_sessionsResume(t *testing.T) {
	r := note(t, "F14", "connections are cut without a word")
	rng := rand.New(rand.NewPCG(lot(t), 2))
	srv := server.Test(t, server.Kind(*kind))
	l := newLoad(srv, rng, 2*time.Millisecond)
	before := l.views(t, srv)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	l.start(ctx)
	const cuts = 60
	for range cuts {
		wait(ctx, time.Duration(20+rng.IntN(80))*time.Millisecond)
		if c := l.people[rng.IntN(len(l.people))].live.Load(); c != nil {
			c.Cut()
		}
	}
	l.finish(t, ctx)
	h := l.history(t, srv, before)
	r.count(t, "%d cuts", cuts)
	l.resumed(t, r)
	l.judge(t, r, h)
}

// through opens a network of one's own in front of a server.
func through(t *testing.T, addr string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Listen("tcp", "127.0.0.1:0", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// HARDENING F14: latency, slices of one byte, resets, half-closed connections, holes,
// and connections that are forgotten on the way, under load. Nothing is lost,
// doubled or out of order, and sessions are taken up again.
func TestNetwork_badWeather(t *testing.T) {
	steps := scaled(60, 1200)
	r := note(t, "F14", "latency up to 300 ms, 1-byte slices, resets, half-close, holes, NAT loss, drawn by lot under load")
	rng := rand.New(rand.NewPCG(lot(t), 8))
	srv := server.Test(t, server.Kind(*kind))
	net := through(t, srv.C2S)
	// Slow enough that no queue of 500 is full before its owner has noticed the
	// silence and is back: who overflows can't resume, and that is F9's matter.
	l := newLoad(srv, rng, 20*time.Millisecond)
	for _, p := range l.people {
		p.opt.Addr, p.silence = net.Addr(), 3*time.Second
	}
	before := l.views(t, srv)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(steps)*2*time.Second+3*time.Minute)
	defer cancel()
	l.start(ctx)
	did := map[string]int{}
	for range steps {
		wait(ctx, time.Duration(20+rng.IntN(200))*time.Millisecond)
		what, n := rng.IntN(20), rng.IntN(64)
		switch {
		case what < 10:
			did["resets"]++
			net.Reset(n)
		case what < 13:
			did["half-closes"]++
			net.HalfClose(n)
		case what < 15:
			did["latencies"]++
			net.Set(proxy.Weather{Latency: time.Duration(rng.IntN(300)) * time.Millisecond})
		case what < 17:
			did["slices"]++
			net.Set(proxy.Weather{Slice: 1})
		case what < 18:
			did["holes"]++
			net.Set(proxy.Weather{Hole: true})
			wait(ctx, time.Duration(rng.IntN(1000))*time.Millisecond)
			net.Set(proxy.Weather{})
		case what < 19:
			did["forgotten links"] += net.Forget()
		default:
			net.Set(proxy.Weather{})
		}
	}
	net.Set(proxy.Weather{})
	l.finish(t, ctx)
	h := l.history(t, srv, before)
	r.count(t, "%v", did)
	l.resumed(t, r)
	l.judge(t, r, h)
}

// HARDENING F14: a peer that has gone without a word is noticed within 90 s: its
// contacts see it leave.
func TestNetwork_deadPeer(t *testing.T) {
	t.Parallel()
	r := note(t, "F14", "a client vanishes without a word (NAT loss); a contact waits for its unavailable presence")
	srv := server.Test(t, server.Parlance)
	net := through(t, srv.C2S)
	o := srv.Options("alice", "gone")
	o.Addr = net.Addr()
	alice, bob := srv.LoginWith(t, o), sender(t, srv, "bob") // bob answers when he is asked for a sign of life
	for _, c := range []*client.Client{bob, alice} {
		if err := c.Send("<presence/>"); err != nil {
			t.Fatal(err)
		}
		if err := c.Fence(patience); err != nil {
			t.Fatal(err)
		}
	}
	of := func(typ string) func(*client.Node) bool {
		return func(n *client.Node) bool {
			return n.Name.Local == "presence" && n.Get("type") == typ && n.Get("from") == alice.JID
		}
	}
	if _, err := bob.Take(patience, of("")); err != nil {
		t.Fatalf("bob never saw alice: %v", err)
	}
	began := time.Now()
	if net.Forget() != 1 {
		t.Fatal("alice does not come through the proxy")
	}
	if _, err := bob.Take(10*90*time.Second, of("unavailable")); err != nil { // times ten (§0)
		t.Fatal(err)
	}
	r.count(t, "seen after %v (bar: 90 s)", time.Since(began).Round(100*time.Millisecond))
	net.ResetAll() // alice's own side does not know yet
}
