package attack

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

const wsOpen = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='" + server.Domain + "' version='1.0'/>"

// websocket is a WebSocket client that can write any frame.
type websocket struct {
	net.Conn
	r        *bufio.Reader
	Response *http.Response
}

// https makes a TLS connection to the HTTPS port.
func (p *place) https(t testing.TB, alpn ...string) *tls.Conn {
	t.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source())}}
	c, err := tls.DialWithDialer(&d, "tcp", p.HTTP, client.TLSConfig(server.Domain, alpn...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return c
}

// websocket upgrades a connection; more are further header lines.
func (p *place) websocket(t testing.TB, more ...string) *websocket {
	t.Helper()
	w := &websocket{Conn: p.https(t, "http/1.1")}
	w.r = bufio.NewReader(w.Conn)
	_, err := io.WriteString(w, "GET /ws HTTP/1.1\r\nHost: "+p.HTTP+"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+base64.StdEncoding.EncodeToString([]byte(client.Token()[:16]))+"\r\n"+
		"Sec-WebSocket-Protocol: xmpp\r\n"+strings.Join(append(more, ""), "\r\n")+"\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if w.Response, err = http.ReadResponse(w.r, nil); err != nil {
		t.Fatal(err)
	}
	if w.Response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %s", w.Response.Status)
	}
	return w
}

// websocketBound logs a person in over WebSocket and binds a resource.
func (p *place) websocketBound(t testing.TB, user string) *websocket {
	t.Helper()
	return p.websocketAs(t, "PLAIN", "\x00"+user+"\x00"+server.Password, "ws")
}

// websocketAs logs in by any mechanism that needs one message, and binds.
func (p *place) websocketAs(t testing.TB, mech, first, resource string) *websocket {
	t.Helper()
	w := p.websocket(t)
	w.text(t, wsOpen)
	w.until(t, "</stream:features>")
	w.text(t, "<auth xmlns='"+saslNS+"' mechanism='"+mech+"'>"+base64.StdEncoding.EncodeToString([]byte(first))+"</auth>")
	w.until(t, "<success")
	w.text(t, wsOpen)
	w.until(t, "</stream:features>")
	w.text(t, "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>"+resource+"</resource></bind></iq>")
	w.until(t, "<jid>")
	return w
}

// frame builds one frame (RFC 6455 §5.2): first is its first byte, mask 0x80 or 0.
func frame(first, mask byte, declared uint64, payload string) []byte {
	b := []byte{first, 0}
	switch {
	case declared < 126:
		b[1] = byte(declared)
	case declared < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(declared))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, declared)
	}
	b[1] |= mask
	if mask == 0 {
		return append(b, payload...)
	}
	key := []byte{0x11, 0x22, 0x33, 0x44}
	b = append(b, key...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

// text is a whole text frame.
func textFrame(s string) []byte { return frame(0x81, 0x80, uint64(len(s)), s) }

func (w *websocket) text(t testing.TB, s string) {
	t.Helper()
	if _, err := w.Write(textFrame(s)); err != nil {
		t.Fatal(err)
	}
}

// next reads one frame.
func (w *websocket) next() (op byte, payload string, err error) {
	var h [10]byte
	if _, err = io.ReadFull(w.r, h[:2]); err != nil {
		return 0, "", err
	}
	if h[0]&0x70 != 0 || h[1]&0x80 != 0 {
		return 0, "", errors.New("websocket: a frame no server may send (RFC 6455 §5.1, §5.2)")
	}
	n := uint64(h[1])
	switch n {
	case 126:
		_, err = io.ReadFull(w.r, h[2:4])
		n = uint64(binary.BigEndian.Uint16(h[2:4]))
	case 127:
		_, err = io.ReadFull(w.r, h[2:10])
		n = binary.BigEndian.Uint64(h[2:10])
	}
	if err != nil || n > 1<<22 {
		return 0, "", errors.Join(err, errors.New("websocket: broken frame"))
	}
	b := make([]byte, n)
	_, err = io.ReadFull(w.r, b)
	return h[0] & 0x0f, string(b), err
}

// until reads text frames up to one that holds the mark, and returns that.
func (w *websocket) until(t testing.TB, mark string) string {
	t.Helper()
	_ = w.SetReadDeadline(time.Now().Add(patience))
	for {
		op, s, err := w.next()
		if err != nil {
			t.Fatalf("websocket: waiting for %q: %v", mark, err)
		}
		if op == 1 && strings.Contains(s, mark) {
			return s
		}
	}
}

// wsEnd is how a WebSocket ended.
type wsEnd struct {
	text      string
	condition string
	code      int // of the close frame; 0 if there was none
	err       error
}

// last writes the bytes and reads to the end.
func (w *websocket) last(bytes []byte) (e wsEnd) {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = w.SetWriteDeadline(time.Now().Add(closedWithin))
		_, _ = w.Write(bytes)
	}()
	defer func() { <-sent }()
	_ = w.SetReadDeadline(time.Now().Add(closedWithin))
	for {
		op, s, err := w.next()
		switch {
		case errors.Is(err, io.EOF):
			return e
		case err != nil:
			e.err = err
			return e
		case op == 1:
			e.text += s
			if m := streamError.FindStringSubmatch(s); m != nil {
				e.condition = m[1]
			}
		case op == 8 && len(s) >= 2:
			e.code = int(binary.BigEndian.Uint16([]byte(s)))
		}
	}
}

// closed demands a stream error of one of the conditions, a close frame, and
// the end of the connection, after one text frame.
func (w *websocket) closed(t testing.TB, what, text string, conditions ...string) {
	t.Helper()
	e := w.last(textFrame(text))
	if e.err != nil || e.code == 0 || !slices.Contains(conditions, e.condition) {
		t.Errorf("%s: ended by %q (close %d, %v), want one of %q; %q", what, e.condition, e.code, e.err, conditions, tail(e.text))
	}
}

// refused demands a close frame with the code and the end of the connection.
func (w *websocket) refused(t testing.TB, what string, bytes []byte, codes ...int) {
	t.Helper()
	e := w.last(bytes)
	if e.err != nil || !slices.Contains(codes, e.code) {
		t.Errorf("%s: close %d %q (%v), want one of %d; %q", what, e.code, e.condition, e.err, codes, tail(e.text))
	}
}
