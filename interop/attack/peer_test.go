package attack

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// stage is how far a connection has come.
type stage int

const (
	dialed  stage = iota // TCP
	opened               // our header sent, features read
	secured              // the same under TLS
	authed               // the same after login
	bound                // resource bound
)

func (s stage) String() string {
	return [...]string{"dialed", "opened", "secured", "authed", "bound"}[s]
}

// at makes a connection that has come so far; user may be "" before authed.
func (p *place) at(t testing.TB, s stage, user string) *client.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	c, err := client.Connect(ctx, p.C2S, server.Domain, source())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	steps := []func() error{
		c.OpenStream,
		func() error { return c.StartTLS(ctx) },
		func() error { return c.Auth("", user, server.Password) },
		func() error { _, err := c.Bind("attack"); return err },
	}
	for i, step := range steps[:s] {
		if err := step(); err != nil {
			t.Fatalf("%s: %v", stage(i+1), err)
		}
	}
	return c
}

// from makes a connection from an address that has come as far as TLS.
func (p *place) from(t testing.TB, addr string) *client.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	c, err := client.Connect(ctx, p.C2STLS, server.Domain, addr)
	if err == nil {
		err = errors.Join(c.Secure(ctx, "xmpp-client"), c.OpenStream())
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// unbase64 decodes what SASL carries.
func unbase64(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ending is how a connection ended.
type ending struct {
	text      string // all the server wrote from then on
	condition string // of its stream error, if any
	closed    bool   // it wrote the closing tag, then ended the connection
	err       error  // anything else than an orderly end
}

var streamError = regexp.MustCompile(`<stream:error[^>]*><([a-z-]+) xmlns=['"]urn:ietf:params:xml:ns:xmpp-streams['"]`)

// last sends the bytes and reads until the server has ended the connection.
func last(c *client.Conn, payload string) ending {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = c.SetWriteDeadline(time.Now().Add(closedWithin))
		_ = c.Send(payload) // it may close before all is sent: that is what we want
	}()
	_ = c.SetReadDeadline(time.Now().Add(closedWithin))
	b, err := io.ReadAll(c.Conn)
	<-sent
	e := ending{text: string(b), err: err}
	if m := streamError.FindStringSubmatch(e.text); m != nil {
		e.condition = m[1]
	}
	e.closed = err == nil && strings.HasSuffix(e.text, "</stream:stream>")
	if bad := wellFormed(e.text); bad != nil && e.err == nil {
		e.err = bad
	}
	return e
}

// wellFormed checks what the server wrote with another parser than its own.
func wellFormed(text string) error {
	if !strings.Contains(text, "<stream:stream ") {
		text = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>" + text
	}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// closed demands CLOSED with one of the conditions.
func closed(t testing.TB, what string, c *client.Conn, payload string, conditions ...string) {
	t.Helper()
	began := time.Now()
	e := last(c, payload)
	switch {
	case e.err != nil:
		t.Errorf("%s: not closed in order: %v, after %v; the server wrote %q", what, e.err, time.Since(began), tail(e.text))
	case !e.closed:
		t.Errorf("%s: no closing tag in %q", what, tail(e.text))
	case !slices.Contains(conditions, e.condition):
		t.Errorf("%s: stream error %q, want one of %q; %q", what, e.condition, conditions, tail(e.text))
	}
}

func tail(s string) string {
	if len(s) > 600 {
		return "…" + s[len(s)-600:]
	}
	return s
}

// nothingRouted demands that the victim has heard nothing at all.
func nothingRouted(t testing.TB, victim *client.Client) {
	t.Helper()
	for _, n := range heard(t, victim) {
		t.Errorf("%s was reached by %s", victim.JID, n)
	}
}
