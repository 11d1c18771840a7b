package vhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/check"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.CleanBinary()
	os.Exit(code)
}

const (
	within = 20 * time.Second
	other  = "b.test"
	secret = "another password on b" // never that of the same name on acme.test
)

// try runs a command of the binary on a server's data.
func try(s *server.Server, stdin string, args ...string) (string, error) {
	bin, err := server.Binary()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, append(args, "--data", s.Data())...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("parlance %s: %w\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String(), nil
}

func parlance(t *testing.T, s *server.Server, args ...string) string {
	t.Helper()
	out, err := try(s, secret+"\n", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// withOther adds the other host with alice and bob.
func withOther(t *testing.T, s *server.Server, set ...string) {
	t.Helper()
	parlance(t, s, append([]string{"host", "add", other}, set...)...)
	for _, who := range []string{"alice", "bob"} {
		parlance(t, s, "user", "add", who+"@"+other, "--password-stdin")
	}
}

func options(s *server.Server, user, domain, resource string) client.Options {
	o := s.Options(user, resource)
	if domain == other {
		o.Domain, o.Pass = other, secret
	}
	return o
}

func login(t *testing.T, s *server.Server, user, domain, resource string) *client.Client {
	t.Helper()
	c := s.LoginWith(t, options(s, user, domain, resource))
	if err := errors.Join(c.Send("<presence/>"), c.Fence(within)); err != nil {
		t.Fatal(err)
	}
	return c
}

// kept are the things a client can have the server keep and read again.
var kept = []struct{ name, set, get string }{
	{"roster", "<query xmlns='jabber:iq:roster'><item jid='MARK@elsewhere.test' name='MARK'/></query>", "<query xmlns='jabber:iq:roster'/>"},
	{"private XML", "<query xmlns='jabber:iq:private'><x xmlns='urn:test'>MARK</x></query>", "<query xmlns='jabber:iq:private'><x xmlns='urn:test'/></query>"},
	{"vCard", "<vCard xmlns='vcard-temp'><FN>MARK</FN></vCard>", "<vCard xmlns='vcard-temp'/>"},
	{"block list", "<block xmlns='urn:xmpp:blocking'><item jid='MARK@elsewhere.test'/></block>", "<blocklist xmlns='urn:xmpp:blocking'/>"},
	{"PEP node", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:test:node'><item id='i'><x xmlns='urn:test'>MARK</x></item></publish></pubsub>",
		"<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:test:node'/></pubsub>"},
	{"bookmarks", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:bookmarks:1'><item id='MARK@conference.acme.test'>" +
		"<conference xmlns='urn:xmpp:bookmarks:1'/></item></publish></pubsub>", "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>"},
	{"nickname", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='http://jabber.org/protocol/nick'><item id='current'>" +
		"<nick xmlns='http://jabber.org/protocol/nick'>MARK</nick></item></publish></pubsub>",
		"<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/nick'/></pubsub>"},
}

// HARDENING I10: alice of one host and alice of another are two people.
func TestHosts_sameNameIsTwoPeople(t *testing.T) {
	s := server.Test(t, server.Parlance)
	withOther(t, s)
	for _, wrong := range []client.Options{
		{Addr: s.C2S, Domain: other, User: "alice", Pass: server.Password, Resource: "x"},
		{Addr: s.C2S, Domain: server.Domain, User: "alice", Pass: secret, Resource: "x"},
		{Addr: s.C2S, Domain: other, User: "carol", Pass: server.Password, Resource: "x"},
	} {
		if c, err := client.Login(t.Context(), wrong); err == nil {
			c.Close()
			t.Errorf("%s@%s came in with %q", wrong.User, wrong.Domain, wrong.Pass)
		}
	}
	hosts := []string{server.Domain, other}
	var alice [2]*client.Client
	for i, h := range hosts {
		alice[i] = login(t, s, "alice", h, "one")
	}
	for i, c := range alice {
		for _, k := range kept {
			mark := fmt.Sprintf("m%d", i)
			if iq, err := c.IQ(within, "set", "", strings.ReplaceAll(k.set, "MARK", mark)); err != nil || iq.Get("type") != "result" {
				t.Fatalf("%s on %s: %v %v", k.name, hosts[i], iq, err)
			}
		}
		// To herself, and to the other one's archive only what was sent to that.
		if err := errors.Join(c.Send("<message type='chat' to='bob@"+hosts[i]+"' id='s'><body>archive m"+fmt.Sprint(i)+"</body></message>"), c.Fence(within)); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range alice {
		own, not := fmt.Sprintf("m%d", i), fmt.Sprintf("m%d", 1-i)
		for _, k := range kept {
			iq, err := c.IQ(within, "get", "", k.get)
			if err != nil || !strings.Contains(iq.String(), own) || strings.Contains(iq.String(), not) {
				t.Errorf("%s on %s: %v %v", k.name, hosts[i], iq, err)
			}
		}
		all, err := c.Archive(within, 100)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(all)
		if found := strings.Contains(text, "archive "+own); found == false || strings.Contains(text, "archive "+not) {
			t.Errorf("archive on %s: %s", hosts[i], text)
		}
	}
	// What one asks of the other is what a stranger may know.
	for i, c := range alice {
		for _, k := range kept[4:5] {
			iq, err := c.IQ(within, "get", "alice@"+hosts[1-i], k.get)
			if err != nil || iq.Get("type") != "error" {
				t.Errorf("%s of the other: %v %v", k.name, iq, err)
			}
		}
	}
	// A session of one can't be taken up by the other (HARDENING A11).
	o := options(s, "alice", server.Domain, "sm")
	o.SM = true
	c := s.LoginWith(t, o)
	c.Cut()
	foreign := options(s, "alice", other, "sm")
	foreign.SM, foreign.Resume = true, &client.Resume{ID: c.SMID}
	if _, err := client.Login(t.Context(), foreign); err == nil {
		t.Error("a session was resumed on another host")
	}
}

// Chat, subscriptions and rooms between two hosts of the server.
func TestHosts_talkToEachOther(t *testing.T) {
	s := server.Test(t, server.Parlance)
	withOther(t, s)
	a, b := login(t, s, "alice", server.Domain, "one"), login(t, s, "bob", other, "one")
	if err := errors.Join(a.Send("<presence type='subscribe' to='bob@b.test'/>"), a.Fence(within)); err != nil {
		t.Fatal(err)
	}
	take(t, b, "subscription request", func(n *client.Node) bool { return n.Is("presence", "subscribe") && n.Get("from") == "alice@acme.test" })
	if err := b.Send("<presence type='subscribed' to='alice@acme.test'/>"); err != nil {
		t.Fatal(err)
	}
	take(t, a, "presence of the other host", func(n *client.Node) bool { return n.Is("presence", "") && n.Get("from") == b.JID })
	if err := a.Send("<message type='chat' to='bob@b.test' id='1'><body>across</body></message>"); err != nil {
		t.Fatal(err)
	}
	take(t, b, "message", func(n *client.Node) bool { return n.Body() == "across" && n.Get("from") == a.JID })
	for _, c := range []*client.Client{a, b} {
		if last, err := c.Newest(within); err != nil || last == nil || !strings.Contains(fmt.Sprint(*last), "across") {
			t.Errorf("archive of %s: %v %v", c.JID, last, err)
		}
	}
	// XEP-0030: each host has its services, and the rooms take people of both.
	for _, c := range []*client.Client{a, b} {
		domain := c.Opt.Domain
		iq, err := c.IQ(within, "get", domain, "<query xmlns='http://jabber.org/protocol/disco#items'/>")
		if err != nil || !strings.Contains(iq.String(), "conference."+domain) || strings.Count(iq.String(), "conference.") != 1 {
			t.Errorf("items of %s: %v %v", domain, iq, err)
		}
	}
	enter(t, b, "hall@conference.b.test", "bob")
	if iq, err := b.IQ(within, "set", "hall@conference.b.test", "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>"); err != nil || iq.Get("type") != "result" {
		t.Fatal(iq, err)
	}
	enter(t, a, "hall@conference.b.test", "alice")
	if err := a.Send("<message type='groupchat' to='hall@conference.b.test' id='2'><body>to the hall</body></message>"); err != nil {
		t.Fatal(err)
	}
	take(t, b, "message in the room", func(n *client.Node) bool { return n.Body() == "to the hall" })
	for domain, want := range map[string]bool{"conference.b.test": true, "conference.acme.test": false} {
		iq, err := a.IQ(within, "get", domain, "<query xmlns='http://jabber.org/protocol/disco#items'/>")
		if err != nil || strings.Contains(iq.String(), "hall@") != want {
			t.Errorf("rooms of %s: %v %v", domain, iq, err)
		}
	}
}

func take(t *testing.T, c *client.Client, what string, match func(*client.Node) bool) *client.Node {
	t.Helper()
	n, err := c.Take(within, match)
	if err != nil {
		t.Fatalf("%s: no %s: %v", c.JID, what, err)
	}
	return n
}

func enter(t *testing.T, c *client.Client, room, nick string) {
	t.Helper()
	if err := c.Send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>"); err != nil {
		t.Fatal(err)
	}
	take(t, c, "own presence in "+room, func(n *client.Node) bool {
		return n.Is("presence", "") && n.Get("from") == room+"/"+nick && strings.Contains(n.String(), "110")
	})
}

// Removing a host ends its sessions, and nothing else; what it had is there when it is added again.
func TestHosts_removed(t *testing.T) {
	s := server.Test(t, server.Parlance)
	withOther(t, s)
	a, b := login(t, s, "alice", server.Domain, "one"), login(t, s, "bob", other, "one")
	enter(t, b, "hall@conference.b.test", "bob")
	if _, err := b.IQ(within, "set", "hall@conference.b.test", "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>"+
		"<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query>"); err != nil {
		t.Fatal(err)
	}
	enter(t, a, "hall@conference.b.test", "alice")
	if err := errors.Join(a.Send("<message type='chat' to='bob@b.test' id='1'><body>kept for the record</body></message>"), a.Fence(within)); err != nil {
		t.Fatal(err)
	}
	parlance(t, s, "host", "remove", other, "--yes", "--notice", "We move house tonight.")
	take(t, b, "notice", func(n *client.Node) bool { return n.Get("from") == other && n.Body() == "We move house tonight." })
	var gone *client.StreamError
	if err := b.Closed(within); !errors.As(err, &gone) || gone.Node.Condition() != "host-gone" {
		t.Errorf("stream ended with %v, want host-gone (RFC 6120 §4.9.3.5)", err)
	}
	take(t, a, "end of the room", func(n *client.Node) bool {
		return n.Is("presence", "unavailable") && n.Get("from") == "hall@conference.b.test/alice" && strings.Contains(n.String(), "332")
	})
	if _, err := client.Login(t.Context(), options(s, "bob", other, "two")); !errors.As(err, &gone) || gone.Node.Condition() != "host-unknown" {
		t.Errorf("login: %v, want host-unknown (RFC 6120 §4.9.3.6)", err)
	}
	for _, to := range []string{"bob@b.test", "hall@conference.b.test"} {
		if err := a.Send("<message type='chat' to='" + to + "' id='x'><body>anybody?</body></message>"); err != nil {
			t.Fatal(err)
		}
		n := take(t, a, "error", func(n *client.Node) bool { return n.Is("message", "error") && n.Get("from") == to })
		if n.Condition() != "remote-server-not-found" {
			t.Errorf("to %s: %s", to, n)
		}
	}
	if err := a.Fence(within); err != nil {
		t.Errorf("the other host's session: %v", err)
	}
	// Back, with everything.
	parlance(t, s, "host", "add", other)
	b = login(t, s, "bob", other, "three")
	if last, err := b.Archive(within, 100); err != nil || !strings.Contains(fmt.Sprint(last), "kept for the record") {
		t.Errorf("archive: %v %v", last, err)
	}
	enter(t, b, "hall@conference.b.test", "bob")
	// Purged: nobody and nothing is left but the record.
	parlance(t, s, "host", "remove", other, "--yes", "--purge")
	parlance(t, s, "host", "add", other)
	if c, err := client.Login(t.Context(), options(s, "bob", other, "four")); err == nil {
		c.Close()
		t.Error("a purged account came in")
	}
	iq, err := a.IQ(within, "get", "conference.b.test", "<query xmlns='http://jabber.org/protocol/disco#items'/>")
	if err != nil || strings.Contains(iq.String(), "hall@") {
		t.Errorf("rooms after the purge: %v %v", iq, err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	records, err := check.Dump(s.Data())
	if err != nil || !slices.ContainsFunc(records, func(r check.Record) bool {
		return r.Body == check.Hash("kept for the record") && r.From == "alice@acme.test" && r.To == "bob@b.test"
	}) {
		t.Errorf("the record of a purged host: %+v %v", records, err)
	}
}

// What was answered is on disk.
func TestHosts_killedBehindTheAnswer(t *testing.T) {
	s, err := server.Start(t.Context(), server.Options{Kind: server.Parlance})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Kill(); s.Remove() }()
	again := func() {
		s.Kill()
		next, err := server.Start(t.Context(), server.Options{Kind: server.Parlance, Reuse: s})
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	for i := range 5 {
		name := fmt.Sprintf("h%d.test", i)
		parlance(t, s, "host", "add", name, "rooms.name=Halls")
		parlance(t, s, "user", "add", "zoe@"+name, "--password-stdin")
		again()
		c, err := client.Login(t.Context(), client.Options{Addr: s.C2S, Domain: name, User: "zoe", Pass: secret, Resource: "x"})
		if err != nil {
			t.Fatalf("%s after kill -9: %v", name, err)
		}
		iq, err := c.IQ(within, "get", "conference."+name, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
		if err != nil || !strings.Contains(iq.String(), "Halls") {
			t.Errorf("%s: %v %v", name, iq, err)
		}
		c.Close()
		if i%2 == 0 { // the other way round
			parlance(t, s, "host", "remove", name, "--yes")
			again()
			if strings.Contains(parlance(t, s, "host", "list"), name) {
				t.Errorf("%s is back", name)
			}
		}
	}
}
