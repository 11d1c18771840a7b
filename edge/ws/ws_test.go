package ws_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/edge/ws"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

type core struct{ *edgetest.Core }

func (c core) Open(s *session.Session) c2s.Inlet { return c.Core.Open(s) }

// listener gives net/http what edge/http gives it.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return edge.NewConn(c), nil
}

type bench struct {
	t    *testing.T
	core *edgetest.Core
	gate *edge.Gate
	addr string
}

func start(t *testing.T, change ...func(*c2s.Config)) *bench {
	t.Helper()
	keys := edgetest.Keys(t)
	b := &bench{t: t, core: edgetest.NewCore(), gate: edge.NewGate(edge.DefaultGate())}
	people := &edgetest.People{Tokens: map[string]jid.JID{"good-token": jid.MustParse("alice@acme.test")}}
	conf := c2s.Config{
		Domain: jid.MustParse(edgetest.Domain), Core: core{b.core}, Keys: keys, Gate: b.gate,
		Credentials: func(netip.Addr) sasl.Credentials { return people },
		Devices:     people, Upgrades: people,
		Limits: c2s.DefaultLimits(), Log: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&conf)
	}
	srv, err := c2s.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	web := &http.Server{
		Handler: &ws.Handler{Server: srv, Gate: b.gate, Origins: []string{"https://chat.example"}, Log: conf.Log, Context: ctx},
	}
	done := make(chan error, 1)
	go func() { done <- web.Serve(tls.NewListener(listener{ln}, keys.Config(0, "http/1.1"))) }()
	t.Cleanup(func() {
		web.Close()
		end, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		srv.Shutdown(end)
		cancel()
		<-done
		if n := srv.Connections(); n != 0 {
			t.Errorf("%d connections left", n)
		}
		if n := b.gate.Inside(); n != 0 {
			t.Errorf("%d places at the gate are not given back", n)
		}
	})
	return b
}

// peer is a WebSocket client that sees bytes.
type peer struct {
	t *testing.T
	net.Conn
	r io.Reader
}

func (b *bench) dial() *peer {
	b.t.Helper()
	d := gobwas.Dialer{Protocols: []string{"xmpp"}, TLSConfig: &tls.Config{InsecureSkipVerify: true}}
	c, br, hs, err := d.Dial(context.Background(), "wss://"+b.addr+"/ws")
	if err != nil {
		b.t.Fatal(err)
	}
	if hs.Protocol != "xmpp" {
		b.t.Fatalf("subprotocol %q", hs.Protocol)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	p := &peer{t: b.t, Conn: c, r: c}
	if br != nil {
		p.r = io.MultiReader(br, c)
	}
	b.t.Cleanup(func() { c.Close() })
	return p
}

func (p *peer) say(s string) {
	p.t.Helper()
	if err := wsutil.WriteClientText(p.Conn, []byte(s)); err != nil {
		p.t.Fatal(err)
	}
}

// hear reads one frame.
func (p *peer) hear() (gobwas.OpCode, string) {
	p.t.Helper()
	f, err := gobwas.ReadFrame(p.r)
	if err != nil {
		p.t.Fatal(err)
	}
	if f.Header.Masked || !f.Header.Fin {
		p.t.Fatalf("frame %+v: a server's frames are unmasked, ours are whole", f.Header)
	}
	return f.Header.OpCode, string(f.Payload)
}

func (p *peer) wants(parts ...string) string {
	p.t.Helper()
	op, s := p.hear()
	if op != gobwas.OpText {
		p.t.Fatalf("frame of kind %d %q, want text with %q", op, s, parts)
	}
	for _, part := range parts {
		if !strings.Contains(s, part) {
			p.t.Fatalf("%s\nlacks %s", s, part)
		}
	}
	return s
}

// closed wants a close frame and the end.
func (p *peer) closed(code gobwas.StatusCode) {
	p.t.Helper()
	op, s := p.hear()
	if op != gobwas.OpClose || len(s) < 2 || gobwas.StatusCode(s[0])<<8|gobwas.StatusCode(s[1]) != code {
		p.t.Fatalf("frame of kind %d %q, want close %d", op, s, code)
	}
	p.gone()
}

func (p *peer) gone() {
	p.t.Helper()
	if _, err := gobwas.ReadFrame(p.r); err == nil {
		p.t.Error("the connection stays open")
	}
}

const open = `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="acme.test" version="1.0"/>`

func (p *peer) open() string {
	p.t.Helper()
	p.say(open)
	p.wants("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'", "from=", "acme.test", "id=")
	return p.wants("<stream:features xmlns:stream='http://etherx.jabber.org/streams'>")
}

func (p *peer) login(resource string) {
	p.t.Helper()
	f := p.open()
	if !strings.Contains(f, "OAUTHBEARER") || !strings.Contains(f, "SCRAM-SHA-256-PLUS") || strings.Contains(f, "starttls") {
		p.t.Fatalf("features %s", f)
	}
	msg := base64.StdEncoding.EncodeToString([]byte("n,,\x01auth=Bearer good-token\x01\x01"))
	p.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='OAUTHBEARER'>" + msg + "</auth>")
	p.wants("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'")
	if f := p.open(); !strings.Contains(f, "<bind ") || !strings.Contains(f, "urn:xmpp:sm:3") {
		p.t.Fatalf("features %s", f)
	}
	p.say("<iq xmlns='jabber:client' type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>")
	p.wants("<iq xmlns='jabber:client'", "alice@acme.test/"+resource)
}

func TestStream_fromOpenToClose(t *testing.T) {
	b := start(t)
	p := b.dial()
	p.login("tab")
	p.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	p.wants("<enabled", "id=")
	p.say("<message xmlns='jabber:client' to='alice@acme.test/tab' type='chat' id='m1'><body>a&lt;b</body></message>")
	p.wants("<message xmlns='jabber:client'", "<body>a&lt;b</body>")
	p.wants("<r xmlns='urn:xmpp:sm:3'/>")
	p.say("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	p.say("<r xmlns='urn:xmpp:sm:3'/>")
	p.wants("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	p.say("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
	p.wants("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>") // RFC 7395 §3.6
	p.closed(gobwas.StatusNormalClosure)
	if !b.core.Await("end alice@acme.test/tab", patience) {
		t.Error("the session did not end")
	}
}

// RFC 6120 §4.7.4: the language of the last <open/> is the session's, and ours names one.
func TestStream_language(t *testing.T) {
	b := start(t)
	p := b.dial()
	in := func(lang string) {
		p.say(strings.Replace(open, " to=", " xml:lang='"+lang+"' to=", 1))
		p.wants("<open ", "xml:lang='en'")
		p.wants("<stream:features")
	}
	in("fr")
	msg := base64.StdEncoding.EncodeToString([]byte("n,,\x01auth=Bearer good-token\x01\x01"))
	p.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='OAUTHBEARER'>" + msg + "</auth>")
	p.wants("<success ")
	in("de")
	p.say("<iq xmlns='jabber:client' type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>tab</resource></bind></iq>")
	p.wants("alice@acme.test/tab")
	p.say("<enable xmlns='urn:xmpp:sm:3' resume='true' max='7'/>")
	p.wants("<enabled", "max='7'") // XEP-0198 §3
	s := b.core.Session("alice@acme.test/tab")
	if got := s.Language(); got != "de" {
		t.Errorf("the session speaks %q", got)
	}
}

func TestStream_leftPageCanBeResumed(t *testing.T) {
	b := start(t)
	p := b.dial()
	p.login("tab")
	p.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	p.wants("<enabled")
	if err := gobwas.WriteFrame(p, gobwas.MaskFrame(gobwas.NewCloseFrame(gobwas.NewCloseFrameBody(gobwas.StatusGoingAway, "")))); err != nil {
		t.Fatal(err)
	}
	p.closed(gobwas.StatusGoingAway)
	if !b.core.Await("detach alice@acme.test/tab", patience) {
		t.Error("the session did not hibernate")
	}
}

func TestFrames_fragmentsByteByByteAndControlBetween(t *testing.T) {
	b := start(t)
	p := b.dial()
	p.login("tab")
	msg := "<iq xmlns='jabber:client' type='get' id='i1' to='acme.test'><ping xmlns='urn:xmpp:ping'/></iq>"
	send := func(op gobwas.OpCode, fin bool, s string) {
		t.Helper()
		f := gobwas.NewFrame(op, fin, []byte(s))
		raw, err := gobwas.CompileFrame(gobwas.MaskFrame(f))
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw {
			if _, err := p.Write(raw[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(gobwas.OpText, false, msg[:10])
	send(gobwas.OpPing, true, "hello")
	send(gobwas.OpContinuation, false, "")
	send(gobwas.OpContinuation, false, msg[10:60])
	send(gobwas.OpPong, true, "")
	send(gobwas.OpContinuation, true, msg[60:])
	if op, s := p.hear(); op != gobwas.OpPong || s != "hello" {
		t.Fatalf("%d %q, want the pong (RFC 6455 §5.5.3)", op, s)
	}
	p.wants("type='result'", "id='i1'")
	// Several messages in one TLS record.
	var all []byte
	for range 20 {
		raw, _ := gobwas.CompileFrame(gobwas.MaskFrame(gobwas.NewTextFrame([]byte(msg))))
		all = append(all, raw...)
	}
	if _, err := p.Write(all); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		p.wants("type='result'")
	}
}

func TestFrames_violations(t *testing.T) {
	masked := func(f gobwas.Frame) []byte { b, _ := gobwas.CompileFrame(gobwas.MaskFrame(f)); return b }
	cases := map[string]struct {
		raw  []byte
		code gobwas.StatusCode
	}{
		"unmasked":            {gobwas.MustCompileFrame(gobwas.NewTextFrame([]byte(open))), 1002},
		"binary":              {masked(gobwas.NewBinaryFrame([]byte(open))), 1003},
		"reserved bit":        {[]byte{0xc1, 0x80, 0, 0, 0, 0}, 1002},
		"reserved opcode":     {[]byte{0x83, 0x80, 0, 0, 0, 0}, 1002},
		"reserved control":    {[]byte{0x8b, 0x80, 0, 0, 0, 0}, 1002},
		"long control":        {[]byte{0x89, 0xfe, 0, 126, 0, 0, 0, 0}, 1002},
		"fragmented control":  {[]byte{0x09, 0x80, 0, 0, 0, 0}, 1002},
		"continuation first":  {[]byte{0x80, 0x80, 0, 0, 0, 0}, 1002},
		"text within message": {append([]byte{0x01, 0x80, 0, 0, 0, 0}, 0x81, 0x80, 0, 0, 0, 0), 1002},
		"one byte of code":    {[]byte{0x88, 0x81, 0, 0, 0, 0, 3}, 1002},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			p := b.dial()
			if _, err := p.Write(c.raw); err != nil {
				t.Fatal(err)
			}
			p.closed(c.code)
		})
	}
}

func TestFrames_declaredLengthIsRefusedAtOnce(t *testing.T) {
	for name, raw := range map[string][]byte{
		"2^63":       {0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4},
		"2^63-1":     {0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4},
		"1 MiB":      {0x81, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3, 4},
		"two pieces": append(append([]byte{0x01, 0xfe, 0xff, 0xff, 0, 0, 0, 0}, make([]byte, 65535)...), 0x80, 0x84, 0, 0, 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			p := b.dial()
			if _, err := p.Write(raw); err != nil {
				t.Fatal(err)
			}
			p.wants("<open ")
			p.wants("<stream:error xmlns:stream='http://etherx.jabber.org/streams'>", "policy-violation")
			p.wants("<close ")
			p.closed(gobwas.StatusNormalClosure)
		})
	}
}

func TestMessages_oneElementEach(t *testing.T) {
	for name, c := range map[string][2]string{
		"two":        {open + open, "not-well-formed"},
		"half":       {open[:20], "not-well-formed"},
		"empty":      {"", "not-well-formed"},
		"space":      {" " + open, "not-well-formed"},
		"tcp header": {"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='acme.test' version='1.0'/>", ""},
		"no open":    {"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>", "not-authorized"},
		"namespace":  {"<open to='acme.test' version='1.0'/>", "invalid-namespace"},
		"doctype":    {"<!DOCTYPE open><open/>", "restricted-xml"},
		"comment":    {"<!-- -->", "restricted-xml"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			p := b.dial()
			p.say(c[0])
			p.wants("<open ")
			p.wants("<stream:error", c[1])
			p.wants("<close ")
			p.closed(gobwas.StatusNormalClosure)
		})
	}
}

func TestHandshake_whoMayConnect(t *testing.T) {
	b := start(t)
	for _, c := range []struct {
		protocol, origin string
		status           int
	}{
		{"xmpp", "", 101},
		{"chat, xmpp", "https://" + b.addr, 101},
		{"xmpp", "https://chat.example", 101},
		{"", "", 400},
		{"chat", "", 400},
		{"xmpp", "https://evil.test", 403},
		{"xmpp", "http://" + b.addr, 403},
		{"xmpp", "null", 403},
		{"xmpp", "https://" + b.addr + ".evil.test", 403},
	} {
		conn, err := tls.Dial("tcp", b.addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		r, _ := http.NewRequest("GET", "https://"+b.addr+"/ws", nil)
		for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": c.protocol, "Origin": c.origin,
			"Sec-WebSocket-Extensions": "permessage-deflate"} {
			if v != "" {
				r.Header.Set(k, v)
			}
		}
		if err := r.Write(conn); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, _ := conn.Read(buf)
		got := string(buf[:n])
		if !strings.HasPrefix(got, "HTTP/1.1 "+http.StatusText(c.status)) && !strings.Contains(got[:min(n, 13)], itoa(c.status)) {
			t.Errorf("%+v: %.60q", c, got)
		}
		if strings.Contains(strings.ToLower(got), "deflate") {
			t.Errorf("compression is negotiated (HARDENING X12): %q", got)
		}
		conn.Close()
	}
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}
