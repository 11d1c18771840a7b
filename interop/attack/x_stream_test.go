package attack

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

const (
	starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	bindIQ   = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>order</resource></bind></iq>"
	saslNS   = "urn:ietf:params:xml:ns:xmpp-sasl"
)

func plainAuth(authzid, user, pass string) string {
	return "<auth xmlns='" + saslNS + "' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte(authzid+"\x00"+user+"\x00"+pass)) + "</auth>"
}

// permutations are all orders of s.
func permutations(s []string) [][]string {
	if len(s) <= 1 {
		return [][]string{slices.Clone(s)}
	}
	var out [][]string
	for i := range s {
		rest := append(slices.Clone(s[:i]), s[i+1:]...)
		for _, p := range permutations(rest) {
			out = append(out, append([]string{s[i]}, p...))
		}
	}
	return out
}

// X10: of all orders of the negotiation's five elements one gets a stanza
// through; every other ends the stream, and nothing is routed.
func TestX10_negotiationOutOfOrder(t *testing.T) {
	t.Parallel()
	p := target(t)
	user, victim := p.person(t), p.login(t, p.person(t), "victim")
	message := "<message type='chat' to='" + victim.JID + "' id='order'><body>x</body></message>"
	elements := map[string]string{"header": header, "starttls": starttls, "auth": plainAuth("", user, server.Password), "bind": bindIQ, "message": message}
	right := []string{"header", "starttls", "auth", "bind", "message"}
	conditions := map[string]int{}
	for _, order := range permutations(right) {
		if slices.Equal(order, right) {
			continue
		}
		conditions[p.inOrder(t, user, order, elements)]++
	}
	t.Logf("119 wrong orders ended by %v", conditions)
	p.framesInOrder(t, user, elements)
	nothingRouted(t, victim)
	if err := p.at(t, bound, user).Send(message); err != nil {
		t.Fatal(err)
	}
	if _, err := victim.Take(patience, func(n *client.Node) bool { return n.Get("id") == "order" }); err != nil {
		t.Errorf("the right order: %v", err)
	}
}

// inOrder sends the elements as an honest client would at each point, up to the
// first that is out of order, and returns the condition the stream ended with.
func (p *place) inOrder(t *testing.T, user string, order []string, elements map[string]string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	c, err := client.Connect(ctx, p.C2S, server.Domain, source())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	steps := map[string]func() error{
		"header":   func() error { return errors.Join(c.Send(header), c.ReadHeader()) },
		"starttls": func() error { return c.StartTLS(ctx) },
		"auth":     func() error { return c.Auth("PLAIN", user, server.Password) },
		"bind":     func() error { _, err := c.Bind("order"); return err },
	}
	for i, right := range []string{"header", "starttls", "auth", "bind"} {
		if order[i] == right {
			if err := steps[right](); err != nil {
				t.Fatalf("%v: %s: %v", order, right, err)
			}
			continue
		}
		wrong := order[i]
		rest := ""
		for _, e := range order[i+1:] {
			rest += elements[e]
		}
		if wrong == "auth" && right == "starttls" {
			// RFC 6120 §6.5.3: a login without TLS is refused, and the stream may go on.
			n, err := c.SASL("auth", "PLAIN", "\x00x\x00y")
			if err != nil || n.Name.Local != "failure" || n.Kid(saslNS, "encryption-required") == nil {
				t.Errorf("%v: login before TLS answered by %v, %v", order, n, err)
			}
			// What comes now is either STARTTLS with something behind it, or out of order again.
			closed(t, strings.Join(order, " "), c, rest, "not-authorized", "policy-violation")
			return "not-authorized after encryption-required"
		}
		want := []string{"not-authorized"}
		switch {
		case right == "header": // RFC 6120 §4.9.3.10: not even a stream
			want = []string{"not-authorized", "invalid-namespace", "bad-format", "bad-namespace-prefix"}
		case wrong == "starttls" || wrong == "header":
			want = append(want, "policy-violation", "bad-format", "unsupported-stanza-type", "invalid-namespace")
		}
		e := last(c, elements[wrong]+rest)
		if e.err != nil || !e.closed || !slices.Contains(want, e.condition) {
			t.Errorf("%v: %s where %s is due ended by %q (%v), want one of %q; %q", order, wrong, right, e.condition, e.err, want, tail(e.text))
		}
		return e.condition
	}
	return ""
}

// framesInOrder does the same over WebSocket, where TLS is beneath.
func (p *place) framesInOrder(t *testing.T, user string, elements map[string]string) {
	t.Helper()
	text := map[string]string{"header": wsOpen, "auth": elements["auth"]}
	for _, k := range []string{"bind", "message"} {
		text[k] = strings.Replace(elements[k], " ", " xmlns='jabber:client' ", 1)
	}
	right := []string{"header", "auth", "bind", "message"}
	ends := map[string]int{}
	for _, order := range permutations(right) {
		if slices.Equal(order, right) {
			continue
		}
		w, all := p.websocket(t), []byte(nil)
		for i, e := range order {
			if all == nil && e == right[i] {
				w.text(t, text[e])
				w.until(t, map[string]string{"header": "</stream:features>", "auth": "<success"}[e])
				if e == "auth" { // RFC 7395 §3.7: the stream is restarted
					w.text(t, wsOpen)
					w.until(t, "</stream:features>")
				}
				continue
			}
			all = append(all, textFrame(text[e])...)
		}
		e := w.last(all)
		if e.err != nil || e.code == 0 || !slices.Contains([]string{"not-authorized", "policy-violation", "bad-format", "unsupported-stanza-type", "invalid-namespace"}, e.condition) {
			t.Errorf("WebSocket %v: ended by %q, close %d, %v; %q", order, e.condition, e.code, e.err, tail(e.text))
		}
		ends[e.condition]++
	}
	t.Logf("23 wrong orders over WebSocket ended by %v", ends)
}

// X11: a stream belongs to one host and one account, also when it is restarted.
func TestX11_restartToAnotherHost(t *testing.T) {
	t.Parallel()
	p := target(t)
	user := p.person(t)
	for _, s := range []stage{secured, authed} {
		restart := func() *client.Conn {
			if s == secured {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				c := p.at(t, opened, "")
				if err := c.Send(starttls); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Next(); err != nil {
					t.Fatal(err)
				}
				if err := c.Secure(ctx); err != nil {
					t.Fatal(err)
				}
				return c
			}
			c := p.at(t, secured, "")
			if n, err := c.SASL("auth", "PLAIN", "\x00"+user+"\x00"+server.Password); err != nil || n.Name.Local != "success" {
				t.Fatalf("%v %v", n, err)
			}
			return c
		}
		for what, h := range map[string]struct{ attrs, condition string }{
			"another host":    {"to='b.test'", "host-unknown"},
			"a subdomain":     {"to='sub." + server.Domain + "'", "host-unknown"},
			"no host":         {"", "improper-addressing"},
			"an account":      {"to='alice@" + server.Domain + "'", "host-unknown"},
			"another content": {"to='" + server.Domain + "' xmlns='jabber:server'", "invalid-namespace"},
		} {
			text := "<stream:stream " + h.attrs + " version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
			if strings.Contains(h.attrs, "xmlns=") {
				text = strings.Replace(text, " xmlns='jabber:client'", "", 1)
			}
			closed(t, what+" at "+s.String(), restart(), text+bindIQ, h.condition)
		}
		if s == authed {
			for what, h := range map[string]struct{ attrs, condition string }{
				"another host": {"to='b.test'", "host-unknown"}, "no host": {"", "improper-addressing"}, "another account": {"to='" + server.Domain + "' from='alice@" + server.Domain + "'", "invalid-from"},
			} {
				w := p.websocket(t)
				w.text(t, wsOpen)
				w.until(t, "</stream:features>")
				w.text(t, plainAuth("", user, server.Password))
				w.until(t, "<success")
				w.closed(t, what+" over WebSocket", "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' "+h.attrs+" version='1.0'/>", h.condition)
			}
			closed(t, "another account in from", restart(), strings.Replace(header, "to=", "from='alice@"+server.Domain+"' to=", 1)+bindIQ, "invalid-from")
		}
	}
}

// X12: nothing is compressed, at no layer, so nothing can be inflated.
func TestX12_noCompression(t *testing.T) {
	t.Parallel()
	p := target(t)
	user := p.person(t)
	for _, s := range []stage{opened, secured, authed} {
		c := p.at(t, s, user)
		if c.Features.Kid("", "compression") != nil {
			t.Errorf("compression is offered at %v", s)
		}
		compress := "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>"
		closed(t, "XEP-0138 at "+s.String(), c, compress, "not-authorized", "unsupported-stanza-type")
	}
	closed(t, "XEP-0138 on a bound stream", p.at(t, bound, user), "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>", "unsupported-stanza-type", "not-authorized")
	// RFC 7692: not taken up, and a frame that claims it is against RFC 6455 §5.2.
	w := p.websocket(t, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
	if x := w.Response.Header.Get("Sec-WebSocket-Extensions"); x != "" {
		t.Errorf("WebSocket extension %q", x)
	}
	w.refused(t, "a frame marked as deflated", frame(0xc1, 0x80, 3, "abc"), 1002)
	for kind, addr := range map[string]string{"c2s-tls": p.C2STLS, "https": p.HTTP} {
		if m, err := tlsCompression(addr); err != nil || m != 0 {
			t.Errorf("%s: TLS compression method %d, %v", kind, m, err)
		}
	}
	// A compressed request body is not inflated: HTTP's API reads JSON.
	h := p.https(t, "http/1.1")
	_, err := io.WriteString(h, "POST /api/v1/session HTTP/1.1\r\nHost: "+p.HTTP+"\r\nOrigin: https://"+p.HTTP+"\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\nConnection: close\r\n\r\n\x1f\x8b\x08\x00")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(h); !strings.HasPrefix(string(b), "HTTP/1.1 4") {
		t.Errorf("gzip body: %q", tail(string(b)))
	}
}

// tlsCompression offers DEFLATE (RFC 3749) in a TLS 1.2 hello and returns what the server chose.
func tlsCompression(addr string) (method byte, err error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	ext := []byte{
		0, 10, 0, 4, 0, 2, 0, 23, // secp256r1
		0, 11, 0, 2, 1, 0, // uncompressed points
		0, 13, 0, 8, 0, 6, 4, 3, 8, 4, 4, 1, // ecdsa-sha256, rsa-pss-sha256, rsa-sha256
	}
	body := append([]byte{3, 3}, make([]byte, 32)...)                       // version, random
	body = append(body, 0)                                                  // no session
	body = append(body, 0, 8, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 48) // ECDHE with AES-GCM
	body = append(body, 2, 1, 0)                                            // DEFLATE first, then none
	body = binary.BigEndian.AppendUint16(body, uint16(len(ext)))
	body = append(body, ext...)
	msg := append([]byte{1, 0}, binary.BigEndian.AppendUint16(nil, uint16(len(body)))...)
	msg = append(msg, body...)
	rec := append([]byte{22, 3, 1}, binary.BigEndian.AppendUint16(nil, uint16(len(msg)))...)
	if _, err := c.Write(append(rec, msg...)); err != nil {
		return 0, err
	}
	head := make([]byte, 5)
	if _, err := io.ReadFull(c, head); err != nil {
		return 0, err
	}
	b := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return 0, err
	}
	// ServerHello: type, length 3, version 2, random 32, session, cipher 2, compression.
	if head[0] != 22 || len(b) < 39 || b[0] != 2 || len(b) < 42+int(b[38]) {
		return 0, errors.New("no ServerHello: " + base64.StdEncoding.EncodeToString(b))
	}
	return b[41+int(b[38])], nil
}

// X13: TLS 1.2 at least, no renegotiation, no early data, on every port.
func TestX13_tlsVersions(t *testing.T) {
	t.Parallel()
	p := target(t)
	try := func(addr string, starttlsFirst bool, version uint16) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c, err := client.Connect(ctx, addr, server.Domain, source())
		if err != nil {
			return err
		}
		defer c.Close()
		if starttlsFirst {
			if err := errors.Join(c.OpenStream(), c.Send(starttls)); err != nil {
				return err
			}
			if _, err := c.Next(); err != nil {
				return err
			}
		}
		conf := client.TLSConfig(server.Domain)
		conf.MinVersion, conf.MaxVersion = version, version
		return tls.Client(c.Conn, conf).HandshakeContext(ctx)
	}
	for _, port := range []struct {
		name, addr string
		starttls   bool
	}{{"c2s", p.C2S, true}, {"c2s-tls", p.C2STLS, false}, {"https", p.HTTP, false}} {
		for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
			if err := try(port.addr, port.starttls, v); err == nil {
				t.Errorf("%s speaks %s", port.name, tls.VersionName(v))
			} else if !strings.Contains(err.Error(), "protocol version") {
				t.Errorf("%s, %s: refused by %v, want alert protocol_version", port.name, tls.VersionName(v), err)
			}
		}
		for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			if err := try(port.addr, port.starttls, v); err != nil {
				t.Errorf("%s does not speak %s: %v", port.name, tls.VersionName(v), err)
			}
		}
		args := []string{"-connect", port.addr}
		if port.starttls {
			args = append(args, "-starttls", "xmpp", "-xmpphost", server.Domain)
		}
		p.tlsProbe(t, port.name, args...)
	}
	// The one port for all, by ALPN.
	p.tlsProbe(t, "https with ALPN xmpp-client", "-connect", p.HTTP, "-alpn", "xmpp-client")
}

// tlsProbe asks for a renegotiation and for early data.
func (p *place) tlsProbe(t *testing.T, name string, args ...string) {
	t.Helper()
	// RFC 5246 §7.4.1.1: a server may answer a renegotiation by an alert.
	again := openssl(t, "Verify return code", "R\n", append(args, "-tls1_2")...)
	if _, after, ok := strings.Cut(again, "RENEGOTIATING"); !ok || !strings.Contains(after, "alert") {
		t.Errorf("%s: renegotiation not refused: %s", name, tail(again))
	}
	// RFC 8446 §4.2.10: the ticket says how much early data may come; nonsense
	// makes the server close, by when it has come.
	ticket := openssl(t, "Verify return code", "<?x\r\n\r\n", append(args, "-tls1_3")...)
	if !strings.Contains(ticket, "Max Early Data: 0\n") || !strings.Contains(ticket, "Early data was not sent") {
		t.Errorf("%s: early data: %s", name, tail(ticket))
	}
}

// openssl runs Debian's, whose client can do what Go's will not: it sends the
// command once it has printed the mark, and returns all it prints.
func openssl(t *testing.T, mark, command string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is missing: apt-get install openssl")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", append([]string{"s_client"}, args...)...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = w.CloseWithError(cmd.Wait()) }()
	var out strings.Builder
	buf := make([]byte, 4096)
	for sent := false; ; {
		n, err := r.Read(buf)
		out.Write(buf[:n])
		if !sent && strings.Contains(out.String(), mark) {
			sent = true
			if _, err := io.WriteString(in, command); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			return out.String() // it has ended
		}
	}
}
