package c2s_test

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const (
	phoneID = "d4565fa7-4d72-4749-b3d3-740edbf87770"
	deskID  = "0d0ab5a1-6e0f-4c57-8c1f-0a4fd1a2b3c4"
	bind2   = "<bind xmlns='urn:xmpp:bind:0'><tag>Test</tag></bind>"
)

func agent(id string) string {
	return "<user-agent id='" + id + "'><software>Test</software></user-agent>"
}

func authenticate(user, inner string) string {
	return client.Authenticate("PLAIN", "\x00"+user+"\x00"+edgetest.Password, inner)
}

// start2 is start with accounts that give tokens.
func start2(t *testing.T, change ...func(*c2s.Config)) *bench {
	t.Helper()
	people := &edgetest.People{}
	b := start(t, append([]func(*c2s.Config){func(c *c2s.Config) {
		c.Devices, c.Upgrades = people, people
		c.Credentials = func(netip.Addr) sasl.Credentials { return people }
		c.Begin = func(context.Context, *session.Session) *elem.Element { return elem.New("urn:xmpp:mam:2", "metadata") }
	}}, change...)...)
	b.people = people
	return b
}

func authenticated(t *testing.T, n *client.Node, err error) *client.Node {
	t.Helper()
	if err != nil || n.Name.Local != "success" || n.Name.Space != "urn:xmpp:sasl:2" {
		t.Fatalf("%v %v, want <success/>", n, err)
	}
	return n
}

func identity(n *client.Node) string {
	return strings.TrimSpace(n.Path("authorization-identifier").Text)
}

// XEP-0388 §2.1, XEP-0386 §3.1, XEP-0198 §9, XEP-0484 §3.1, XEP-0440 §2.
func TestSASL2_offered(t *testing.T) {
	b := start2(t)
	if s := b.opened().Features.String(); strings.Contains(s, "urn:xmpp:sasl:2") {
		t.Errorf("offered before TLS: %s", s)
	}
	c := b.secured()
	if !slices.Equal(c.Mechanisms2(), c.Mechanisms()) || len(c.Mechanisms()) < 7 {
		t.Errorf("%v, %v", c.Mechanisms2(), c.Mechanisms())
	}
	if got := strings.Join(c.TokenMechanisms(), " "); got != "HT-SHA-256-EXPR HT-SHA-256-ENDP HT-SHA-256-NONE" {
		t.Errorf("tokens: %s", got)
	}
	in := c.Features.Path("authentication", "inline")
	if in.Kid("urn:xmpp:sm:3", "sm") == nil || in.Kid("urn:xmpp:bind:0", "bind") == nil || len(in.Path("bind", "inline").Kids) != 3 {
		t.Errorf("inline: %v", in)
	}
	if c.Features.Path("sasl-channel-binding") == nil || strings.Contains(c.Features.String(), "upgrade") {
		t.Errorf("%v", c.Features)
	}
}

func TestSASL2_everyMechanism(t *testing.T) {
	b := start2(t)
	for _, mech := range []string{"SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"} {
		c := b.secured()
		n, err := c.Auth2(mech, "alice", edgetest.Password, agent(phoneID)+bind2)
		full := identity(authenticated(t, n, err))
		if !strings.HasPrefix(full, "alice@acme.test/Test/") || strings.Contains(full, phoneID[:8]) {
			t.Errorf("%s: bound to %q", mech, full)
		}
		if f := next(t, c); f.Name.Local != "features" || f.Kid("", "bind") != nil || f.Kid("urn:xmpp:csi:0", "csi") == nil {
			t.Errorf("%s: %v, want the features of a bound stream", mech, f)
		}
		send(t, c, "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
		if n := next(t, c); n.Get("type") != "result" {
			t.Errorf("%s: %v", mech, n)
		}
		c.Close()
	}
}

// Without a request for it there is no resource: the client binds as of old, on the same stream.
func TestSASL2_bindOfOldBehindIt(t *testing.T) {
	b := start2(t)
	c := b.secured()
	n, err := c.Auth2("SCRAM-SHA-256", "alice", edgetest.Password, "")
	if got := identity(authenticated(t, n, err)); got != "alice@acme.test" {
		t.Errorf("%q, want the bare JID (XEP-0388 §2.6.1)", got)
	}
	if f := next(t, c); f.Kid("urn:ietf:params:xml:ns:xmpp-bind", "bind") == nil || f.Kid("urn:xmpp:sm:3", "sm") == nil {
		t.Fatalf("%v", f)
	}
	if full, err := c.Bind("phone"); err != nil || full != "alice@acme.test/phone" {
		t.Fatal(full, err)
	}
}

// XEP-0386 §3.2.1: the same device gets the same resource, another one another.
func TestBind2_resources(t *testing.T) {
	b := start2(t)
	resource := func(user, id, bind string) string {
		t.Helper()
		c := b.secured()
		n, err := c.Auth2("PLAIN", user, edgetest.Password, id+bind)
		full := identity(authenticated(t, n, err))
		c.Close()
		_, r, _ := strings.Cut(full, "/")
		return r
	}
	first := resource("alice", agent(phoneID), bind2)
	for _, c := range []struct {
		name, user, agent, bind string
		same                    bool
	}{
		{"again", "alice", agent(phoneID), bind2, true},
		{"other device", "alice", agent(deskID), bind2, false},
		{"other account", "bob", agent(phoneID), bind2, false},
		{"no device", "alice", "", bind2, false},
		{"no tag", "alice", agent(phoneID), "<bind xmlns='urn:xmpp:bind:0'/>", false},
	} {
		r := resource(c.user, c.agent, c.bind)
		if (r == first) != c.same || len(r) < 16 || strings.Contains(strings.ToLower(r), phoneID[:8]) {
			t.Errorf("%s: %q, first %q", c.name, r, first)
		}
	}
	long := resource("alice", agent(phoneID), "<bind xmlns='urn:xmpp:bind:0'><tag>"+strings.Repeat("é", 600)+"</tag></bind>")
	if len(long) > 100 || !strings.HasPrefix(long, "éé") {
		t.Errorf("a long tag makes %q", long)
	}
}

// XEP-0386 §3.2: what is switched on with the resource.
func TestBind2_inline(t *testing.T) {
	b := start2(t)
	c := b.secured()
	n, err := c.Auth2("PLAIN", "alice", edgetest.Password, agent(phoneID)+"<bind xmlns='urn:xmpp:bind:0'><tag>T</tag>"+
		"<enable xmlns='urn:xmpp:carbons:2'/><enable xmlns='urn:xmpp:sm:3' resume='true' max='60'/><inactive xmlns='urn:xmpp:csi:0'/></bind>")
	authenticated(t, n, err)
	bound := n.Kid("urn:xmpp:bind:0", "bound")
	if bound == nil || bound.Kid("urn:xmpp:mam:2", "metadata") == nil {
		t.Fatalf("%v", n)
	}
	on := bound.Kid("urn:xmpp:sm:3", "enabled")
	if on == nil || len(on.Get("id")) < 22 || on.Get("max") != "60" || on.Get("resume") != "true" {
		t.Errorf("%v", on)
	}
	s := b.core.Session(identity(n))
	if f := s.Flags(); !f.Carbons || !f.Inactive {
		t.Errorf("%+v", f)
	}
	if s.Device() != phoneID || !s.StreamManagement().Resume {
		t.Errorf("device %q, %+v", s.Device(), s.StreamManagement())
	}
	next(t, c) // features
	send(t, c, message+"<r xmlns='urn:xmpp:sm:3'/>")
	if a := next(t, c); a.Get("h") != "1" {
		t.Errorf("%v", a)
	}
	send(t, c, enableSM)
	if n := next(t, c); n.Name.Local != "failed" {
		t.Errorf("switched on twice: %v", n)
	}
}

func TestBind2_noRoom(t *testing.T) {
	b := start2(t)
	b.core.BindErr = stanza.Fail("resource-constraint", "Too many devices.")
	c := b.secured()
	n, err := c.Auth2("PLAIN", "alice", edgetest.Password, agent(phoneID)+bind2)
	if err != nil || n.Name.Local != "failure" || n.Kid("", "temporary-auth-failure") == nil || n.Kid("", "resource-constraint") == nil {
		t.Fatalf("%v %v", n, err)
	}
	b.core.BindErr = nil
	n, err = c.Auth2("PLAIN", "alice", edgetest.Password, agent(phoneID)+bind2)
	authenticated(t, n, err)
}

// lost logs alice's phone in with a session that can be resumed, and loses the connection.
func (b *bench) lost(id string) (smID string) {
	b.t.Helper()
	c := b.secured()
	n, err := c.Auth2("PLAIN", "alice", edgetest.Password, id+"<bind xmlns='urn:xmpp:bind:0'><tag>T</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>")
	authenticated(b.t, n, err)
	c.Close()
	if !b.core.Await("detach "+identity(n), patience) {
		b.t.Fatal("the cut was not seen")
	}
	return n.Path("bound", "enabled").Get("id")
}

func resume(id string) string { return "<resume xmlns='urn:xmpp:sm:3' previd='" + id + "' h='0'/>" }

// XEP-0198 §9.2: one round trip, no features, the resource stays; HARDENING A11 for the refusals.
func TestSASL2_resume(t *testing.T) {
	for _, c := range []struct {
		name, agent, user string
		id                func(string) string
		ok                bool
	}{
		{"the same device", agent(phoneID), "alice", func(s string) string { return s }, true},
		{"the id in capitals", agent(strings.ToUpper(phoneID)), "alice", func(s string) string { return s }, true},
		{"another device of the account", agent(deskID), "alice", func(s string) string { return s }, false},
		{"no device", "", "alice", func(s string) string { return s }, false},
		{"another account", agent(phoneID), "bob", func(s string) string { return s }, false},
		{"a guess", agent(phoneID), "alice", func(s string) string { return s[1:] + "A" }, false},
		{"id and device said as one", "", "alice", func(s string) string { return s + " " + phoneID }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := start2(t)
			id := b.lost(agent(phoneID))
			conn := b.secured()
			n, err := conn.Auth2("PLAIN", c.user, edgetest.Password, c.agent+resume(c.id(id))+bind2)
			authenticated(t, n, err)
			if c.ok {
				if n.Kid("urn:xmpp:sm:3", "resumed") == nil || n.Path("bound") != nil || !strings.Contains(identity(n), "/T/") {
					t.Fatalf("%v", n)
				}
			} else if f := n.Kid("urn:xmpp:sm:3", "failed"); f == nil || f.Path("item-not-found") == nil || n.Path("bound") == nil {
				t.Fatalf("%v, want item-not-found and a new session (XEP-0198 §9.2.1)", n)
			}
			send(t, conn, "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
			for n := next(t, conn); n.Name.Local != "iq"; n = next(t, conn) {
				if n.Name.Local == "features" && c.ok {
					t.Error("features after a resumption (XEP-0198 §9.2)")
				}
			}
		})
	}
}

// Somebody who can say a device's id with a space in it would say the key of another.
func TestSASL2_deviceIDsAreWords(t *testing.T) {
	b := start2(t)
	for id, ok := range map[string]bool{
		phoneID + " x": false, " " + phoneID: false, "\t": false, "ä": false, strings.Repeat("a", 65): false,
		strings.ToUpper(phoneID): true, "phone": true, strings.Repeat("a", 64): true,
	} {
		c := b.secured()
		n, err := c.Auth2("PLAIN", "alice", edgetest.Password, agent(id)+bind2)
		if err != nil || (n.Name.Local == "success") != ok || !ok && n.Kid("", "malformed-request") == nil {
			t.Errorf("%q: %v %v", id, n, err)
		}
	}
}

func TestSASL2_failures(t *testing.T) {
	scram := "n,,n=alice,r=abcdef"
	auth := func(mech, data string) string { return client.Authenticate(mech, data, "") }
	response := func(text string) string { return "<response xmlns='urn:xmpp:sasl:2'>" + text + "</response>" }
	for _, c := range []struct {
		name      string
		parts     []string
		condition string
	}{
		{"wrong password", []string{auth("PLAIN", "\x00alice\x00no")}, "not-authorized"},
		{"unknown", []string{auth("PLAIN", "\x00nobody\x00no")}, "not-authorized"},
		{"disabled", []string{auth("PLAIN", "\x00dave\x00"+edgetest.Password)}, "account-disabled"},
		{"mechanism", []string{auth("DIGEST-MD5", "")}, "invalid-mechanism"},
		{"no mechanism", []string{"<authenticate xmlns='urn:xmpp:sasl:2'/>"}, "invalid-mechanism"},
		{"a token's mechanism without <fast/>", []string{auth("HT-SHA-256-NONE", client.TokenProof("alice", "x", nil))}, "invalid-mechanism"},
		{"encoding", []string{"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>!!!</initial-response></authenticate>"}, "incorrect-encoding"},
		{"empty message", []string{auth("PLAIN", "")}, "malformed-request"},
		{"abort", []string{auth("SCRAM-SHA-256", scram), "<abort xmlns='urn:xmpp:sasl:2'/>"}, "aborted"},
		{"elements in the response", []string{auth("SCRAM-SHA-256", scram), response("<x/>")}, "malformed-request"},
		{"empty proof", []string{auth("SCRAM-SHA-256", scram), response("")}, "not-authorized"},
		{"no initial response", []string{"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>", response("")}, "malformed-request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := start2(t)
			conn := b.secured()
			for i, p := range c.parts {
				send(t, conn, p)
				if i < len(c.parts)-1 {
					if n := next(t, conn); n.Name.Local != "challenge" || n.Name.Space != "urn:xmpp:sasl:2" {
						t.Fatal(n)
					}
				}
			}
			n := next(t, conn)
			if n.Name.Local != "failure" || n.Name.Space != "urn:xmpp:sasl:2" || n.Kid("urn:ietf:params:xml:ns:xmpp-sasl", c.condition) == nil {
				t.Fatalf("%v, want failure %s", n, c.condition)
			}
			// XEP-0388 §2.6: the state is as before, for either profile.
			if err := conn.Auth("SCRAM-SHA-1", "alice", edgetest.Password); err != nil {
				t.Fatal(err)
			}
			if len(b.core.Events()) > 0 {
				t.Errorf("%v", b.core.Events())
			}
		})
	}
}

// HARDENING A5: the header says who; whoever proves to be somebody else is refused.
func TestSASL2_fromMismatch(t *testing.T) {
	for from, want := range map[string]string{
		"alice@acme.test": "", "Alice@ACME.test": "", "alice@acme.test/x": "", "bob@acme.test": "invalid-authzid", "acme.test": "invalid-authzid",
	} {
		b := start2(t)
		c := b.secured()
		c.Close()
		c = b.tls()
		send(t, c, strings.Replace(header, "to=", "from='"+from+"' to=", 1))
		if err := c.ReadHeader(); err != nil {
			t.Fatal(from, err)
		}
		n, err := c.Auth2("SCRAM-SHA-256", "alice", edgetest.Password, bind2)
		if want == "" {
			authenticated(t, n, err)
			continue
		}
		if err != nil || n.Kid("", want) == nil || len(b.core.Events()) > 0 {
			t.Errorf("from %s: %v %v, want %s", from, n, err, want)
		}
	}
	c := start2(t).tls()
	send(t, c, strings.Replace(header, "to=", "from='alice@other.test' to=", 1))
	if err := c.ReadHeader(); err == nil || !strings.Contains(err.Error(), "invalid-from") {
		t.Errorf("%v, want invalid-from (XEP-0388 §2.1)", err)
	}
}

// XEP-0388 §2.4: nothing but the login until it is over.
func TestSASL2_nothingBetween(t *testing.T) {
	first := client.Authenticate("SCRAM-SHA-256", "n,,n=alice,r=abcdef", "")
	for name, s := range map[string]string{
		"stanza": message, "ping": "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "bind": bindIQ, "authenticate": first,
		"auth": authPlain("alice", edgetest.Password), "response of the other profile": "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
		"white space": " ", "line end": "\n", "next": "<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-512'/>",
		"task-data": "<task-data xmlns='urn:xmpp:sasl:2'/>", "starttls": starttls, "enable": enableSM, "success": "<success xmlns='urn:xmpp:sasl:2'/>",
	} {
		t.Run(name, func(t *testing.T) {
			b := start2(t)
			c := b.secured()
			send(t, c, first)
			if n := next(t, c); n.Name.Local != "challenge" {
				t.Fatal(n)
			}
			send(t, c, s)
			closedWith(t, c, "policy-violation")
			if len(b.core.Events()) > 0 {
				t.Errorf("%v", b.core.Events())
			}
		})
	}
	t.Run("authenticate behind a login", func(t *testing.T) { // XEP-0388 §4.8
		for _, inner := range []string{"", bind2} {
			c := start2(t).secured()
			send(t, c, authenticate("alice", inner)+authenticate("bob", inner))
			closedWith(t, c, "policy-violation")
		}
	})
	t.Run("before TLS", func(t *testing.T) {
		c := start2(t, func(c *c2s.Config) { c.Plaintext = true }).opened()
		send(t, c, authenticate("alice", ""))
		closedWith(t, c, "not-authorized")
	})
}

// TestSASL2_wrongOrders is HARDENING X10 for this profile: of all orders of login
// with a resource, stanza, stream management, login of old and resource of old, only
// those that begin with the login and go on with what a bound stream may carry pass.
func TestSASL2_wrongOrders(t *testing.T) {
	b := start2(t)
	parts := []string{authenticate("alice", agent(phoneID)+bind2), message, enableSM, authPlain("alice", edgetest.Password), bindIQ}
	for _, order := range permutations(len(parts)) {
		c := b.secured()
		var all strings.Builder
		for _, i := range order {
			all.WriteString(parts[i])
		}
		send(t, c, all.String()+"</stream:stream>")
		text, err := io.ReadAll(c.Conn)
		if err != nil {
			t.Fatal(order, err)
		}
		// A second login ends the stream wherever it stands, so that there is always an error.
		if !strings.Contains(string(text), "<stream:error>") {
			t.Errorf("%v: %s", order, text)
		}
		// XEP-0198 §3: stream management before the login is refused, and the stream goes on.
		first := order[0] == 0 || order[0] == 2 && order[1] == 0
		if got := strings.Contains(string(text), "<bound"); got != first {
			t.Errorf("%v: bound %v: %s", order, got, text)
		}
	}
	for _, e := range b.core.Events() {
		if strings.HasPrefix(e, "flush") && !strings.Contains(e, "alice@acme.test/Test/") {
			t.Errorf("a message was routed before its session was bound: %s", e)
		}
	}
}

// Everything in one flight: header, login, resumption or resource, stanzas.
func TestSASL2_pipelined(t *testing.T) {
	b := start2(t)
	id := b.lost(agent(phoneID))
	all := header + authenticate("alice", agent(phoneID)+resume(id)+bind2) + message + "<r xmlns='urn:xmpp:sm:3'/></stream:stream>"
	for _, step := range []int{len(all), 1, 7, 100} {
		c := b.tls()
		for i := 0; i < len(all); i += step {
			send(t, c, all[i:min(i+step, len(all))])
		}
		text, err := io.ReadAll(c.Conn)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"<success", "<resumed", "<a xmlns='urn:xmpp:sm:3' h='1'/>", "</stream:stream>"}
		if step != len(all) { // it ended with the first stream
			want = []string{"<success", "<failed", "<bound", "</stream:stream>"}
		}
		for _, part := range want {
			if !strings.Contains(string(text), part) {
				t.Errorf("steps of %d: %s is missing in %s", step, part, text)
			}
		}
	}
}

// tls has connected with TLS and said nothing.
func (b *bench) tls() *client.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.direct)
	if err != nil {
		b.t.Fatal(err)
	}
	c := client.Over(conn, edgetest.Domain, patience)
	b.t.Cleanup(func() { c.Close() })
	if err := c.Secure(b.t.Context(), "xmpp-client"); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// token logs in with the password and gets a token.
func (b *bench) token(user, id, mech string) string {
	b.t.Helper()
	c := b.secured()
	n, err := c.Auth2("SCRAM-SHA-256", user, edgetest.Password, agent(id)+"<request-token xmlns='urn:xmpp:fast:0' mechanism='"+mech+"'/>")
	authenticated(b.t, n, err)
	k := n.Kid("urn:xmpp:fast:0", "token")
	if k == nil || k.Get("expiry") != "2030-01-01T00:00:00Z" {
		b.t.Fatalf("%v, want a token (XEP-0484 §3.3)", n)
	}
	return k.Get("token")
}

func (b *bench) withToken(user, id, mech, token, fast string) *client.Node {
	b.t.Helper()
	c := b.secured()
	var binding []byte
	if mech == "HT-SHA-256-EXPR" {
		var err error
		if binding, err = c.Exporter(); err != nil {
			b.t.Fatal(err)
		}
	}
	send(b.t, c, client.Authenticate(mech, client.TokenProof(user, token, binding), agent(id)+fast+bind2))
	n := next(b.t, c)
	if n.Name.Local == "success" {
		want := base64.StdEncoding.EncodeToString(client.TokenAnswer(token, "Responder", binding))
		if d := n.Path("additional-data"); d == nil || d.Text != want {
			b.t.Errorf("%v: the server does not prove that it has the token", n)
		}
	}
	return n
}

const fast = "<fast xmlns='urn:xmpp:fast:0'/>"

func TestFAST_logins(t *testing.T) {
	b := start2(t)
	for _, mech := range []string{"HT-SHA-256-NONE", "HT-SHA-256-EXPR"} {
		token := b.token("alice", phoneID, mech)
		for _, c := range []struct {
			name, user, id, mech, token, fast, want string
		}{
			{"its own", "alice", phoneID, mech, token, fast, ""},
			{"again", "alice", phoneID, mech, token, fast, ""},
			{"another device", "alice", deskID, mech, token, fast, "not-authorized"},
			{"another account", "bob", phoneID, mech, token, fast, "not-authorized"},
			{"nobody", "nobody", phoneID, mech, token, fast, "not-authorized"},
			{"a guess", "alice", phoneID, mech, token + "x", fast, "not-authorized"},
			{"another mechanism (XEP-0484 §3.4)", "alice", phoneID, "HT-SHA-256-ENDP", token, fast, "not-authorized"},
			{"count 5", "alice", phoneID, mech, token, "<fast xmlns='urn:xmpp:fast:0' count='5'/>", ""},
			{"count 5 again", "alice", phoneID, mech, token, "<fast xmlns='urn:xmpp:fast:0' count='5'/>", "not-authorized"},
			{"count 4", "alice", phoneID, mech, token, "<fast xmlns='urn:xmpp:fast:0' count='4'/>", "not-authorized"},
			{"count 6", "alice", phoneID, mech, token, "<fast xmlns='urn:xmpp:fast:0' count='6'/>", ""},
			{"count 0", "alice", phoneID, mech, token, "<fast xmlns='urn:xmpp:fast:0' count='0'/>", "malformed-request"},
			{"count x", "alice", phoneID, mech, token, "<fast xmlns='urn:xmpp:fast:0' count='x'/>", "malformed-request"},
			{"given up", "alice", phoneID, mech, token, "<fast xmlns='urn:xmpp:fast:0' count='7' invalidate='true'/>", ""},
			{"after that", "alice", phoneID, mech, token, "<fast xmlns='urn:xmpp:fast:0' count='8'/>", "not-authorized"},
		} {
			n := b.withToken(c.user, c.id, c.mech, c.token, c.fast)
			if c.want == "" && (n.Name.Local != "success" || n.Kid("urn:xmpp:fast:0", "token") != nil) || c.want != "" && n.Kid("", c.want) == nil {
				t.Errorf("%s %s: %v, want %q", mech, c.name, n, c.want)
			}
		}
	}
}

func TestFAST_rotation(t *testing.T) {
	b := start2(t)
	token := b.token("alice", phoneID, "HT-SHA-256-NONE")
	b.people.Due = true
	if k := b.withToken("alice", phoneID, "HT-SHA-256-NONE", token, fast).Kid("urn:xmpp:fast:0", "token"); k == nil || k.Get("token") == token {
		t.Errorf("%v, want a new token (XEP-0484 §3.5)", k)
	}
}

func TestFAST_noToken(t *testing.T) {
	b := start2(t)
	for name, inner := range map[string]string{
		"no device":                   "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>",
		"a mechanism we do not offer": agent(phoneID) + "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-512-NONE'/>",
		"no mechanism":                agent(phoneID) + "<request-token xmlns='urn:xmpp:fast:0'/>",
		"not asked for":               agent(phoneID),
	} {
		c := b.secured()
		n, err := c.Auth2("PLAIN", "alice", edgetest.Password, inner)
		if authenticated(t, n, err).Kid("urn:xmpp:fast:0", "token") != nil {
			t.Errorf("%s: %v", name, n)
		}
	}
	off := start2(t, func(c *c2s.Config) { c.Devices = nil })
	c := off.secured()
	if len(c.TokenMechanisms()) > 0 {
		t.Error("offered though switched off")
	}
	n, err := c.Auth2("PLAIN", "alice", edgetest.Password, agent(phoneID)+"<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>")
	if authenticated(t, n, err).Kid("urn:xmpp:fast:0", "token") != nil {
		t.Errorf("%v", n)
	}
}

// XEP-0480 §3: who was made before SHA-512 gets keys for it with one login.
func TestUpgrade_addsKeys(t *testing.T) {
	b := start2(t)
	b.people.Without = map[sasl.Hash]bool{sasl.SHA512: true}
	c := b.secured()
	if strings.Contains(strings.Join(c.Mechanisms(), " "), "512") || c.Features.Path("authentication", "upgrade").Text != "UPGR-SCRAM-SHA-512" {
		t.Fatalf("%v", c.Features)
	}
	want := "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>"
	n, err := c.Auth2("SCRAM-SHA-256-PLUS", "alice", edgetest.Password, agent(phoneID)+bind2+want+want+strings.Replace(want, "512", "999", 1))
	if err != nil || n.Name.Local != "continue" || n.Path("tasks", "task").Text != "UPGR-SCRAM-SHA-512" || len(n.Path("tasks").Kids) != 1 {
		t.Fatalf("%v %v", n, err)
	}
	if len(b.core.Events()) > 0 {
		t.Errorf("bound before the task was done: %v", b.core.Events())
	}
	n, err = c.Upgrade("UPGR-SCRAM-SHA-512", edgetest.Password)
	if authenticated(t, n, err).Path("additional-data") != nil || n.Path("bound") == nil {
		t.Errorf("%v: the login's data was told with <continue/>", n)
	}
	c = b.secured()
	n, err = c.Auth2("SCRAM-SHA-512-PLUS", "alice", edgetest.Password, want)
	authenticated(t, n, err)
}

func TestUpgrade_tasksOutOfOrder(t *testing.T) {
	const ask = "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>"
	const begin = "<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-512'/>"
	data := func(inner string) string { return "<task-data xmlns='urn:xmpp:sasl:2'>" + inner + "</task-data>" }
	hash := func(text string) string { return data("<hash xmlns='urn:xmpp:scram-upgrade:0'>" + text + "</hash>") }
	for _, c := range []struct {
		name    string
		parts   []string
		failure string // else the stream ends
	}{
		{"data before next", []string{hash("AAAA")}, ""},
		{"next twice", []string{begin, begin}, ""},
		{"another task", []string{"<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-1'/>"}, "malformed-request"},
		{"a stanza", []string{message}, ""},
		{"response", []string{"<response xmlns='urn:xmpp:sasl:2'/>"}, ""},
		{"authenticate", []string{authenticate("alice", "")}, ""},
		{"white space", []string{" "}, ""},
		{"abort", []string{begin, "<abort xmlns='urn:xmpp:sasl:2'/>"}, "aborted"},
		{"no hash", []string{begin, data("")}, "malformed-request"},
		{"short", []string{begin, hash("AAAA")}, "malformed-request"},
		{"no base64", []string{begin, hash("!")}, "incorrect-encoding"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := start2(t)
			b.people.Without = map[sasl.Hash]bool{sasl.SHA512: true}
			conn := b.secured()
			if n, err := conn.Auth2("SCRAM-SHA-256", "alice", edgetest.Password, ask+bind2); err != nil || n.Name.Local != "continue" {
				t.Fatal(n, err)
			}
			for i, p := range c.parts {
				send(t, conn, p)
				if i < len(c.parts)-1 {
					next(t, conn)
				}
			}
			if c.failure == "" {
				closedWith(t, conn, "policy-violation")
			} else if n := next(t, conn); n.Kid("", c.failure) == nil {
				t.Errorf("%v, want failure %s", n, c.failure)
			}
			if len(b.core.Events()) > 0 || !b.people.Without[sasl.SHA512] {
				t.Errorf("%v, keys added %v", b.core.Events(), !b.people.Without[sasl.SHA512])
			}
		})
	}
}

// A token, or a certificate, is no password: it can't be made one.
func TestUpgrade_notWithAToken(t *testing.T) {
	b := start2(t)
	token := b.token("alice", phoneID, "HT-SHA-256-NONE")
	b.people.Without = map[sasl.Hash]bool{sasl.SHA512: true}
	n := b.withToken("alice", phoneID, "HT-SHA-256-NONE", token, fast+"<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>")
	authenticated(t, n, nil)
}

// XEP-0474 §6.1 over both profiles: the client of the tests checks it.
func TestDowngrade_hashIsSent(t *testing.T) {
	b := start2(t)
	for _, xml := range []string{
		"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>" + base64.StdEncoding.EncodeToString([]byte("n,,n=alice,r=abc")) + "</auth>",
		client.Authenticate("SCRAM-SHA-256", "n,,n=alice,r=abc", ""),
	} {
		c := b.secured()
		send(t, c, xml)
		line, _ := base64.StdEncoding.DecodeString(next(t, c).Text)
		if !strings.Contains(string(line), ",h=") {
			t.Errorf("%s", line)
		}
	}
}
