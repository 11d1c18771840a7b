package edge_test

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/edgetest"
)

// shown is the first name of the certificate a handshake shows.
func shown(t *testing.T, k *edge.Keys, sni, wants string) string {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	c := edge.NewConn(ours)
	c.Wants(wants)
	done := make(chan error, 1)
	go func() { done <- tls.Server(c, k.Config(0)).Handshake() }()
	client := tls.Client(theirs, &tls.Config{ServerName: sni, InsecureSkipVerify: true})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if leaf := k.Shown(c); leaf == nil || leaf.DNSNames[0] != client.ConnectionState().PeerCertificates[0].DNSNames[0] {
		t.Error("channel binding is to another certificate than the one shown (RFC 5929 §4)")
	}
	return client.ConnectionState().PeerCertificates[0].DNSNames[0]
}

func TestKeys_aCertificateForEachHost(t *testing.T) {
	k, err := edge.NewKeys(edgetest.Cert(t, "a.test"))
	if err != nil {
		t.Fatal(err)
	}
	own := edgetest.Cert(t, "b.test", "chat.b.test")
	if err := k.SetHost("b.test", &own); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ sni, wants, want string }{
		{"a.test", "", "a.test"}, {"b.test", "", "b.test"}, {"B.Test", "", "b.test"}, {"chat.b.test", "", "b.test"},
		{"c.test", "", "a.test"}, {"", "", "a.test"},
		// RFC 6120 §13.7.1.2: without SNI the stream's "to" says it; SNI counts more.
		{"", "b.test", "b.test"}, {"a.test", "b.test", "a.test"},
	} {
		if got := shown(t, k, c.sni, c.wants); got != c.want {
			t.Errorf("SNI %q, stream to %q: %s, want %s", c.sni, c.wants, got, c.want)
		}
	}
	if err := k.SetHost("b.test", nil); err != nil || k.HostLeaf("b.test") != nil {
		t.Error(err)
	}
	if got := shown(t, k, "b.test", ""); got != "a.test" {
		t.Errorf("after it is taken away: %s", got)
	}
	if k.SetHost("b.test", &tls.Certificate{}) == nil || k.HostLeaf("b.test") != nil {
		t.Error("a certificate without a key")
	}
	if k.Shown(edge.NewConn(nil)) != nil {
		t.Error("nobody can tell which certificate a resumed session was shown")
	}
}
