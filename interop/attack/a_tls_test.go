package attack

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// A1: what is sent in plain text behind <starttls/> is thrown away with the stream.
func TestA1_starttlsInjection(t *testing.T) {
	t.Parallel()
	p := target(t)
	user, victim := p.person(t), p.login(t, p.person(t), "victim")
	for what, injected := range map[string]string{
		"a stanza":         "<message to='" + victim.JID + "'><body>injected</body></message>",
		"a login":          plainAuth("", user, server.Password),
		"a header":         header,
		"half an element":  "<auth",
		"white space":      " ",
		"the whole script": header + plainAuth("", user, server.Password) + header + bindIQ + "<message to='" + victim.JID + "'><body>x</body></message>",
	} {
		// In the same segment: never taken over into TLS.
		closed(t, what, p.at(t, opened, ""), starttls+injected, "policy-violation")
		// Behind <proceed/>: not TLS, so the connection ends, without an answer in plain text.
		c := p.at(t, opened, "")
		if err := c.Send(starttls); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Next(); err != nil || n.Name.Local != "proceed" {
			t.Fatalf("%v %v", n, err)
		}
		if err := c.Send(injected + strings.Repeat(" ", 8)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(closedWithin))
		b, err := io.ReadAll(c.Conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s behind <proceed/>: the connection is still there", what)
		}
		if strings.Contains(string(b), "<") {
			t.Errorf("%s behind <proceed/> was answered: %q", what, b)
		}
	}
	// Nothing learnt before TLS is kept (RFC 6120 §5.4.3.3): the stream begins anew.
	c := p.at(t, opened, "")
	before := c.Header.Get("id")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.StartTLS(ctx); err != nil {
		t.Fatal(err)
	}
	if c.Header.Get("id") == before {
		t.Error("the stream under TLS has the id of the one before")
	}
	closed(t, "STARTTLS within TLS", c, starttls, "not-authorized", "policy-violation")
	nothingRouted(t, victim)
}

// A2: where somebody in the middle takes STARTTLS out of the features, the
// server still takes no login without TLS, and direct TLS is there.
func TestA2_starttlsStripping(t *testing.T) {
	t.Parallel()
	p := target(t)
	user := p.person(t)
	c := p.at(t, opened, "")
	tlsFeature := c.Features.Kid("urn:ietf:params:xml:ns:xmpp-tls", "starttls")
	if tlsFeature.Kid("", "required") == nil {
		t.Errorf("STARTTLS is not required (RFC 6120 §5.4.1): %v", c.Features)
	}
	if m := c.Mechanisms(); len(m) > 0 {
		t.Errorf("mechanisms offered without TLS: %q", m)
	}
	for _, try := range []struct{ mech, data string }{
		{"PLAIN", "\x00" + user + "\x00" + server.Password},
		{"SCRAM-SHA-256", "n,,n=" + user + ",r=abcdefghijkl"},
		{"SCRAM-SHA-1", "n,,n=" + user + ",r=abcdefghijkl"},
		{"OAUTHBEARER", "n,,\x01auth=Bearer abc\x01\x01"},
	} {
		n, err := c.SASL("auth", try.mech, try.data)
		if err != nil || n.Name.Local != "failure" || n.Kid("", "encryption-required") == nil {
			t.Errorf("%s without TLS: %v, %v", try.mech, n, err)
		}
	}
	p.login(t, user, "direct", func(o *client.Options) { o.Addr, o.DirectTLS = p.C2STLS, true })
	p.login(t, user, "alpn", func(o *client.Options) { o.Addr, o.DirectTLS = p.HTTP, true })
}
