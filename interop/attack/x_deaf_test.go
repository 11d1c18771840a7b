package attack

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// deaf is somebody logged in who never reads.
type deaf struct {
	user string
	conn *client.Conn
	to   string // full JID
}

// X8, the other half: who never reads is detached, costs no more than 1 MiB,
// and finds everything in the archive.
func TestX8_neverReadingClients(t *testing.T) {
	t.Parallel()
	crowd, each := scaled(5, 100), scaled(600, 1000)
	const senders = 5
	p := apart(t, crowd+senders+10)
	stop := canary(t, p)
	var all []deaf
	for range crowd {
		all = append(all, p.deaf(t))
	}
	before, sockets := p.rss(t), p.sockets(t)
	text := strings.Repeat("x", 8<<10) // more in all than the kernel's buffers take
	var wg sync.WaitGroup
	for s := range senders {
		c := p.login(t, p.person(t), "sender", func(o *client.Options) { o.SM = true })
		wg.Go(func() {
			for i := range each {
				for d := s; d < crowd; d += senders {
					if err := c.Send(fmt.Sprintf("<message type='chat' to='%s' id='%d'><body>%d %s</body></message>", all[d].to, i, i, text)); err != nil {
						t.Error(err)
						return
					}
				}
				if i%20 == 0 { // a window, as an honest client keeps
					_, sent, _ := c.Counters()
					if err := c.WaitAcked(2*patience, sent); err != nil {
						t.Errorf("sender %d at %d: %v", s, i, err)
						return
					}
				}
			}
			_, sent, _ := c.Counters()
			if err := c.WaitAcked(2*patience, sent); err != nil {
				t.Errorf("sender %d: %v", s, err)
			}
		})
	}
	began, peak, attached := time.Now(), before, crowd
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-tick.C:
			peak = max(peak, p.rss(t))
		}
	}
	took := time.Since(began)
	// HARDENING §8 F9: detached ≤ 30 s. Who is has no connection there any more;
	// the senders and the canary's logins come and go.
	until(30*time.Second, func() bool {
		attached = max(0, p.sockets(t)-(sockets-crowd)-senders)
		return attached <= 1
	})
	detached := time.Since(began)
	for _, d := range all {
		_ = d.conn.Close()
	}
	lost := p.inArchives(t, all, each)
	r := stop()
	grew, n := peak-before, crowd*each
	t.Logf("%d messages to %d clients that never read, in %v: %d still attached after %v, %d lost, RSS +%s", n, crowd, took.Round(time.Millisecond), attached, detached.Round(time.Millisecond), lost, mib(grew))
	if attached > 1 {
		t.Errorf("%d of %d clients that never read are still attached", attached, crowd)
	}
	if bar := int64(crowd+senders)<<20 + int64(scaled(32<<20, 0)); grew > bar {
		t.Errorf("MEM: +%s for %d clients, limit 1 MiB each", mib(grew), crowd)
	}
	measured("X8 (F9)", fmt.Sprintf("%d clients that never read, %d messages of 8 KiB to them in all", crowd, n),
		fmt.Sprintf("all detached %.1f s after the last message, %d lost (archive), RSS %s → %s (+%s), %.0f messages/s; %s",
			(detached-took).Seconds(), lost, mib(before), mib(peak), mib(grew), float64(n)/took.Seconds(), r.health()),
		"≤ 1 MiB/session; detached ≤ 30 s; nothing lost; CANARY")
}

// deaf logs somebody in with a small receive buffer, present, and never reads again.
func (p *place) deaf(t *testing.T) deaf {
	t.Helper()
	user := p.person(t)
	c := p.at(t, authed, user)
	if tcp, ok := c.Raw().(interface{ SetReadBuffer(int) error }); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	full, err := c.Bind("deaf")
	if err == nil {
		c.Unlimited()
		err = c.Send("<presence/>")
	}
	if err != nil {
		t.Fatal(err)
	}
	return deaf{user, c, full}
}

// inArchives counts what is not in its receiver's archive, in order.
func (p *place) inArchives(t *testing.T, all []deaf, each int) (lost int) {
	t.Helper()
	for _, d := range all {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		o := p.options(d.user, "reads")
		c, err := client.Login(ctx, o)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		kept, err := c.Archive(patience, 250)
		c.Close()
		if err != nil {
			t.Fatal(err)
		}
		next := 0
		for _, k := range kept {
			if strings.HasPrefix(k.Message.Body(), fmt.Sprint(next, " ")) {
				next++
			}
		}
		if lost += each - next; next != each {
			t.Errorf("%s@%s: %d of %d messages in order in the archive", d.user, server.Domain, next, each)
		}
	}
	return lost
}
