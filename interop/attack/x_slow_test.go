package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
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
	half bool     // our sending side is shut down behind head
	deaf bool     // nothing is read
}

func slows(t testing.TB) []slow {
	c2s := func(p *place) string { return p.C2S }
	direct := func(p *place) string { return p.C2STLS }
	web := func(p *place) string { return p.HTTP }
	// In the order of how long they last.
	upgrade := "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
	return []slow{
		{name: "HTTPS port, XMPP, then nothing", addr: web, tls: []string{"xmpp-client"}},
		{name: "direct TLS, then nothing", addr: direct, tls: []string{"xmpp-client"}},
		{name: "TLS, SASL dripped", addr: direct, tls: []string{"xmpp-client"}, head: header, drip: "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + strings.Repeat("A", 100)},
		{name: "WebSocket upgrade only", addr: web, tls: []string{"http/1.1"}, head: upgrade},
		{name: "WebSocket frame dripped", addr: web, tls: []string{"http/1.1"}, head: upgrade + "\x81\xfe\x01\x00aaaa", drip: "x"},
		{name: "WebSocket, then nothing", addr: web, tls: []string{"http/1.1"}, head: upgrade + string(textFrame(wsOpen))},
		{name: "HTTP body dripped", addr: web, tls: []string{"http/1.1"},
			head: "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nOrigin: https://x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n", drip: " "},
		{name: "HTTP request, then nothing", addr: web, tls: []string{"http/1.1"}, head: "GET /api/v1/info HTTP/1.1\r\nHost: x\r\n\r\n"},
		{name: "nothing sent", addr: c2s},
		{name: "header dripped", addr: c2s, drip: header},
		{name: "white space dripped", addr: c2s, head: header, drip: " "},
		{name: "element dripped", addr: c2s, head: header, drip: "<auth xmlns='" + strings.Repeat("x", 100)},
		{name: "HTTP responses never read", addr: web, tls: []string{"http/1.1"}, head: strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 5), drip: "x", deaf: true},
		{name: "HTTPS, then nothing", addr: web, tls: []string{"http/1.1"}},
		{name: "HTTP header dripped", addr: web, tls: []string{"http/1.1"}, head: "GET / HTTP/1.1\r\nHost: x\r\n", drip: "X-A: b\r\n"},
		{name: "starttls, then nothing", addr: c2s, head: header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"},
		{name: "direct TLS, hello only", addr: direct, head: string(hello(t, 0))},
		{name: "direct TLS, half a hello", addr: direct, head: string(hello(t, 60))},
		{name: "direct TLS, nothing sent", addr: direct},
		{name: "HTTPS, nothing sent", addr: web},
		{name: "half closed", addr: c2s, half: true},
		{name: "half closed behind a header", addr: c2s, head: header, half: true},
	}
}

// open dials and sends the head, then hands the connection to hold; the time
// it began is the server's, too.
func (s slow) open(p *place) (net.Conn, time.Time, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source())}}
	c, err := d.Dial("tcp", s.addr(p))
	if err != nil {
		return nil, time.Time{}, err
	}
	began := time.Now()
	if s.tls != nil {
		c = tls.Client(c, client.TLSConfig(server.Domain, s.tls...))
	}
	_ = c.SetDeadline(began.Add(patience))
	if _, err = io.WriteString(c, s.head); err == nil && s.half {
		err = c.(*net.TCPConn).CloseWrite()
	}
	if err != nil {
		_ = c.Close()
		return nil, began, err
	}
	return c, began, nil
}

// hold drips and waits until the server has had enough, or the limit is over;
// it returns how long the server bore it.
func (s slow) hold(c net.Conn, began time.Time, limit time.Duration) (time.Duration, error) {
	_ = c.SetDeadline(began.Add(limit))
	defer c.Close()
	gone := make(chan struct{})
	var read error
	if !s.deaf {
		go func() {
			defer close(gone)
			_, read = io.Copy(io.Discard, c)
		}()
	}
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
			if s.drip == "" {
				continue
			}
			_, err := io.WriteString(c, s.drip[i%len(s.drip):][:1])
			if s.deaf && err != nil { // else the reader sees the end
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					err = nil
				}
				return time.Since(began), err
			}
		}
	}
}

// X8: who says nothing, or a byte a second, is gone within 31 s, whatever the
// port, and costs next to nothing until then.
func TestX8_slowConnections(t *testing.T) {
	t.Parallel()
	kinds := slows(t)
	each := scaled(20, 500)
	limit := time.Duration(scaled(46, 31)) * time.Second // a busy machine adds to the 31 s
	p := apart(t, 10)
	stop := canary(t, p)
	fds, before := p.fds(t), p.rss(t)
	longest, early, peak, most := p.besiege(t, kinds, each, limit)
	r := stop()
	n := int64(each * len(kinds))
	slowest := ""
	for _, k := range slices.Sorted(maps.Keys(longest)) {
		t.Logf("%-32s gone after %v at most", k, longest[k].Round(10*time.Millisecond))
		if slowest == "" || longest[k] > longest[slowest] {
			slowest = k
		}
	}
	grew := peak - before
	t.Logf("%d connections, %d at once, %d ended before all was sent: %d KiB each at most", n, most, early, grew>>10/n)
	// MEM(320 MiB) at 10,000 is 32 KiB each; the canary's logins and the
	// collector's slack come on top of so few.
	if bar := 32<<10*n + int64(scaled(24<<20, 0)); grew > bar {
		t.Errorf("MEM: %s for %d connections, limit %s", mib(grew), n, mib(bar))
	}
	if early > n/10 {
		t.Errorf("%d of %d connections never came so far as to be slow", early, n)
	}
	if !until(patience, func() bool { return p.fds(t) <= fds }) {
		t.Errorf("%d descriptors open, before it were %d", p.fds(t), fds)
	}
	back := p.recovers(t, before)
	if *full {
		back += ", after the same again " + p.again(t, kinds, each, limit)
	}
	measured("X8", fmt.Sprintf("%d connections from %d addresses of 127/8, %d kinds, a byte a second; %d at once", n, n, len(kinds), most),
		fmt.Sprintf("last gone after %.1f s (%s); RSS %s → %s (+%s), %s; %s", longest[slowest].Seconds(), slowest, mib(before), mib(peak), mib(grew), back, r.health()),
		"≤ 31 s; RSS ≤ +320 MiB, within 10 % of baseline ≤ 60 s after; CANARY")
}

// besiege holds so many connections of each kind; it returns how long each
// kind was borne, how many ended before they were open, and the peaks of memory
// and of descriptors.
func (p *place) besiege(t *testing.T, kinds []slow, each int, limit time.Duration) (longest map[string]time.Duration, early, peak int64, most int) {
	longest = map[string]time.Duration{}
	var wg sync.WaitGroup
	var mu sync.Mutex
	one := func(k slow) {
		c, began, err := k.open(p)
		var d time.Duration
		if err == nil {
			d, err = k.hold(c, began, limit)
		} else {
			d = time.Since(began)
		}
		mu.Lock()
		defer mu.Unlock()
		longest[k.name] = max(longest[k.name], d)
		switch {
		case c == nil:
			early++
		case err != nil:
			t.Errorf("%s: still there after %v: %v", k.name, d, err)
		}
	}
	wg.Go(func() {
		for _, k := range kinds { // the ones that last come first, so that all are there at once
			pace := time.Second / 1500
			if k.tls != nil { // handshakes are no part of this attack
				pace = time.Second / 300
			}
			tick := time.NewTicker(pace)
			for range each {
				<-tick.C
				wg.Go(func() { one(k) })
			}
			tick.Stop()
		}
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return longest, early, peak, most
		case <-tick.C:
			peak, most = max(peak, p.rss(t)), max(most, p.fds(t))
		}
	}
}

var rssLines = regexp.MustCompile(`Rss\w+:\s+\d+ kB`)

// again repeats the attack: what the first left behind is used again, and is no leak.
func (p *place) again(t *testing.T, kinds []slow, each int, limit time.Duration) string {
	first := p.rss(t)
	_, _, _, _ = p.besiege(t, kinds, each, limit)
	low := first * 2
	bar := first + first/10
	if !until(60*time.Second, func() bool { low = min(low, p.rss(t)); return low <= bar }) {
		t.Errorf("MEM: %s resident 60 s after a second time, %s after the first", mib(low), mib(first))
	}
	return mib(low)
}

// recovers waits for MEM's second half: resident memory is back within 10 % of
// what it was 60 s after the attack. A tenth of a server that has done nothing
// yet is 2 MiB: 24 MiB are granted for what Go keeps of 10,000 goroutines that
// have ended and of the pages of the program that were not needed before.
func (p *place) recovers(t testing.TB, before int64) string {
	t.Helper()
	if !*full {
		return "not waited for"
	}
	bar := max(before+before/10, before+24<<20)
	began, low := time.Now(), p.rss(t)
	if !until(60*time.Second, func() bool { low = min(low, p.rss(t)); return low <= bar }) {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid))
		t.Errorf("MEM: %s resident 60 s after it, before it were %s; %q", mib(low), mib(before), rssLines.FindAllString(string(status), -1))
	}
	return fmt.Sprintf("%s %.0f s after", mib(low), time.Since(began).Seconds())
}
