package attack

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// abort connects and drops the connection at one of the points.
type abort struct {
	name  string
	often int // weight: a TLS handshake costs a hundred plain connections
	run   func(ctx context.Context, p *place) error
}

func aborts() []abort {
	conn := func(ctx context.Context, addr string) (*client.Conn, error) {
		return client.Connect(ctx, addr, server.Domain, source())
	}
	plain := func(addr func(*place) string, sent ...string) func(context.Context, *place) error {
		return func(ctx context.Context, p *place) error {
			c, err := conn(ctx, addr(p))
			if err != nil {
				return err
			}
			defer c.Close()
			for _, s := range sent {
				if err := c.Send(s); err != nil {
					return err
				}
			}
			return nil
		}
	}
	c2s := func(p *place) string { return p.C2S }
	direct := func(p *place) string { return p.C2STLS }
	web := func(p *place) string { return p.HTTP }
	secured := func(alpn string, addr func(*place) string, sent string) func(context.Context, *place) error {
		return func(ctx context.Context, p *place) error {
			c, err := conn(ctx, addr(p))
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.Secure(ctx, alpn); err != nil {
				return err
			}
			return c.Send(sent)
		}
	}
	return []abort{
		{"connected", 20, plain(c2s)},
		{"half a header", 20, plain(c2s, header[:30])},
		{"header", 20, plain(c2s, header)},
		{"features read", 20, func(ctx context.Context, p *place) error {
			c, err := conn(ctx, p.C2S)
			if err != nil {
				return err
			}
			defer c.Close()
			return c.OpenStream()
		}},
		{"half an element", 20, plain(c2s, header, "<auth xmlns='urn:ietf")},
		{"stream error", 20, plain(c2s, header, "<message/>")},
		{"starttls", 20, plain(c2s, header, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")},
		{"direct TLS connected", 20, plain(direct)},
		{"HTTPS connected", 20, plain(web)},
		{"hello cut off", 10, plain(direct, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
		{"direct TLS", 1, secured("xmpp-client", direct, header)},
		{"XMPP on the HTTPS port", 1, secured("xmpp-client", web, header)},
		{"SASL begun", 1, secured("xmpp-client", direct, header+"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>biwsbj1hbGljZSxyPWFiY2RlZmdo</auth>")},
		{"HTTP request", 1, secured("http/1.1", web, "GET /api/v1/info HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"WebSocket", 1, secured("http/1.1", web, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n")},
	}
}

// X9: connections dropped before login, at every point, leave nothing behind.
func TestX9_abortedConnections(t *testing.T) {
	t.Parallel()
	warm, cycles := scaled(2000, 100_000), scaled(10_000, 1_000_000)
	p := apart(t, 10)
	listeners := p.sockets(t)
	stop := canary(t, p)
	var list []abort
	for _, a := range aborts() {
		for range a.often {
			list = append(list, a)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(scaled(3, 40))*time.Minute)
	defer cancel()
	churn := func(n int) {
		work := make(chan abort)
		var wg sync.WaitGroup
		for range scaled(16, 4) { // the full run shares the processors with the server
			wg.Go(func() {
				for a := range work {
					if err := a.run(ctx, p); err != nil {
						t.Errorf("%s: %v", a.name, err)
					}
				}
			})
		}
		for i := range n {
			work <- list[i%len(list)]
		}
		close(work)
		wg.Wait()
	}
	fds := p.fds(t)
	churn(warm)
	settled := func() bool { return p.fds(t) <= fds }
	if !until(patience, settled) {
		t.Errorf("%d descriptors after warming up, before it were %d", p.fds(t), fds)
	}
	began := time.Now()
	var at, mem []float64 // resident memory after so many cycles
	for done, step := 0, (cycles-warm)/100; done < cycles-warm && !t.Failed(); done += step {
		churn(step)
		at, mem = append(at, float64(done+step)), append(mem, float64(p.rss(t)))
	}
	if !until(patience, settled) {
		t.Errorf("%d descriptors open, before it were %d", p.fds(t), fds)
	}
	grew, noise := slope(at, mem)
	t.Logf("%d cycles in %v: resident memory grows by %.2f ± %.2f B a cycle, %.1f to %.1f MiB", cycles-warm, time.Since(began).Round(time.Millisecond),
		grew, noise, slices.Min(mem)/(1<<20), slices.Max(mem)/(1<<20))
	// After so few as in make test only a leak of a kilobyte a cycle stands out
	// from the collector's own ups and downs.
	if bar := float64(scaled(1024, 1)); grew > bar {
		t.Errorf("a leak: %.2f bytes a cycle, limit %.0f", grew, bar)
	}
	r := stop()
	if !until(patience, func() bool { return p.sockets(t) <= listeners }) {
		t.Errorf("%d sockets open without a client, before it were %d", p.sockets(t), listeners)
	}
	// Between closing a socket and ending, a goroutine has a few instructions left.
	until(300*time.Millisecond, func() bool { return false })
	left := p.noGoroutines(t)
	measured("X9", fmt.Sprintf("%d connect/drop cycles at 15 abort points, %d of them to warm up", cycles, warm),
		fmt.Sprintf("%.2f ± %.2f B a cycle; descriptors back to baseline, %d goroutines in all at the end; %s", grew, noise, left, r.health()),
		"slope < 1 B a cycle; goroutines and fds back; CANARY")
}

// slope fits a line by least squares; noise is the slope's standard error.
func slope(x, y []float64) (k, noise float64) {
	n := float64(len(x))
	var mx, my, sxx, sxy, rest float64
	for i := range x {
		mx, my = mx+x[i]/n, my+y[i]/n
	}
	for i := range x {
		sxx += (x[i] - mx) * (x[i] - mx)
		sxy += (x[i] - mx) * (y[i] - my)
	}
	k = sxy / sxx
	for i := range x {
		d := y[i] - my - k*(x[i]-mx)
		rest += d * d
	}
	return k, math.Sqrt(rest / (n - 2) / sxx)
}

// noGoroutines ends the server by SIGQUIT, whose last words are its
// goroutines, looks for those of connections, and returns how many there were.
func (p *place) noGoroutines(t testing.TB) int {
	t.Helper()
	proc, err := os.FindProcess(p.Pid)
	if err == nil {
		err = p.sound()
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = proc.Signal(syscall.SIGQUIT)
	if !until(patience, func() bool { return !p.Alive() }) {
		t.Fatal("SIGQUIT did not end the server")
	}
	out := p.Output()
	p.ended = true
	all := strings.Split(out, "\ngoroutine ")[1:]
	if len(all) < 5 {
		t.Fatalf("no goroutines listed: %s", tail(out))
	}
	left := map[string]int{}
	for _, g := range all {
		for _, f := range []string{"c2s.(*link).run", "c2s.(*outlet).drain", "edge.Handshake", "edge.(*Gate).wait", "net/http.(*conn).serve"} {
			if strings.Contains(g, f) {
				left[f]++
			}
		}
	}
	t.Logf("%d goroutines at the end", len(all))
	if len(left) > 0 || len(all) > 100 {
		t.Errorf("goroutines of connections are left: %v of %d", left, len(all))
	}
	return len(all)
}
