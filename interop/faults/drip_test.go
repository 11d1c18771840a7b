package faults

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

func isMessage(n *client.Node) bool { return n.Name.Local == "message" && n.Body() != "" }

// drip opens connections that begin an element and never end it.
func drip(t *testing.T, s *server.Server, n int) (closeAll func()) {
	t.Helper()
	var conns []net.Conn
	text := "<?xml version='1.0'?><stream:stream to='" + server.Domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" +
		strings.Repeat("A", 9000)
	for i := range n {
		d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 4, byte(i/40), byte(1+i%40))}}
		c, err := d.Dial("tcp", s.C2S)
		if err != nil {
			t.Errorf("connection %d: %v", i, err)
			break
		}
		conns = append(conns, c)
		_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		_, _ = c.Write([]byte(text)) // refused ones are as good
	}
	return func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
}
