package ws

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"testing"

	gobwas "github.com/gobwas/ws"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

type fakePath struct{ *edgetest.Core }

func (p fakePath) Open(s *session.Session) c2s.Inlet { return p.Core.Open(s) }

func text(parts ...string) (b []byte) {
	for _, p := range parts {
		f, err := gobwas.CompileFrame(gobwas.MaskFrame(gobwas.NewTextFrame([]byte(p))))
		if err != nil {
			panic(err)
		}
		b = append(b, f...)
	}
	return b
}

// FuzzFrames feeds any frames before and after login: no panic, and what the
// server says is whole frames of one element each.
func FuzzFrames(f *testing.F) {
	open := "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='acme.test' version='1.0'/>"
	bound := text(open, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHBhcmxhbmNl</auth>", open,
		"<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	for _, s := range [][]byte{
		text(open), text(open)[:9], text(""), text("<message xmlns='jabber:client' to='alice@acme.test'><body>x</body></message>"),
		{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, {0x89, 0x85, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {0x88, 0x82, 0, 0, 0, 0, 3, 0xe8},
		{0x01, 0x81, 0, 0, 0, 0, '<', 0x89, 0x80, 0, 0, 0, 0, 0x80, 0x82, 0, 0, 0, 0, 'a', '/'}, {0x82, 0x80, 0, 0, 0, 0},
	} {
		f.Add(false, s)
		f.Add(true, s)
	}
	panics := &edgetest.Panics{}
	f.Fuzz(func(t *testing.T, after bool, data []byte) {
		people := &edgetest.People{}
		srv, err := c2s.New(c2s.Config{
			Domain: jid.MustParse(edgetest.Domain), Core: fakePath{edgetest.NewCore()}, Plaintext: true,
			Credentials: func(netip.Addr) sasl.Credentials { return people },
			Limits:      c2s.DefaultLimits(), Log: slog.New(panics),
		})
		if err != nil {
			t.Fatal(err)
		}
		in := bytes.Clone(data)
		if after {
			in = append(bytes.Clone(bound), data...)
		}
		conn := edgetest.NewScript(in)
		srv.Run(context.Background(), c2s.Opening{Conn: edge.NewConn(conn), Framing: framing{}, Decoder: &decoder{}})
		out := conn.Output()
		if panics.Count() > 0 && !bytes.Contains(data, []byte("PANIC")) {
			t.Fatalf("a panic; said %q", out)
		}
		wholeFrames(t, out)
	})
}

func wholeFrames(t *testing.T, out []byte) {
	t.Helper()
	for r := bytes.NewReader(out); r.Len() > 0; {
		f, err := gobwas.ReadFrame(r)
		if err != nil || !f.Header.Fin || f.Header.Masked {
			t.Fatalf("%v in %q", err, out)
		}
		if f.Header.OpCode == gobwas.OpText {
			if _, err := elem.Parse(f.Payload); err != nil {
				t.Fatalf("%v in %q", err, f.Payload)
			}
		}
	}
}

// TestDecoder_piecesDoNotMatter feeds the same bytes in pieces of every size.
func TestDecoder_piecesDoNotMatter(t *testing.T) {
	frames := func(parts ...gobwas.Frame) (b []byte) {
		for _, p := range parts {
			raw, _ := gobwas.CompileFrame(gobwas.MaskFrameWith(p, [4]byte{1, 2, 3, 4}))
			b = append(b, raw...)
		}
		return b
	}
	open := "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='acme.test' version='1.0'/>"
	all := frames(
		gobwas.NewFrame(gobwas.OpText, false, []byte(open[:7])), gobwas.NewPingFrame([]byte("p")),
		gobwas.NewFrame(gobwas.OpContinuation, false, nil), gobwas.NewFrame(gobwas.OpContinuation, true, []byte(open[7:])),
		gobwas.NewTextFrame([]byte("<presence xmlns='jabber:client'/>")),
	)
	var want []byte
	for size := len(all); size > 0; size-- {
		people := &edgetest.People{}
		srv, err := c2s.New(c2s.Config{
			Domain: jid.MustParse(edgetest.Domain), Core: fakePath{edgetest.NewCore()}, Plaintext: true,
			Credentials: func(netip.Addr) sasl.Credentials { return people },
			Limits:      c2s.DefaultLimits(), Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		conn := &pieces{Script: edgetest.NewScript(all), size: size}
		srv.Run(context.Background(), c2s.Opening{Conn: edge.NewConn(conn), Framing: framing{}, Decoder: &decoder{}})
		out := conn.Output()
		wholeFrames(t, out)
		out = out[bytes.Index(out, []byte("<stream:features")):] // before it stands a random id
		if want == nil {
			want = out
		}
		if !bytes.Equal(out, want) || !bytes.Contains(out, []byte("not-authorized")) {
			t.Fatalf("pieces of %d: %q, want %q", size, out, want)
		}
	}
}

// pieces gives so many bytes at a time.
type pieces struct {
	*edgetest.Script
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	n, err := p.Script.Read(b[:min(len(b), p.size)])
	if err == io.EOF && n > 0 {
		err = nil
	}
	return n, err
}
