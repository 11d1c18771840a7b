package attack

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// ear is a contact who reads all it is sent and counts it.
type ear struct {
	conn  *client.Conn
	bytes atomic.Int64
	heard chan struct{} // closed when the mark has come
}

// ear logs a contact of somebody's in who has approved that before.
func (p *place) ear(user, of string) (*ear, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	o := p.options(user, "ear")
	o.Mechanism = "PLAIN"
	c, err := client.Authenticated(ctx, o)
	if err != nil {
		return nil, err
	}
	e := &ear{conn: c, heard: make(chan struct{})}
	if _, err = c.Bind("ear"); err == nil {
		err = c.Send("<presence/><presence type='subscribe' to='" + bare(of) + "'/><iq type='get' id='in'><ping xmlns='urn:xmpp:ping'/></iq>")
	}
	for n := (*client.Node)(nil); err == nil && n.Get("id") != "in"; {
		n, err = c.Next()
	}
	c.Unlimited()
	return e, err
}

// listen reads to the end of the connection.
func (e *ear) listen(mark string) {
	buf := make([]byte, 16<<10)
	kept, found := 0, false
	for {
		n, err := e.conn.Conn.Read(buf[kept:])
		e.bytes.Add(int64(n))
		if !found && bytes.Contains(buf[:kept+n], []byte(mark)) {
			found = true
			close(e.heard)
		}
		if err != nil {
			return
		}
		tail := min(kept+n, len(mark))
		copy(buf, buf[kept+n-tail:kept+n])
		kept = tail
	}
}

// M7: one presence goes to every contact. Fifty a second to thousands come to what one
// account is granted, the last of them to all; others' presence comes at once meanwhile.
func TestM7_presenceAmplification(t *testing.T) {
	t.Parallel()
	contacts, seconds := scaled(60, 5000), scaled(4, 20)
	rate := scaled(64<<10, 1<<20)
	s, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Config: fmt.Sprintf("[limits]\npresence_bytes = \"%dKiB\"\n", rate>>10)})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{Server: s, all: contacts + 20}
	t.Cleanup(func() {
		if err := p.sound(); err != nil {
			t.Error(err)
		}
		p.Finish(t)
	})
	if err := p.populate(p.all); err != nil {
		t.Fatal(err)
	}
	loud := p.person(t)
	a := p.login(t, loud, "loud")
	ears := p.audience(t, a, loud, contacts)
	stop := canary(t, p)
	honest := p.pair(t)
	ctx, cancel := context.WithCancel(context.Background())
	var slowest atomic.Int64
	var talk sync.WaitGroup
	talk.Go(func() { slowest.Store(int64(honest(ctx))) })
	before := p.rss(t)
	for _, e := range ears {
		e.bytes.Store(0)
	}
	began, peak, sent := time.Now(), before, 0
	tick := time.NewTicker(time.Second / 50)
	defer tick.Stop()
	for ; sent < 50*seconds; sent++ {
		<-tick.C
		if err := a.Send(fmt.Sprintf("<presence><show>%s</show><status>shout %d %s</status></presence>", []string{"away", "xa"}[sent%2], sent, string(bytes.Repeat([]byte("x"), 150)))); err != nil {
			t.Fatal(err)
		}
		if sent%25 == 0 {
			peak = max(peak, p.rss(t))
		}
	}
	if err := a.Send("<presence><status>the last</status></presence>"); err != nil {
		t.Fatal(err)
	}
	shouted := time.Since(began)
	limit := time.NewTimer(2 * patience)
	defer limit.Stop()
	for i, e := range ears {
		select {
		case <-e.heard:
		case <-limit.C:
			t.Fatalf("%d of %d contacts never heard the last presence", contacts-i, contacts)
		}
	}
	took := time.Since(began)
	cancel()
	talk.Wait()
	var total int64
	for _, e := range ears {
		total += e.bytes.Load()
	}
	r := stop()
	once := int64(contacts) * 400 // one presence more than there was left to spend
	granted := int64(float64(rate)*(took.Seconds()+16)) + once
	if total > granted {
		t.Errorf("%s were sent to contacts, granted are %s", mib(total), mib(granted))
	}
	if said := int64(sent) * int64(contacts) * 250; said < granted*5/4 {
		t.Errorf("%s said, %s granted: this shows nothing", mib(said), mib(granted))
	}
	probes := p.probeStorm(t, a, loud)
	measured("M7", fmt.Sprintf("%d presences in %.1f s to %d contacts who are there", sent, shouted.Seconds(), contacts),
		fmt.Sprintf("%s to contacts (granted %s, said %s), the last one to all %.1f s after it; an honest presence took %d ms at most; RSS +%s; %s; %s",
			mib(total), mib(granted), mib(int64(sent)*int64(contacts)*250), (took-shouted).Seconds(), time.Duration(slowest.Load()).Milliseconds(), mib(peak-before), probes, r.health()),
		"fan-out of a sender capped; CANARY")
}

// audience logs in so many contacts of a person's, who hear its presence.
func (p *place) audience(t *testing.T, a *client.Client, loud string, n int) []*ear {
	t.Helper()
	ears, names := make([]*ear, n), make([]string, n)
	for i := range n {
		names[i] = p.person(t)
		// RFC 6121 §3.4: granted before it is asked.
		if err := a.Send("<presence type='subscribed' to='" + bare(names[i]) + "'/>"); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Send("<presence/>"); err != nil {
		t.Fatal(err)
	}
	if err := a.Fence(10 * patience); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < n; i += 8 {
				var err error
				if ears[i], err = p.ear(names[i], loud); err != nil {
					errs <- fmt.Errorf("contact %d: %w", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
	var listening sync.WaitGroup
	for _, e := range ears {
		listening.Go(func() { e.listen("<status>the last</status>") })
	}
	t.Cleanup(func() {
		for _, e := range ears {
			_ = e.conn.Close()
		}
		listening.Wait()
	})
	return ears
}

// pair is two honest people; the function it returns has one show presence twice a second
// until its context ends, and says how long the other waited for it at most.
func (p *place) pair(t *testing.T) func(context.Context) time.Duration {
	t.Helper()
	a, b := p.login(t, p.person(t), "honest"), p.login(t, p.person(t), "honest")
	befriend(t, a, b)
	for _, c := range []*client.Client{a, b} {
		if err := c.Send("<presence/>"); err != nil {
			t.Fatal(err)
		}
		if err := c.Fence(patience); err != nil {
			t.Fatal(err)
		}
	}
	return func(ctx context.Context) (slowest time.Duration) {
		tick := time.NewTicker(time.Second / 2)
		defer tick.Stop()
		for i := 0; ; i++ {
			text := fmt.Sprint("honest ", i)
			began := time.Now()
			err := a.Send("<presence><status>" + text + "</status></presence>")
			if err == nil {
				_, err = b.Take(patience, func(n *client.Node) bool {
					return n.Is("presence", "") && n.Path("status") != nil && n.Path("status").Text == text
				})
			}
			if err != nil {
				t.Errorf("an honest presence: %v", err)
				return slowest
			}
			slowest = max(slowest, time.Since(began))
			select {
			case <-ctx.Done():
				return slowest
			case <-tick.C:
			}
		}
	}
}

// probeStorm probes a contact with many devices again and again: what comes back is bounded, too.
func (p *place) probeStorm(t *testing.T, a *client.Client, loud string) string {
	t.Helper()
	friend := p.person(t)
	var devices []*client.Client
	for i := range 5 {
		c := p.login(t, friend, fmt.Sprint("d", i))
		devices = append(devices, c)
		if i == 0 {
			befriend(t, a, c)
		}
		if err := c.Send("<presence><status>" + string(bytes.Repeat([]byte("y"), 4<<10)) + "</status></presence>"); err != nil {
			t.Fatal(err)
		}
		if err := c.Fence(patience); err != nil {
			t.Fatal(err)
		}
	}
	n := scaled(2000, 20_000)
	shown, began := 0, time.Now()
	count := func() {
		for _, x := range a.Drain() {
			if x.Is("presence", "") && slices.ContainsFunc(devices, func(c *client.Client) bool { return c.JID == x.Get("from") }) {
				shown++
			}
		}
	}
	count()
	shown = 0
	for i := range n {
		if err := a.Send("<presence type='probe' to='" + bare(friend) + "'/>"); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 {
			if err := a.Fence(patience); err != nil {
				t.Fatal(err)
			}
			count()
		}
	}
	took := time.Since(began)
	rate := float64(scaled(64<<10, 1<<20))
	most := int(rate*(took.Seconds()+16)/(4<<10)) + 20
	if shown > most {
		t.Errorf("%d presences for %d probes in %v, at most %d are granted", shown, n, took, most)
	}
	if shown == 0 {
		t.Error("no probe was answered")
	}
	return fmt.Sprintf("%d probes of 5 devices in %.1f s: %d presences of 4 KiB (granted %d)", n, took.Seconds(), shown, most)
}
