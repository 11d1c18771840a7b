package c2s_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

const (
	header   = "<?xml version='1.0'?><stream:stream to='acme.test' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	bindIQ   = "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>phone</resource></bind></iq>"
	enableSM = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
	message  = "<message to='bob@acme.test' type='chat'><body>hi</body></message>"
)

func authPlain(user, pass string) string {
	return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
		base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+pass)) + "</auth>"
}

// connect opens a TCP connection and sends nothing.
func (b *bench) connect() *client.Conn {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b.t.Cleanup(cancel)
	c, err := client.Connect(ctx, b.addr, edgetest.Domain, "")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	return c
}

// opened has got as far as the first features.
func (b *bench) opened() *client.Conn {
	b.t.Helper()
	c := b.connect()
	if err := c.OpenStream(); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// secured has got as far as the features under TLS.
func (b *bench) secured() *client.Conn {
	b.t.Helper()
	c := b.opened()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b.t.Cleanup(cancel)
	if err := c.StartTLS(ctx); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// authed has logged in and got the features for binding.
func (b *bench) authed() *client.Conn {
	b.t.Helper()
	c := b.secured()
	if err := c.Auth("PLAIN", "alice", edgetest.Password); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// bound has bound alice@acme.test/phone.
func (b *bench) bound() *client.Conn {
	b.t.Helper()
	c := b.authed()
	if _, err := c.Bind("phone"); err != nil {
		b.t.Fatal(err)
	}
	return c
}

func send(t *testing.T, c *client.Conn, s string) {
	t.Helper()
	if err := c.Send(s); err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, c *client.Conn) *client.Node {
	t.Helper()
	n, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantFailure(t *testing.T, c *client.Conn, condition string) {
	t.Helper()
	if n := next(t, c); n.Name.Local != "failure" || n.Kid("", condition) == nil {
		t.Fatalf("%v, want failure %s (RFC 6120 §6.5)", n, condition)
	}
}

func TestHeader_answer(t *testing.T) {
	b := start(t)
	seen := map[string]bool{}
	for range 3 {
		c := b.opened()
		id := c.Header.Get("id")
		if len(id) < 22 || seen[id] {
			t.Errorf("stream id %q: want 128 fresh random bits (RFC 6120 §4.7.3)", id)
		}
		seen[id] = true
		if c.Header.Get("from") != "acme.test" || c.Header.Get("version") != "1.0" {
			t.Errorf("header %v", c.Header)
		}
		s := c.Features.String()
		if !strings.Contains(s, "<required/>") || strings.Contains(s, "mechanism") || !strings.Contains(s, "<max-bytes>10000</max-bytes>") {
			t.Errorf("features before TLS: %s", s)
		}
	}
}

func TestHeader_refusals(t *testing.T) {
	const ns = " xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
	b := start(t)
	for _, c := range []struct{ name, header, condition string }{
		{"no version", "<stream:stream to='acme.test'" + ns + ">", "unsupported-version"},
		{"version 0.9", "<stream:stream to='acme.test' version='0.9'" + ns + ">", "unsupported-version"},
		{"version nonsense", "<stream:stream to='acme.test' version='1'" + ns + ">", "unsupported-version"},
		{"no to", "<stream:stream version='1.0'" + ns + ">", "improper-addressing"},
		{"bad to", "<stream:stream to='a@@b' version='1.0'" + ns + ">", "improper-addressing"},
		{"other host", "<stream:stream to='other.test' version='1.0'" + ns + ">", "host-unknown"},
		{"person as host", "<stream:stream to='alice@acme.test' version='1.0'" + ns + ">", "host-unknown"},
		{"bad from", "<stream:stream from='@' to='acme.test' version='1.0'" + ns + ">", "invalid-from"},
		{"server namespace", "<stream:stream to='acme.test' version='1.0' xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>", "invalid-namespace"},
		{"no content namespace", "<stream:stream to='acme.test' version='1.0' xmlns:stream='http://etherx.jabber.org/streams'>", "invalid-namespace"},
		{"wrong stream namespace", "<stream:stream to='acme.test' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/stream'>", "invalid-namespace"},
		{"unbound prefix", "<stream:stream to='acme.test' version='1.0' xmlns='jabber:client'>", "bad-namespace-prefix"},
		{"other element", "<stream:features to='acme.test' version='1.0'" + ns + ">", "bad-format"},
		{"doctype", "<!DOCTYPE stream [<!ENTITY a 'b'>]><stream:stream>", "restricted-xml"},
		{"processing instruction", "<?php echo 1 ?>", "restricted-xml"},
		{"not XML", "GET / HTTP/1.1\r\nHost: acme.test\r\n\r\n", "not-well-formed"},
		{"latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?><stream:stream>", "unsupported-encoding"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := b.connect()
			send(t, conn, c.header)
			var se *client.StreamError
			if err := conn.ReadHeader(); !errors.As(err, &se) || se.Node.Condition() != c.condition {
				t.Fatalf("%v, want %s", err, c.condition)
			}
			if se.Node.Path("text").Text == "" {
				t.Error("no text says what to do")
			}
		})
	}
}

func TestHeader_higherVersionAndForeignPrefixAreFine(t *testing.T) {
	b := start(t)
	c := b.connect()
	send(t, c, "<s:stream to='ACME.test' from='alice@acme.test' version='2.10' xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>")
	if err := c.ReadHeader(); err != nil {
		t.Fatal(err)
	}
	if c.Header.Get("version") != "1.0" || c.Header.Get("to") != "alice@acme.test" {
		t.Errorf("header %v", c.Header)
	}
}

// permutations of n indices.
func permutations(n int) (out [][]int) {
	var walk func(done, left []int)
	walk = func(done, left []int) {
		if len(left) == 0 {
			out = append(out, append([]int(nil), done...))
		}
		for i := range left {
			rest := append(append([]int(nil), left[:i]...), left[i+1:]...)
			walk(append(done[:len(done):len(done)], left[i]), rest)
		}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	walk(nil, all)
	return out
}

// TestNegotiation_wrongOrders is HARDENING X10 under TLS: of the orders of
// login, new header, binding, stream management and a message only the right one is let through.
func TestNegotiation_wrongOrders(t *testing.T) {
	b := start(t)
	parts := []string{authPlain("alice", edgetest.Password), header, bindIQ, enableSM, message}
	for _, order := range permutations(len(parts)) {
		c := b.secured()
		var all strings.Builder
		for _, i := range order {
			all.WriteString(parts[i])
		}
		send(t, c, all.String()+"</stream:stream>")
		text, err := io.ReadAll(c.Conn)
		if err != nil {
			t.Fatal(order, err)
		}
		// XEP-0198 §3: <enable/> before login or binding is refused, and the stream goes on.
		rest := slices.DeleteFunc(slices.Clone(order), func(i int) bool { return i == 3 })
		right := slices.Equal(rest, []int{0, 1, 2, 4}) && order[1] != 3
		if right {
			if !strings.Contains(string(text), "alice@acme.test/phone") || strings.Contains(string(text), "<stream:error>") {
				t.Errorf("%v: %s", order, text)
			}
			continue
		}
		if !strings.Contains(string(text), "<stream:error>") || strings.Contains(string(text), "alice@acme.test/phone") {
			t.Errorf("%v: %s", order, text)
		}
	}
	for _, e := range b.core.Events() {
		if strings.HasPrefix(e, "flush") && !strings.HasSuffix(e, "alice@acme.test/phone") {
			t.Errorf("a message was routed before its session was bound: %s", e)
		}
	}
}

func TestStanza_beforeLoginAndBinding(t *testing.T) {
	b := start(t)
	for name, open := range map[string]func() *client.Conn{"plain": b.opened, "tls": b.secured, "login": b.authed} {
		for _, s := range []string{message, "<presence/>", "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"} {
			t.Run(name, func(t *testing.T) {
				c := open()
				send(t, c, s)
				closedWith(t, c, "not-authorized") // RFC 6120 §4.9.3.12, §7.1
			})
		}
	}
}

func TestSTARTTLS_injectedBytesAreNeverLookedAt(t *testing.T) {
	for name, s := range map[string]string{
		"stanza": message, "header": header, "space": " ", "half": "<auth", "zero": "\x00", "twice": starttls,
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			c := b.opened()
			send(t, c, starttls+s)
			closedWith(t, c, "policy-violation")
			if len(b.core.Events()) > 0 {
				t.Errorf("%v", b.core.Events())
			}
		})
	}
}

func TestSTARTTLS_garbageInsteadOfAHandshakeClosesQuietly(t *testing.T) {
	b := start(t)
	c := b.opened()
	send(t, c, starttls)
	if n := next(t, c); n.Name.Local != "proceed" {
		t.Fatal(n)
	}
	send(t, c, message)
	if rest, _ := io.ReadAll(c.Conn); strings.Contains(string(rest), "stream") {
		t.Errorf("%q in plain text after <proceed/>", rest)
	}
}

func TestSTARTTLS_secondTime(t *testing.T) {
	b := start(t)
	c := b.secured()
	if strings.Contains(c.Features.String(), "starttls") {
		t.Error("STARTTLS is offered under TLS")
	}
	send(t, c, starttls)
	closedWith(t, c, "not-authorized")
}

func TestLogin_neverInPlainText(t *testing.T) {
	b := start(t)
	c := b.opened()
	send(t, c, authPlain("alice", edgetest.Password))
	wantFailure(t, c, "encryption-required") // RFC 6120 §6.5.3
	send(t, c, bindIQ)
	closedWith(t, c, "not-authorized")
}

func TestLogin_inPlainTextWhereItIsPermitted(t *testing.T) {
	b := start(t, func(c *c2s.Config) { c.Plaintext = true })
	for _, mech := range []string{"PLAIN", "SCRAM-SHA-1"} {
		c := b.login("alice", "", func(o *client.Options) { o.NoTLS, o.Mechanism = true, mech })
		if err := c.Fence(patience); err != nil {
			t.Fatal(err)
		}
	}
	s := b.opened().Features.String()
	if !strings.Contains(s, "starttls") || strings.Contains(s, "required") || !strings.Contains(s, "SCRAM-SHA-1") || strings.Contains(s, "PLUS") {
		t.Errorf("%s", s)
	}
}

func TestLogin_failures(t *testing.T) {
	b := start(t)
	auth := func(mech, text string) string {
		return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mech + "'>" + text + "</auth>"
	}
	response := func(text string) string {
		return "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + text + "</response>"
	}
	scram := base64.StdEncoding.EncodeToString([]byte("n,,n=alice,r=abcdef"))
	for _, c := range []struct {
		name      string
		parts     []string // each is answered; all but the last by a challenge
		condition string
	}{
		{"wrong password", []string{authPlain("alice", "no")}, "not-authorized"},
		{"unknown", []string{authPlain("nobody", "no")}, "not-authorized"},
		{"disabled", []string{authPlain("dave", edgetest.Password)}, "account-disabled"},
		{"mechanism", []string{auth("DIGEST-MD5", "")}, "invalid-mechanism"},
		{"no mechanism", []string{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"}, "invalid-mechanism"},
		{"encoding", []string{auth("PLAIN", "!!!")}, "incorrect-encoding"},
		{"empty message", []string{auth("PLAIN", "=")}, "malformed-request"},
		{"elements inside", []string{auth("PLAIN", "<x/>")}, "malformed-request"},
		{"abort", []string{auth("SCRAM-SHA-256", scram), "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"}, "aborted"},
		{"auth again", []string{auth("SCRAM-SHA-256", scram), auth("SCRAM-SHA-256", scram)}, "malformed-request"},
		{"empty proof", []string{auth("SCRAM-SHA-256", scram), response("")}, "not-authorized"},
		{"no initial response", []string{auth("PLAIN", ""), response("=")}, "malformed-request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := b.secured()
			for i, p := range c.parts {
				send(t, conn, p)
				if i < len(c.parts)-1 {
					if n := next(t, conn); n.Name.Local != "challenge" {
						t.Fatal(n)
					}
				}
			}
			wantFailure(t, conn, c.condition)
			// RFC 6120 §6.4.5: the stream stays, another try is possible.
			if err := conn.Auth("SCRAM-SHA-1", "alice", edgetest.Password); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestLogin_tooManyFailures(t *testing.T) {
	b := start(t)
	c := b.secured()
	for range 5 {
		send(t, c, authPlain("alice", "no"))
		wantFailure(t, c, "not-authorized")
	}
	closedWith(t, c, "policy-violation")
}

func TestLogin_limiterAndBrokenStore(t *testing.T) {
	b := start(t)
	b.people.Limited = edgetest.Limit()
	c := b.secured()
	send(t, c, authPlain("alice", edgetest.Password))
	wantFailure(t, c, sasl.TemporaryAuthFailure)
}

func TestLimits_beforeLogin(t *testing.T) {
	pad := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		name string
		tls  bool
		s    string
		want string
	}{
		{"long element", false, "<x xmlns='a'>" + pad(10000) + "</x>", "policy-violation"},
		{"never ending element", false, "<x xmlns='a'>" + pad(20000), "policy-violation"},
		{"never ending name", true, "<" + pad(70000), "policy-violation"},
		{"never ending attribute", true, "<auth a='" + pad(70000), "policy-violation"},
		{"long element under TLS", true, "<x xmlns='a'>" + pad(10000) + "</x>", "policy-violation"},
		{"never ending element under TLS", true, "<x xmlns='a'>" + pad(10100), "policy-violation"},
		{"login longer than 64 KiB", true, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + pad(65536) + "</auth>", "policy-violation"},
		{"33 elements inside", true, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + strings.Repeat("<a/>", 32) + "</auth>", "policy-violation"},
		{"deep", true, strings.Repeat("<a xmlns='a'>", 51), "policy-violation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := start(t)
			conn := b.opened()
			if c.tls {
				conn = b.secured()
			}
			// The server may be gone before all of it is written.
			_ = conn.Send(c.s)
			closedWith(t, conn, c.want)
		})
	}
	t.Run("64 KiB in a login", func(t *testing.T) {
		b := start(t)
		c := b.secured()
		send(t, c, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"+base64.StdEncoding.EncodeToString(make([]byte, 45000))+"</auth>")
		wantFailure(t, c, "malformed-request")
	})
	t.Run("33 elements one after another", func(t *testing.T) {
		b := start(t, func(c *c2s.Config) { c.Limits.Attempts = 100 })
		c := b.secured()
		for range 31 { // <starttls/> was the first
			send(t, c, authPlain("alice", "no"))
			wantFailure(t, c, "not-authorized")
		}
		send(t, c, authPlain("alice", "no"))
		closedWith(t, c, "policy-violation")
	})
}

// RFC 6120 §6.4.5 limits attempts. A client that goes through mechanisms with a binding
// there is none of gets to one it can do; nobody gets to do that for ever.
func TestLogin_refusedBindingIsNoAttempt(t *testing.T) {
	b := start(t)
	unique := func() string {
		text := base64.StdEncoding.EncodeToString([]byte("p=tls-unique,,n=alice,r=abcdef"))
		return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1-PLUS'>" + text + "</auth>"
	}
	c := b.secured()
	for range 6 {
		send(t, c, unique())
		wantFailure(t, c, "not-authorized")
	}
	for range 3 {
		send(t, c, authPlain("alice", "no"))
		wantFailure(t, c, "not-authorized")
	}
	send(t, c, authPlain("alice", edgetest.Password))
	if n := next(t, c); n.Name.Local != "success" {
		t.Fatal(n)
	}
	c = b.secured()
	for range 20 {
		send(t, c, unique())
		wantFailure(t, c, "not-authorized")
	}
	closedWith(t, c, "policy-violation")
}

func TestRestart_toAnotherHostOrPerson(t *testing.T) {
	b := start(t)
	for _, c := range [][2]string{
		{strings.Replace(header, "acme.test", "other.test", 1), "host-unknown"}, // HARDENING X11
		{strings.Replace(header, "to=", "from='bob@acme.test' to=", 1), "invalid-from"},
	} {
		conn := b.secured()
		send(t, conn, authPlain("alice", edgetest.Password))
		if n := next(t, conn); n.Name.Local != "success" {
			t.Fatal(n)
		}
		send(t, conn, c[0])
		var se *client.StreamError
		if err := conn.ReadHeader(); !errors.As(err, &se) || se.Node.Condition() != c[1] {
			t.Fatalf("%v, want %s", err, c[1])
		}
	}
}

func TestFeed_byteByByteAndAllAtOnce(t *testing.T) {
	b := start(t, func(c *c2s.Config) { c.Plaintext = true })
	all := " " + header + authPlain("alice", edgetest.Password) + "\r\n " + header + bindIQ + enableSM + message + "<r xmlns='urn:xmpp:sm:3'/></stream:stream>"
	all = all[1:]
	for _, step := range []int{1, 2, 3, 7, 100, len(all)} {
		conn, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_ = conn.(*net.TCPConn).SetNoDelay(true)
		for i := 0; i < len(all); i += step {
			if _, err := io.WriteString(conn, all[i:min(i+step, len(all))]); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"<success", "alice@acme.test/phone", "<enabled", "<a xmlns='urn:xmpp:sm:3' h='1'/>", "</stream:stream>"} {
			if !strings.Contains(string(text), part) {
				t.Errorf("steps of %d: %s is missing in %s", step, part, text)
			}
		}
		conn.Close()
	}
}

func TestNegotiation_deadline(t *testing.T) {
	b := start(t, func(c *c2s.Config) {
		c.Limits.Negotiation, c.Limits.Handshake = 300*time.Millisecond, 200*time.Millisecond
	})
	silent, slow, half := b.connect(), b.secured(), b.opened()
	send(t, half, "<auth")
	var se *client.StreamError
	if err := silent.ReadHeader(); !errors.As(err, &se) || se.Node.Condition() != "connection-timeout" {
		t.Errorf("%v", err)
	}
	closedWith(t, slow, "connection-timeout")
	closedWith(t, half, "connection-timeout")
	hello := b.opened()
	send(t, hello, starttls)
	next(t, hello)
	if rest, err := io.ReadAll(hello.Conn); err != nil || len(rest) > 0 {
		t.Errorf("%q %v, want a quiet end of a handshake that never comes", rest, err)
	}
	direct, err := net.Dial("tcp", b.direct)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	_ = direct.SetDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(direct); err != nil {
		t.Errorf("direct TLS: %v", err)
	}
}
