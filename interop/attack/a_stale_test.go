package attack

import (
	"crypto/tls"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// A12: when somebody is locked out, everything they had is dead within 5 s.
func TestA12_staleCredentials(t *testing.T) {
	t.Parallel()
	p := target(t)
	victim := p.login(t, p.person(t), "victim")
	for _, how := range []struct {
		what string
		do   func(user string) error
	}{
		{"password changed", func(u string) error { return p.user("another password\n", "passwd", u, stdinFlag) }},
		{"disabled", func(u string) error { return p.user("", "disable", u) }},
		{"removed", func(u string) error { return p.user("", "remove", u, "--yes") }},
	} {
		user := p.person(t)
		b := p.browser(t)
		token := b.login(t, user, server.Password)
		sessions := []*client.Client{
			p.login(t, user, "plain"),
			p.login(t, user, "sm", func(o *client.Options) { o.SM = true }),
			p.login(t, user, "direct", func(o *client.Options) { o.Addr, o.DirectTLS = p.C2STLS, true }),
			p.login(t, user, "alpn", func(o *client.Options) { o.Addr, o.DirectTLS = p.HTTP, true }),
		}
		sockets := []*websocket{
			p.websocketBound(t, user),
			p.websocketAs(t, "OAUTHBEARER", "n,,\x01auth=Bearer "+token+"\x01\x01", "token"),
		}
		frames, framesID := p.websocketCut(t, user)
		proof := p.halfway(t, user, victim)
		cut := p.login(t, user, "cut", func(o *client.Options) { o.SM = true })
		cut.Cut()
		unbound := p.at(t, authed, user)
		began := time.Now()
		if err := how.do(user); err != nil {
			t.Fatal(err)
		}
		for _, s := range sessions {
			var bad *client.StreamError
			if err := s.Closed(closedWithin); !errors.As(err, &bad) || bad.Node.Condition() != "not-authorized" {
				t.Errorf("%s: session %s ended by %v", how.what, s.JID, err)
			}
		}
		for i, w := range sockets {
			if e := w.last(nil); e.err != nil || e.condition != "not-authorized" {
				t.Errorf("%s: WebSocket %d ended by %q, %v", how.what, i, e.condition, e.err)
			}
		}
		took := time.Since(began)
		t.Logf("%s: all %d sessions ended within %v", how.what, len(sessions)+len(sockets), took.Round(time.Millisecond))
		if limit := time.Duration(scaled(50, 5)) * time.Second; took > limit {
			t.Errorf("%s: sessions ended after %v, limit %v", how.what, took, limit)
		}
		proof(how.what)
		// Logged in, but not bound yet: whether or not the binding is answered, the
		// stream ends and nothing gets through.
		closed(t, how.what+": a login that was not bound yet", unbound, bindIQ+"<message type='chat' to='"+victim.JID+"'><body>late</body></message>", "not-authorized")
		nothingRouted(t, victim)
		if status, text := b.call(t, "POST", "/api/v1/token", ""); status != http.StatusUnauthorized {
			t.Errorf("%s: the cookie still gives %d %s", how.what, status, text)
		}
		p.stale(t, how.what, user, token, cut.SMID, framesID)
		frames.Close()
	}
	p.signedOut(t)
}

// websocketCut is a WebSocket session with stream management whose connection
// is lost; it waits to be resumed.
func (p *place) websocketCut(t *testing.T, user string) (*websocket, string) {
	t.Helper()
	w := p.websocketAs(t, "PLAIN", "\x00"+user+"\x00"+server.Password, "cut-ws")
	w.text(t, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	n, err := client.ParseNode(w.until(t, "<enabled"))
	if err != nil || n.Get("id") == "" {
		t.Fatalf("%v %v", n, err)
	}
	_ = w.Conn.(*tls.Conn).NetConn().Close()
	return w, n.Get("id")
}

// halfway is a login that has its challenge when the account changes: the old
// password's proof comes too late.
func (p *place) halfway(t *testing.T, user string, victim *client.Client) (finish func(what string)) {
	t.Helper()
	c, first := p.at(t, secured, ""), "n,,n="+user+",r="+client.Token()
	n, err := c.SASL("auth", "SCRAM-SHA-256", first)
	if err != nil || n.Name.Local != "challenge" {
		t.Fatalf("%v %v", n, err)
	}
	final, err := scramFinal("SCRAM-SHA-256", first, unbase64(t, n.Text), server.Password)
	if err != nil {
		t.Fatal(err)
	}
	return func(what string) {
		t.Helper()
		n, err := c.SASL("response", "", final)
		if err == nil && n.Name.Local == "failure" {
			return
		}
		// The keys were read before. The login may be told that it was right, but
		// there is no session.
		if err != nil || n.Name.Local != "success" {
			t.Fatalf("%s: %v %v", what, n, err)
		}
		if err := c.OpenStream(); err != nil {
			t.Fatal(err)
		}
		closed(t, what+": a login that was half done", c, bindIQ+"<message type='chat' to='"+victim.JID+"'><body>late</body></message>", "not-authorized")
	}
}

// signedOut: who signs out of the web client takes its tokens along.
func (p *place) signedOut(t *testing.T) {
	user := p.person(t)
	b, other := p.browser(t), p.browser(t)
	token, kept := b.login(t, user, server.Password), other.login(t, user, server.Password)
	old := *b.cookie
	if status, text := b.call(t, "DELETE", "/api/v1/session", ""); status != http.StatusNoContent {
		t.Fatalf("signing out: %d %s", status, text)
	}
	b.cookie = &old
	if status, text := b.call(t, "POST", "/api/v1/token", ""); status != http.StatusUnauthorized {
		t.Errorf("signed out: the cookie still gives %d %s", status, text)
	}
	for what, want := range map[string]string{token: "failure", kept: "success"} {
		c := p.at(t, secured, "")
		n, err := c.SASL("auth", "OAUTHBEARER", "n,,\x01auth=Bearer "+what+"\x01\x01")
		if err == nil && n.Name.Local == "challenge" {
			n, err = c.SASL("response", "", "\x01")
		}
		if err != nil || n.Name.Local != want {
			t.Errorf("signed out of one browser: want %s, got %v %v", want, n, err)
		}
	}
	// A new login in the same browser ends the old one (HARDENING V10).
	again := p.browser(t)
	again.login(t, user, server.Password)
	first := *again.cookie
	again.login(t, user, server.Password)
	again.cookie = &first
	if status, text := again.call(t, "POST", "/api/v1/token", ""); status != http.StatusUnauthorized {
		t.Errorf("after a new login in the same browser the old cookie gives %d %s", status, text)
	}
}

// stale tries old password and token.
func (p *place) stale(t *testing.T, what, user, token string, smIDs ...string) {
	t.Helper()
	for mech, data := range map[string]string{
		"PLAIN":       "\x00" + user + "\x00" + server.Password,
		"OAUTHBEARER": "n,,\x01auth=Bearer " + token + "\x01\x01",
	} {
		c := p.at(t, secured, "")
		n, err := c.SASL("auth", mech, data)
		if err == nil && n.Name.Local == "challenge" {
			n, err = c.SASL("response", "", "\x01")
		}
		if err != nil || n.Name.Local != "failure" {
			t.Errorf("%s: %s still works: %v %v", what, mech, n, err)
		}
	}
	pass := server.Password
	switch what {
	case "password changed":
		pass = "another password"
	case "disabled":
		if err := p.user("", "enable", user); err != nil {
			t.Fatal(err)
		}
	default:
		return // there is nobody to resume anything
	}
	for _, id := range smIDs {
		if got := p.resume(t, user, pass, id, 0); got != "item-not-found" {
			t.Errorf("%s: a cut session: %s", what, got)
		}
	}
}
