package login

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.CleanBinary()
	os.Exit(code)
}

const (
	within  = 20 * time.Second
	phoneID = "d4565fa7-4d72-4749-b3d3-740edbf87770"
	agent   = "<user-agent id='" + phoneID + "'><software>Test</software></user-agent>"
	bind2   = "<bind xmlns='urn:xmpp:bind:0'><tag>Test</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"
	expr    = "HT-SHA-256-EXPR"
	request = "<request-token xmlns='urn:xmpp:fast:0' mechanism='" + expr + "'/>"
)

func start(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := server.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		s.Remove()
	})
	return s
}

// open has got the features over TLS.
func open(t *testing.T, s *server.Server) *client.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.C2STLS)
	if err != nil {
		t.Fatal(err)
	}
	c := client.Over(conn, server.Domain, within)
	t.Cleanup(func() { c.Close() })
	if err := c.Secure(t.Context(), "xmpp-client"); err != nil {
		t.Fatal(err)
	}
	if err := c.OpenStream(); err != nil {
		t.Fatal(err)
	}
	return c
}

func success(t *testing.T, n *client.Node, err error) *client.Node {
	t.Helper()
	if err != nil || n.Name.Local != "success" {
		t.Fatalf("%v %v, want <success/>", n, err)
	}
	return n
}

func next(t *testing.T, c *client.Conn) *client.Node {
	t.Helper()
	n, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// upTo reads on to an element that fits; others in between are somebody else's business.
func upTo(t *testing.T, c *client.Conn, fits func(*client.Node) bool) *client.Node {
	t.Helper()
	for {
		if n := next(t, c); fits(n) {
			return n
		}
	}
}

func ask(t *testing.T, c *client.Conn, typ, to, payload string) *client.Node {
	t.Helper()
	if to != "" {
		to = " to='" + to + "'"
	}
	if err := c.Send("<iq type='" + typ + "' id='q1'" + to + ">" + payload + "</iq>"); err != nil {
		t.Fatal(err)
	}
	return upTo(t, c, func(n *client.Node) bool { return n.Name.Local == "iq" && n.Get("id") == "q1" })
}

func withToken(t *testing.T, s *server.Server, user, token, more string) (*client.Conn, *client.Node) {
	t.Helper()
	c := open(t, s)
	binding, err := c.Exporter()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(client.Authenticate(expr, client.TokenProof(user, token, binding), agent+"<fast xmlns='urn:xmpp:fast:0'/>"+more)); err != nil {
		t.Fatal(err)
	}
	return c, next(t, c)
}

// A phone over its life: password, token, a lost connection, a restart of the server,
// another password (HARDENING A11, A12).
func TestDevice_life(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	c := open(t, s)
	n, err := c.Auth2("SCRAM-SHA-512-PLUS", "alice", server.Password, agent+bind2+request)
	success(t, n, err)
	token, smID := n.Kid("urn:xmpp:fast:0", "token").Get("token"), n.Path("bound", "enabled").Get("id")
	full := n.Path("authorization-identifier").Text
	if n.Path("bound", "metadata", "end") == nil {
		t.Errorf("%v: no metadata of the archive (XEP-0386 §3.2)", n)
	}
	c.Close()
	c, n = withToken(t, s, "alice", token, "<resume xmlns='urn:xmpp:sm:3' previd='"+smID+"' h='0'/>"+bind2)
	if success(t, n, nil).Kid("urn:xmpp:sm:3", "resumed") == nil || n.Path("authorization-identifier").Text != full {
		t.Fatalf("%v, want the session resumed as %s", n, full)
	}
	c.Close()
	// The same device with a session of its own again ends the one it has lost.
	c, n = withToken(t, s, "alice", token, bind2)
	if success(t, n, nil).Path("authorization-identifier").Text != full {
		t.Errorf("%v, want the same resource", n)
	}
	c.Close()

	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	again, err := server.Start(ctx, server.Options{Kind: server.Parlance, Dir: s.Dir, Reuse: s})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	other := open(t, again)
	n, err = other.Auth2("PLAIN", "alice", server.Password, strings.Replace(agent, "d4565", "00000", 1)+bind2)
	success(t, n, err)
	c, n = withToken(t, again, "alice", token, bind2)
	success(t, n, nil)
	// XEP-0077 §3.3: who changes the password stays, everybody and everything else goes.
	if n := ask(t, c, "set", server.Domain, "<query xmlns='jabber:iq:register'><username>alice</username><password>another password</password></query>"); n.Get("type") != "result" {
		t.Fatalf("%v", n)
	}
	upTo(t, other, func(n *client.Node) bool { return n.Name.Local == "error" && n.Condition() == "not-authorized" })
	if n := ask(t, c, "get", "", "<ping xmlns='urn:xmpp:ping'/>"); n.Get("type") != "result" {
		t.Errorf("%v", n)
	}
	if _, n = withToken(t, again, "alice", token, bind2); n.Name.Local != "failure" || n.Kid("", "not-authorized") == nil {
		t.Errorf("the token after the password: %v", n)
	}
	for pass, want := range map[string]string{server.Password: "failure", "another password": "success"} {
		if n, err := open(t, again).Auth2("SCRAM-SHA-512", "alice", pass, ""); err != nil || n.Name.Local != want {
			t.Errorf("%s: %v %v, want %s", pass, n, err, want)
		}
	}
}

// Accounts that came from elsewhere without keys for SHA-512: the mechanism is
// offered when all have them (docs/decisions/0010).
func TestUpgrade_everybodyOneAfterAnother(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance, Config: "[login]\nmin_password = 8"})
	for i, who := range server.People {
		c := open(t, s)
		if slices.Contains(c.Mechanisms2(), "SCRAM-SHA-512") {
			t.Fatalf("offered after %d of %d", i, len(server.People))
		}
		if i%2 == 0 { // by the client, or by the server when it has the password
			n, err := c.Auth2("SCRAM-SHA-256-PLUS", who, server.Password, "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>")
			if err != nil || n.Name.Local != "continue" {
				t.Fatal(n, err)
			}
			n, err = c.Upgrade("UPGR-SCRAM-SHA-512", server.Password)
			success(t, n, err)
			continue
		}
		n, err := c.Auth2("PLAIN", who, server.Password, "")
		success(t, n, err)
	}
	for _, who := range server.People {
		c := open(t, s)
		if c.Features.Path("authentication", "upgrade") != nil {
			t.Error("an upgrade is offered to nobody")
		}
		n, err := c.Auth2("SCRAM-SHA-512-PLUS", who, server.Password, "")
		success(t, n, err)
	}
}

func online(t *testing.T, s *server.Server, user string) *client.Conn {
	t.Helper()
	c := open(t, s)
	n, err := c.Auth2("PLAIN", user, server.Password, bind2)
	success(t, n, err)
	if n := ask(t, c, "get", "", "<query xmlns='jabber:iq:roster'/>"); n.Get("type") != "result" {
		t.Fatal(n)
	}
	if err := c.Send("<presence/>"); err != nil {
		t.Fatal(err)
	}
	return c
}

// invited runs a command of XEP-0401 and gives the link's token.
func invited(t *testing.T, c *client.Conn, node, fields, begins string) string {
	t.Helper()
	const cmd = "http://jabber.org/protocol/commands"
	n := ask(t, c, "set", server.Domain, "<command xmlns='"+cmd+"' node='"+node+"' action='execute'/>")
	if id := n.Path("command").Get("sessionid"); n.Path("command").Get("status") == "executing" {
		n = ask(t, c, "set", server.Domain, "<command xmlns='"+cmd+"' node='"+node+"' sessionid='"+id+"' action='complete'>"+
			"<x xmlns='jabber:x:data' type='submit'>"+fields+"</x></command>")
	}
	var uri string
	for _, f := range n.Path("command", "x").Kids {
		if f.Get("var") == "uri" {
			uri = f.Path("value").Text
		}
	}
	if !strings.HasPrefix(uri, begins) {
		t.Fatalf("%v: link %q, want %s…", n, uri, begins)
	}
	token, _, _ := strings.Cut(strings.TrimPrefix(uri, begins), ";")
	if len(token) < 26 {
		t.Errorf("token %q: 128 bits have 26 letters (HARDENING A10)", token)
	}
	return token
}

func registerAs(name, pass string) string {
	return "<query xmlns='jabber:iq:register'><username>" + name + "</username><password>" + pass + "</password></query>"
}

func refusal(n *client.Node) string {
	if n.Get("type") != "error" {
		return n.Get("type")
	}
	return n.Path("error").Kids[0].Name.Local
}

// XEP-0401 §5, XEP-0445 §4: a link, an account, a contact.
func TestInvitation_toAnAccount(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance, Config: "[login]\nmin_password = 8\nregistration = 'invited'\ninvite = 'everybody'"})
	alice := online(t, s, "alice")
	token := invited(t, alice, "urn:xmpp:invite#invite", "", "xmpp:alice@acme.test?roster;preauth=")
	c := open(t, s)
	if c.Features.Kid("urn:xmpp:ibr-token:0", "register") == nil || c.Features.Kid("http://jabber.org/features/iq-register", "register") == nil {
		t.Errorf("%v", c.Features)
	}
	show := func(c *client.Conn, token string) string {
		return refusal(ask(t, c, "set", server.Domain, "<preauth xmlns='urn:xmpp:pars:0' token='"+token+"'/>"))
	}
	for _, r := range []struct{ name, got, want string }{
		{"fields without an invitation", refusal(ask(t, c, "get", server.Domain, "<query xmlns='jabber:iq:register'/>")), "not-allowed"},
		{"an account without one", refusal(ask(t, c, "set", server.Domain, registerAs("zoe", "tomato-voyage"))), "not-allowed"},
		{"a guess", show(c, token+"x"), "item-not-found"},
		{"shown", show(c, token), "result"},
		{"fields", refusal(ask(t, c, "get", server.Domain, "<query xmlns='jabber:iq:register'/>")), "result"},
		{"no password", refusal(ask(t, c, "set", server.Domain, registerAs("zoe", ""))), "not-acceptable"},
		{"a bad password", refusal(ask(t, c, "set", server.Domain, registerAs("zoe", "password"))), "not-acceptable"},
		{"a name that is taken", refusal(ask(t, c, "set", server.Domain, registerAs("bob", "tomato-voyage"))), "conflict"},
		{"made", refusal(ask(t, c, "set", server.Domain, registerAs("zoe", "tomato-voyage"))), "result"},
		{"one more", refusal(ask(t, c, "set", server.Domain, registerAs("zoe2", "tomato-voyage"))), "not-acceptable"},
	} {
		if r.got != r.want {
			t.Errorf("%s: %s, want %s", r.name, r.got, r.want)
		}
	}
	push := upTo(t, alice, func(n *client.Node) bool {
		i := n.Path("query", "item")
		return n.Name.Local == "iq" && i != nil && i.Get("jid") == "zoe@acme.test" && i.Get("subscription") == "both"
	})
	if push.Get("type") != "set" {
		t.Errorf("%v", push)
	}
	n, err := c.Auth2("SCRAM-SHA-256", "zoe", "tomato-voyage", bind2)
	success(t, n, err)
	if n := ask(t, c, "get", "", "<query xmlns='jabber:iq:roster'/>"); n.Path("query", "item") == nil || n.Path("query", "item").Get("jid") != "alice@acme.test" {
		t.Errorf("%v", n)
	}
	if again := open(t, s); show(again, token) != "item-not-found" {
		t.Error("an invitation was good twice")
	}
}

// XEP-0401 §5.4: a name is kept for whom the administrator invited.
func TestInvitation_toAName(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance, Config: "[login]\nmin_password = 8\nregistration = 'open'"})
	bin, err := server.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(bin, "user", "set", "admin", "--admin", "--config", filepath.Join(s.Dir, "parlance.toml")).CombinedOutput(); err != nil {
		t.Fatal(string(out), err)
	}
	admin := online(t, s, "admin")
	token := invited(t, admin, "urn:xmpp:invite#create-account", "<field var='username'><value>Yuri</value></field>", "xmpp:yuri@acme.test?register;preauth=")
	thief := open(t, s)
	if got := refusal(ask(t, thief, "set", server.Domain, registerAs("yuri", "tomato-voyage"))); got != "conflict" {
		t.Errorf("somebody else takes the name: %s", got)
	}
	if got := refusal(ask(t, thief, "set", server.Domain, registerAs("thief", "tomato-voyage"))); got != "result" {
		t.Errorf("open registration: %s", got)
	}
	c := open(t, s)
	ask(t, c, "set", server.Domain, "<preauth xmlns='urn:xmpp:pars:0' token='"+token+"'/>")
	if n := ask(t, c, "get", server.Domain, "<query xmlns='jabber:iq:register'/>"); n.Path("query", "username").Text != "yuri" {
		t.Errorf("%v", n)
	}
	if got := refusal(ask(t, c, "set", server.Domain, registerAs("xaver", "tomato-voyage"))); got != "conflict" {
		t.Errorf("another name: %s", got)
	}
	if got := refusal(ask(t, c, "set", server.Domain, registerAs("yuri", "tomato-voyage"))); got != "result" {
		t.Errorf("%s", got)
	}
	bob := online(t, s, "bob")
	n := ask(t, bob, "set", server.Domain, "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite' action='execute'/>")
	if refusal(n) != "forbidden" {
		t.Errorf("bob invites though only administrators may: %v", n)
	}
}

// XEP-0379 §3: a request that shows a token is granted for the inviter, away or not.
func TestInvitation_toAContact(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance, Config: "[login]\ninvite = 'everybody'"})
	alice, bob := online(t, s, "alice"), online(t, s, "bob")
	token := invited(t, alice, "urn:xmpp:invite#invite", "", "xmpp:alice@acme.test?roster;preauth=")
	if strings.Contains(token, "ibr") {
		t.Error("an account is offered where nobody can make one")
	}
	alice.Close()
	subscribe := func(c *client.Conn, to, token string) {
		t.Helper()
		if err := c.Send("<presence type='subscribe' to='" + to + "'><preauth xmlns='urn:xmpp:pars:0' token='" + token + "'/></presence>"); err != nil {
			t.Fatal(err)
		}
	}
	state := func(c *client.Conn, who string) string {
		for _, i := range ask(t, c, "get", "", "<query xmlns='jabber:iq:roster'/>").Path("query").Kids {
			if i.Get("jid") == who {
				return i.Get("subscription") + " " + i.Get("ask")
			}
		}
		return ""
	}
	subscribe(bob, "carol@acme.test", token) // it is not carol's
	if got := state(bob, "carol@acme.test"); got != "none subscribe" {
		t.Errorf("somebody else's token: %q", got)
	}
	desk := online(t, s, "alice")
	ask(t, desk, "set", "", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='http://jabber.org/protocol/nick'><item id='current'><nick xmlns='http://jabber.org/protocol/nick'>Ali</nick></item></publish></pubsub>")
	const caps = "QvTh6+yQvCcgI+OH0JUWkN/fO08="
	if err := bob.Send("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:t' ver='" + caps + "'/></presence>"); err != nil {
		t.Fatal(err)
	}
	asked := upTo(t, bob, func(n *client.Node) bool { return n.Get("type") == "get" })
	if err := bob.Send("<iq type='result' id='" + asked.Get("id") + "'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:t#" + caps + "'><identity category='client' type='pc' name='t'/><feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/nick+notify'/></query></iq>"); err != nil {
		t.Fatal(err)
	}
	subscribe(bob, "alice@acme.test", token)
	// XEP-0163 §4.3: contacts by now, he sees what she shows her contacts, at once.
	upTo(t, bob, func(n *client.Node) bool {
		nick := n.Path("event", "items", "item", "nick")
		return nick != nil && nick.Text == "Ali"
	})
	desk.Close()
	if got := state(bob, "alice@acme.test"); got != "both " {
		t.Errorf("bob sees %q", got)
	}
	if got := state(online(t, s, "alice"), "bob@acme.test"); got != "both " {
		t.Errorf("alice sees %q", got)
	}
	dave := online(t, s, "dave")
	subscribe(dave, "alice@acme.test", token)
	if got := state(dave, "alice@acme.test"); got != "none subscribe" {
		t.Errorf("a token used twice: %q", got)
	}
}

// XEP-0175 §3, HARDENING A15 in small.
func TestGuests_talkAndLeaveNothing(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance, Config: "[login]\nguests = 2"})
	alice := online(t, s, "alice")
	guest := func() (*client.Conn, *client.Node) {
		c := open(t, s)
		if err := c.Send(client.Authenticate("ANONYMOUS", "", bind2)); err != nil {
			t.Fatal(err)
		}
		return c, next(t, c)
	}
	c, n := guest()
	me := success(t, n, nil).Path("authorization-identifier").Text
	bare, _, _ := strings.Cut(me, "/")
	_, second := guest()
	success(t, second, nil)
	if _, third := guest(); third.Name.Local != "failure" || third.Kid("", "resource-constraint") == nil {
		t.Errorf("a third guest of two: %v", third)
	}
	for _, r := range []struct{ typ, to, payload, want string }{
		{"get", server.Domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>", "result"},
		{"get", "", "<query xmlns='jabber:iq:roster'/>", "result"},
		{"set", "", "<query xmlns='jabber:iq:roster'><item jid='alice@acme.test'/></query>", "forbidden"},
		{"set", "", "<vCard xmlns='vcard-temp'><FN>Boss</FN></vCard>", "forbidden"},
		{"get", "alice@acme.test", "<vCard xmlns='vcard-temp'/>", "forbidden"},
		{"set", server.Domain, registerAs("guest", "tomato-voyage-1"), "forbidden"},
		{"set", "", "<block xmlns='urn:xmpp:blocking'><item jid='alice@acme.test'/></block>", "forbidden"},
		{"set", server.Domain, "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite' action='execute'/>", "forbidden"},
		{"get", server.Domain, "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='1'/>", "forbidden"},
	} {
		if got := refusal(ask(t, c, r.typ, r.to, r.payload)); got != r.want {
			t.Errorf("%s: %s, want %s", r.payload, got, r.want)
		}
	}
	if n := ask(t, c, "get", bare, "<query xmlns='http://jabber.org/protocol/disco#info'/>"); n.Path("query", "identity") == nil || n.Path("query", "identity").Get("type") != "anonymous" {
		t.Errorf("%v, want account/anonymous (XEP-0175 §5)", n)
	}
	if err := c.Send("<presence type='subscribe' to='alice@acme.test'/><message to='alice@acme.test' type='chat'><body>hello</body></message>"); err != nil {
		t.Fatal(err)
	}
	if n := upTo(t, c, func(n *client.Node) bool { return n.Name.Local == "presence" }); n.Get("type") != "error" {
		t.Errorf("%v", n)
	}
	if n := upTo(t, alice, func(n *client.Node) bool { return n.Name.Local == "message" }); n.Get("from") != me || n.Body() != "hello" {
		t.Errorf("%v", n)
	}
	if err := c.Send("</stream:stream>"); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); err == nil; {
		_, err = c.Next()
	}
	c.Close()
	// The guest is gone when the server has let go of the connection, shortly after its end.
	deadline := time.Now().Add(within)
	for {
		if err := alice.Send("<message to='" + bare + "' type='chat' id='m'><body>still there?</body></message>"); err != nil {
			t.Fatal(err)
		}
		ask(t, alice, "get", "", "<ping xmlns='urn:xmpp:ping'/>")
		c, n := guest()
		c.Close()
		if n.Name.Local == "success" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the place of a guest who has left is not free")
		}
	}
	if err := alice.Send("<message to='" + bare + "' type='chat' id='last'><body>still there?</body></message>"); err != nil {
		t.Fatal(err)
	}
	upTo(t, alice, func(n *client.Node) bool {
		return n.Name.Local == "message" && n.Get("id") == "last" && n.Get("type") == "error"
	})
}
