package c2s_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// states are what a client says to get to each state of a stream.
func states() [][]byte {
	scram := "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj1hbGljZSxyPWFiY2RlZg==</auth>"
	login := header + authPlain("alice", edgetest.Password)
	var out [][]byte
	for _, s := range []string{"", header, header + scram, login, login + header, login + header + bindIQ, login + header + bindIQ + enableSM} {
		out = append(out, []byte(s))
	}
	return out
}

// FuzzStream feeds anything in any state: no panic, and what the server says is
// one well-formed stream.
func FuzzStream(f *testing.F) {
	for i := range states() {
		for _, s := range []string{header, starttls, bindIQ, enableSM, message, "</stream:stream>", authPlain("alice", "no"), " ",
			"<resume xmlns='urn:xmpp:sm:3' previd='x' h='1'/>", "<a xmlns='urn:xmpp:sm:3' h='1'/><r xmlns='urn:xmpp:sm:3'/>",
			"<inactive xmlns='urn:xmpp:csi:0'/>", "<iq type='get' id='&lt;'/>", "<!-- -->", "<a", "\xff"} {
			f.Add(byte(i), []byte(s))
		}
	}
	all := states()
	panics := &edgetest.Panics{}
	f.Fuzz(func(t *testing.T, state byte, data []byte) {
		path, people := edgetest.NewCore(), &edgetest.People{}
		srv, err := c2s.New(c2s.Config{
			Domain: jid.MustParse(edgetest.Domain), Core: core{path}, Plaintext: true,
			Credentials: func(netip.Addr) sasl.Credentials { return people },
			Limits:      c2s.DefaultLimits(), Log: slog.New(panics), TLS: nil,
		})
		if err != nil {
			t.Fatal(err)
		}
		conn := edgetest.NewScript(append(bytes.Clone(all[int(state)%len(all)]), data...))
		srv.Run(context.Background(), c2s.Opening{Conn: edge.NewConn(conn)})
		out := conn.Output()
		if n := panics.Count(); n > 0 && !bytes.Contains(data, []byte("PANIC")) {
			t.Fatalf("a panic; said %q", out)
		}
		wellFormed(t, out)
	})
}

// wellFormed scans a server's output: headers may follow one another where
// the stream was restarted.
func wellFormed(t *testing.T, out []byte) {
	t.Helper()
	for _, part := range bytes.Split(out, []byte("<?xml version='1.0'?>")) {
		if len(part) == 0 {
			continue
		}
		s := elem.NewScanner(elem.Limits{})
		for n := 0; n < len(part); {
			_, k, err := s.Next(part[n:])
			if err != nil {
				t.Fatalf("%v in %q", err, part)
			}
			if k == 0 {
				t.Fatalf("%q ends in the middle", part)
			}
			n += k
		}
	}
}
