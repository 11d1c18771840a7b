package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// hello is a TLS ClientHello, cut off after n bytes (0: whole).
func hello(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	c := tls.Client(&recorder{&b}, client.TLSConfig(server.Domain))
	if err := c.HandshakeContext(context.Background()); err == nil || b.Len() == 0 {
		t.Fatalf("no ClientHello recorded: %v", err)
	}
	if n == 0 {
		return b.Bytes()
	}
	return b.Bytes()[:n]
}

// recorder is a connection that keeps what is written and has nothing to read.
type recorder struct{ *bytes.Buffer }

func (r *recorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (r *recorder) Close() error                     { return nil }
func (r *recorder) LocalAddr() net.Addr              { return nil }
func (r *recorder) RemoteAddr() net.Addr             { return nil }
func (r *recorder) SetDeadline(time.Time) error      { return nil }
func (r *recorder) SetReadDeadline(time.Time) error  { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

// slow is one way of being slow.
type slow struct {
	name string
	addr func(*place) string
	tls  []string // ALPN; nil for no TLS
	head string   // sent at once
	drip string   // then a byte a second of this, again and again
}

func slows(t testing.TB) []slow {
	c2s := func(p *place) string { return p.C2S }
	direct := func(p *place) string { return p.C2STLS }
	web := func(p *place) string { return p.HTTP }
	upgrade := "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
	return []slow{
		{name: "nothing sent", addr: c2s},
		{name: "header dripped", addr: c2s, drip: header},
		{name: "white space dripped", addr: c2s, head: header, drip: " "},
		{name: "element dripped", addr: c2s, head: header, drip: "<auth xmlns='" + strings.Repeat("x", 100)},
		{name: "starttls, then nothing", addr: c2s, head: header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"},
		{name: "direct TLS, nothing sent", addr: direct},
		{name: "direct TLS, half a hello", addr: direct, head: string(hello(t, 60))},
		{name: "direct TLS, hello only", addr: direct, head: string(hello(t, 0))},
		{name: "direct TLS, then nothing", addr: direct, tls: []string{"xmpp-client"}},
		{name: "TLS, SASL dripped", addr: direct, tls: []string{"xmpp-client"}, head: header, drip: "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + strings.Repeat("A", 100)},
		{name: "HTTPS, nothing sent", addr: web},
		{name: "HTTPS, then nothing", addr: web, tls: []string{"http/1.1"}},
		{name: "HTTP header dripped", addr: web, tls: []string{"http/1.1"}, head: "GET / HTTP/1.1\r\nHost: x\r\n", drip: "X-A: b\r\n"},
		{name: "HTTP body dripped", addr: web, tls: []string{"http/1.1"},
			head: "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nOrigin: https://x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n", drip: " "},
		{name: "WebSocket upgrade only", addr: web, tls: []string{"http/1.1"}, head: upgrade},
		{name: "WebSocket frame dripped", addr: web, tls: []string{"http/1.1"}, head: upgrade + "\x81\xfe\x01\x00aaaa", drip: "x"},
		{name: "HTTPS port, XMPP, then nothing", addr: web, tls: []string{"xmpp-client"}},
	}
}

// hold is one slow connection; it returns how long the server bore it.
func (s slow) hold(p *place, until time.Duration) (time.Duration, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source())}}
	c, err := d.Dial("tcp", s.addr(p))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	began := time.Now()
	_ = c.SetDeadline(began.Add(until))
	if s.tls != nil {
		c = tls.Client(c, client.TLSConfig(server.Domain, s.tls...))
	}
	if _, err := io.WriteString(c, s.head); err != nil {
		return 0, err
	}
	gone := make(chan struct{})
	var read error
	go func() {
		defer close(gone)
		_, read = io.Copy(io.Discard, c)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-gone:
			if errors.Is(read, os.ErrDeadlineExceeded) {
				return time.Since(began), read
			}
			return time.Since(began), nil
		case <-tick.C:
			if s.drip != "" {
				_, _ = io.WriteString(c, s.drip[i%len(s.drip):][:1]) // the reader sees the end
			}
		}
	}
}

// X8: who says nothing, or a byte a second, is gone within 31 s, whatever the
// port, and costs next to nothing until then.
func TestX8_slowConnections(t *testing.T) {
	t.Parallel()
	const each = 20
	// 31 s, and what a busy machine adds.
	const limit = 31*time.Second + 15*time.Second
	p := apart(t, 10)
	kinds := slows(t)
	stop := canary(t, p)
	fds, before := p.fds(t), p.rss(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	longest := map[string]time.Duration{}
	for _, k := range kinds {
		for range each {
			wg.Go(func() {
				d, err := k.hold(p, limit)
				mu.Lock()
				defer mu.Unlock()
				longest[k.name] = max(longest[k.name], d)
				if err != nil {
					t.Errorf("%s: still there after %v: %v", k.name, d, err)
				}
			})
		}
	}
	peak := before
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-done:
			tick.Stop()
		case <-tick.C:
			peak = max(peak, p.rss(t))
			continue
		}
		break
	}
	stop()
	n := int64(each * len(kinds))
	t.Logf("%d connections: %d KiB each at most; longest: %v", n, (peak-before)>>10/n, longest)
	// MEM(320 MiB) at 10,000 is 32 KiB each; the canary's logins and the
	// collector's slack come on top of so few.
	if grew := peak - before; grew > 32<<10*n+24<<20 {
		t.Errorf("MEM: %d KiB for %d connections", grew>>10, n)
	}
	if !until(patience, func() bool { return p.fds(t) <= fds }) {
		t.Errorf("%d descriptors open, before it were %d", p.fds(t), fds)
	}
}

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
	const warm, cycles = 2000, 10_000
	p := apart(t, 10)
	listeners := p.sockets(t)
	stop := canary(t, p)
	var list []abort
	for _, a := range aborts() {
		for range a.often {
			list = append(list, a)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	churn := func(n int) {
		work := make(chan abort)
		var wg sync.WaitGroup
		for range 16 {
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
	before, began := p.rss(t), time.Now()
	churn(cycles - warm)
	if !until(patience, settled) {
		t.Errorf("%d descriptors open, before it were %d", p.fds(t), fds)
	}
	grew := p.rss(t) - before
	t.Logf("%d cycles in %v: resident memory %+d KiB, %.0f B a cycle", cycles-warm, time.Since(began).Round(time.Millisecond), grew>>10, float64(grew)/(cycles-warm))
	// A slope below 1 B shows after a million cycles; after so few only a leak of
	// a kilobyte a cycle stands out from the collector's own ups and downs.
	if grew > (cycles-warm)<<10 {
		t.Errorf("a leak: %d bytes after %d cycles", grew, cycles-warm)
	}
	stop()
	if !until(patience, func() bool { return p.sockets(t) <= listeners }) {
		t.Errorf("%d sockets open without a client, before it were %d", p.sockets(t), listeners)
	}
	// Between closing a socket and ending, a goroutine has a few instructions left.
	until(300*time.Millisecond, func() bool { return false })
	p.noGoroutines(t)
}

// noGoroutines ends the server by SIGQUIT, whose last words are its
// goroutines, and looks for those of connections.
func (p *place) noGoroutines(t testing.TB) {
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
}
