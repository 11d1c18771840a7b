package admin

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.CleanBinary()
	os.Exit(code)
}

// all are the nodes of XEP-0133 §4 that are listed; Get User Password is retracted.
var all = []string{
	"add-user", "delete-user", "disable-user", "reenable-user", "end-user-session", "change-user-password",
	"get-user-roster", "get-user-lastlogin", "user-stats", "edit-blacklist", "edit-whitelist",
	"get-registered-users-num", "get-disabled-users-num", "get-online-users-num", "get-active-users-num", "get-idle-users-num",
	"get-registered-users-list", "get-disabled-users-list", "get-online-users-list", "get-active-users", "get-idle-users",
	"announce", "set-motd", "edit-motd", "delete-motd", "set-welcome", "delete-welcome", "edit-admin", "restart", "shutdown",
}

// hidden are answered and not listed.
var hidden = []string{"get-user-password", "add-to-whitelist"}

func must(t *testing.T, c *client.Client, node string, fields ...field) *client.Node {
	t.Helper()
	cmd, err := execute(c, node, fields...)
	if err != nil {
		t.Fatalf("%s: %v", node, err)
	}
	return cmd
}

// refusedAs wants an error stanza of that condition whose text says something.
func refusedAs(t *testing.T, err error, condition, own, text string) {
	t.Helper()
	var r *refusal
	if !errors.As(err, &r) {
		t.Errorf("not refused: %v", err)
		return
	}
	if r.condition != condition || r.own != own || !strings.Contains(r.text, text) {
		t.Errorf("refused with %v, want %s %s … %s …", r, condition, own, text)
	}
}

func online(t *testing.T, s *server.Server, user, resource string) *client.Client {
	t.Helper()
	c := s.Login(t, user, resource)
	if err := errors.Join(c.Send("<presence/>"), c.Fence(within)); err != nil {
		t.Fatal(err)
	}
	return c
}

// gone wants a client's stream to end with a stream error.
func gone(t *testing.T, c *client.Client, condition string) {
	t.Helper()
	if err := c.Closed(within); err == nil || !strings.Contains(err.Error(), condition) {
		t.Errorf("%s: the stream ended with %v, want %s", c.JID, err, condition)
	}
}

func canLogin(t *testing.T, s *server.Server, user, pass string) error {
	t.Helper()
	o := s.Options(user, "try")
	o.Pass = pass
	c, err := client.Login(context.Background(), o)
	if err == nil {
		c.Close()
	}
	return err
}

func body(t *testing.T, c *client.Client, text string) *client.Node {
	t.Helper()
	n, err := c.Take(within, func(n *client.Node) bool { return n.Name.Local == "message" && strings.Contains(n.Body(), text) })
	if err != nil {
		t.Fatalf("%s: no message with %q: %v", c.JID, text, err)
	}
	return n
}

// archived are the bodies of somebody's archive that have a text.
func archived(t *testing.T, c *client.Client, text string) (n int) {
	t.Helper()
	page, err := c.IQ(within, "set", "", "<query xmlns='urn:xmpp:mam:2' queryid='q'/>")
	if err != nil || page.Get("type") != "result" {
		t.Fatal(page, err)
	}
	for _, m := range c.Drain() {
		if f := m.Path("result", "forwarded", "message"); f != nil && strings.Contains(f.Body(), text) {
			n++
		}
	}
	return n
}

// XEP-0133 §3, XEP-0050 §2.2: who may run them sees them all, with their kind; nobody else sees one.
func TestCommands_whoSeesThem(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	admin, alice := online(t, s, "admin", "desk"), online(t, s, "alice", "desk")
	got, err := listed(admin)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range all {
		if got[adminNS+"#"+node] == "" {
			t.Errorf("%s is not listed", node)
		}
	}
	// What everybody may run: a ping, and their own devices.
	everybodys := []string{"https://parlance.im/commands#devices", "https://parlance.im/commands#revoke-device", "ping"}
	if len(got) != len(all)+len(everybodys)+3 { // two about reports, and invitations (XEP-0401)
		t.Errorf("%d commands are listed: %v", len(got), got)
	}
	info, err := admin.IQ(within, "get", server.Domain, "<query xmlns='http://jabber.org/protocol/disco#info' node='"+adminNS+"#announce'/>")
	if err != nil || info.Path("query", "identity").Get("type") != "command-node" {
		t.Errorf("%s %v", info, err)
	}
	if got, err := listed(alice); err != nil || !slices.Equal(slices.Sorted(maps.Keys(got)), everybodys) {
		t.Errorf("alice sees %v, %v", got, err)
	}
	for _, node := range slices.Concat(all, hidden) {
		_, err := execute(alice, node)
		refusedAs(t, err, "forbidden", "", "")
		info, err := alice.IQ(within, "get", server.Domain, "<query xmlns='http://jabber.org/protocol/disco#info' node='"+adminNS+"#"+node+"'/>")
		if err != nil || info.Condition() != "forbidden" {
			t.Errorf("%s: disco for alice: %s, %v", node, info, err)
		}
	}
	_, err = execute(admin, "no-such-command")
	refusedAs(t, err, "item-not-found", "", "")
	_, err = execute(admin, "get-user-password")
	refusedAs(t, err, "not-allowed", "", "passwords")
}

// XEP-0050 §2.4, §3.4, §4.4: actions and sessions.
func TestCommands_sessions(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	admin, other := online(t, s, "admin", "desk"), online(t, s, "admin", "phone")
	node := adminNS + "#change-user-password"
	begin := func() string {
		t.Helper()
		iq, err := step(admin, node, "", "", "")
		cmd := iq.Kid(commands, "command")
		if err != nil || cmd.Get("status") != "executing" || cmd.Path("actions").Get("execute") != "complete" || cmd.Path("actions", "complete") == nil ||
			cmd.Path("actions", "prev") != nil || cmd.Path("actions", "next") != nil || len(cmd.Get("sessionid")) < 22 {
			t.Fatalf("begin: %s %v", iq, err)
		}
		return cmd.Get("sessionid")
	}
	id := begin()
	for _, c := range []struct{ who, session, action, payload, condition, own string }{
		{"other", id, "", "", "not-allowed", "session-expired"}, // another resource's
		{"admin", id, "stop", "", "bad-request", "malformed-action"},
		{"admin", id, "next", submit(nil), "bad-request", "bad-action"},
		{"admin", id, "prev", "", "bad-request", "bad-action"},
		{"admin", id, "", "", "bad-request", "bad-payload"},
		{"admin", id, "complete", submit([]field{v("accountjid", "dave@acme.test")}), "bad-request", "bad-payload"}, // no password
		{"admin", "", "complete", submit(nil), "bad-request", "bad-action"},
		{"admin", "mine", "", "", "bad-request", "bad-sessionid"},
		{"admin", strings.Repeat("A", 26), "", "", "not-allowed", "session-expired"},
	} {
		from := admin
		if c.who == "other" {
			from = other
		}
		iq, err := step(from, node, c.session, c.action, c.payload)
		if err != nil {
			t.Fatal(err)
		}
		refusedAs(t, refused(iq), c.condition, c.own, "")
	}
	// What was wrong was mended in the same session.
	iq, err := step(admin, node, id, "complete", submit([]field{v("accountjid", "dave@acme.test"), v("password", "another one 7")}))
	if err != nil || iq.Path("command").Get("status") != "completed" {
		t.Errorf("%s %v", iq, err)
	}
	id = begin()
	iq, err = step(admin, node, id, "cancel", "")
	if err != nil || iq.Path("command").Get("status") != "canceled" {
		t.Errorf("%s %v", iq, err)
	}
	iq, _ = step(admin, node, id, "", submit(nil))
	refusedAs(t, refused(iq), "not-allowed", "session-expired", "")
	first := begin()
	for range 16 { // as many as an account may have: the oldest goes
		begin()
	}
	iq, _ = step(admin, node, first, "", submit(nil))
	refusedAs(t, refused(iq), "not-allowed", "session-expired", "")
}

// XEP-0133 §4.1 to §4.7, durable over a restart.
func TestCommands_accounts(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	admin, bob := online(t, s, "admin", "desk"), online(t, s, "bob", "desk")
	must(t, admin, "add-user", v("accountjid", "juliet@acme.test"), v("password", "balcony"), v("password-verify", "balcony"),
		v("email", "juliet@capulet.example"), v("given_name", "Juliet"), v("surname", "Capulet"))
	must(t, admin, "add-user", v("accountjid", "paris@acme.test"), v("password", "count"))
	for _, c := range []struct {
		fields               []field
		condition, own, text string
	}{
		{[]field{v("accountjid", "juliet@acme.test"), v("password", "x")}, "conflict", "", "already"},
		{[]field{v("accountjid", "nurse@acme.test"), v("password", "x"), v("password-verify", "y")}, mended, "", "same"},
		{[]field{v("accountjid", "nurse@acme.test")}, "bad-request", "bad-payload", "password"},
		{[]field{v("password", "x")}, "bad-request", "bad-payload", "address of the account"},
		{[]field{v("accountjid", "a b@acme.test"), v("password", "x")}, mended, "", "somebody@example.com"},
		{[]field{v("accountjid", "acme.test"), v("password", "x")}, mended, "", "somebody@acme.test"},
		{[]field{v("accountjid", "nurse@other.test"), v("password", "x")}, mended, "", "other.test"},
	} {
		_, err := execute(admin, "add-user", c.fields...)
		refusedAs(t, err, c.condition, c.own, c.text)
	}
	card, err := admin.IQ(within, "get", "juliet@acme.test", "<vCard xmlns='vcard-temp'/>")
	if err != nil || card.Path("vCard", "FN").Text != "Juliet Capulet" {
		t.Errorf("%s %v", card, err)
	}
	must(t, admin, "change-user-password", v("accountjid", "bob@acme.test"), v("password", "tomato-voyage"))
	gone(t, bob, "not-authorized") // HARDENING A12
	must(t, admin, "disable-user", v("accountjids", "juliet@acme.test", "paris@acme.test"))
	must(t, admin, "reenable-user", v("accountjids", "juliet@acme.test"))
	must(t, admin, "delete-user", v("accountjids", "carol@acme.test"))
	_, err = execute(admin, "delete-user", v("accountjids", "carol@acme.test"))
	refusedAs(t, err, mended, "", "carol")
	_, err = execute(admin, "disable-user", v("accountjids", "dave@acme.test", "admin@acme.test"))
	refusedAs(t, err, "not-allowed", "", "you are using")

	check := func(s *server.Server) {
		t.Helper()
		for who, pass := range map[string]string{"juliet": "balcony", "bob": "tomato-voyage", "dave": server.Password} {
			if err := canLogin(t, s, who, pass); err != nil {
				t.Errorf("%s can't log in: %v", who, err)
			}
		}
		for who, pass := range map[string]string{"paris": "count", "bob": server.Password, "carol": server.Password} {
			if canLogin(t, s, who, pass) == nil {
				t.Errorf("%s can log in", who)
			}
		}
	}
	check(s)
	check(restarted(t, s))
}

// restarted kills the server and starts it again on the same data.
func restarted(t *testing.T, s *server.Server) *server.Server {
	t.Helper()
	s.Kill()
	return start(t, server.Options{Reuse: s})
}

// start starts a server that the test may end itself.
func start(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	s, err := server.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.Alive() {
			if err := s.Stop(); err != nil {
				t.Errorf("stop: %v", err)
			}
		}
		if t.Failed() {
			t.Logf("output:\n%s", s.Output())
		}
		s.Remove()
	})
	return s
}

// XEP-0133 §4.5, §4.8 to §4.10.
func TestCommands_oneAccount(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	admin, desk, phone := online(t, s, "admin", "desk"), online(t, s, "alice", "desk"), online(t, s, "alice", "phone")
	must(t, admin, "end-user-session", v("accountjids", "alice@acme.test/phone"))
	gone(t, phone, "policy-violation")
	if err := desk.Fence(within); err != nil {
		t.Errorf("the desk is not: %v", err)
	}
	roster := must(t, admin, "get-user-roster", v("accountjids", "alice@acme.test"))
	items := roster.Path("x", "query").Kids
	if len(items) != 2 || items[0].Get("jid") != "bob@acme.test" || items[0].Get("subscription") != "both" {
		t.Errorf("%s", roster)
	}
	if got := values(must(t, admin, "get-user-lastlogin", v("accountjids", "alice@acme.test")), "lastlogin"); len(got) != 1 || !strings.HasSuffix(got[0], "Z") {
		t.Errorf("last login %v", got)
	}
	if got := values(must(t, admin, "get-user-lastlogin", v("accountjids", "erin@acme.test")), "lastlogin"); len(got) != 0 {
		t.Errorf("erin logged in at %v", got)
	}
	stats := must(t, admin, "user-stats", v("accountjid", "alice@acme.test"))
	for name, want := range map[string]string{"rostersize": "2", "onlineresources": "desk", "ipaddresses": "127.0.0.1"} {
		if got := values(stats, name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	must(t, admin, "end-user-session", v("accountjids", "alice@acme.test"))
	gone(t, desk, "policy-violation")
	_, err := execute(admin, "end-user-session", v("accountjids", "admin@acme.test"))
	refusedAs(t, err, "not-allowed", "", "log out")
	next := restarted(t, s)
	if got := values(must(t, online(t, next, "admin", "desk"), "get-user-lastlogin", v("accountjids", "admin@acme.test")), "lastlogin"); len(got) != 1 {
		t.Errorf("last login after a restart: %v", got)
	}
}

// XEP-0133 §4.13 to §4.22.
func TestCommands_countsAndLists(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	admin := online(t, s, "admin", "desk")
	online(t, s, "alice", "desk")
	bob := online(t, s, "bob", "desk")
	if err := errors.Join(bob.Send("<presence><show>away</show></presence>"), bob.Fence(within)); err != nil {
		t.Fatal(err)
	}
	s.Login(t, "carol", "silent") // bound, and not available
	must(t, admin, "disable-user", v("accountjids", "erin@acme.test"))
	for which, want := range map[string][]string{
		"registered": {"admin", "alice", "bob", "carol", "dave", "erin"},
		"disabled":   {"erin"},
		"online":     {"admin", "alice", "bob"},
		"active":     {"admin", "alice"},
		"idle":       {"bob"},
	} {
		if got := values(must(t, admin, "get-"+which+"-users-num"), which+"usersnum"); len(got) != 1 || got[0] != string(rune('0'+len(want))) {
			t.Errorf("number of %s: %v, want %d", which, got, len(want))
		}
		name := which + "userjids"
		if which == "idle" {
			name = "activeuserjids" // as XEP-0133 §4.22 has it
		}
		node := "get-" + which + "-users"
		if which != "active" && which != "idle" { // XEP-0133 §4.21, §4.22
			node += "-list"
		}
		got := values(must(t, admin, node, v("max_items", "none")), name)
		for i := range got {
			got[i] = strings.TrimSuffix(got[i], "@acme.test")
		}
		if !slices.Equal(got, want) {
			t.Errorf("list of %s: %v, want %v", which, got, want)
		}
	}
	_, err := execute(admin, "get-registered-users-list", v("max_items", "7"))
	refusedAs(t, err, "bad-request", "bad-payload", "choose one of 25, 50")
}

// XEP-0133 §4.11 and §4.12.
func TestCommands_walls(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	admin, alice, bob := online(t, s, "admin", "desk"), online(t, s, "alice", "desk"), online(t, s, "bob", "desk")
	must(t, admin, "edit-blacklist", v("blacklistjids", "bob@acme.test", "evil.test"))
	for _, bad := range []string{"acme.test", "admin@acme.test"} {
		_, err := execute(admin, "edit-blacklist", v("blacklistjids", bad))
		refusedAs(t, err, "not-allowed", "", "")
	}
	walled := func(from, to *client.Client, whom string, want bool) {
		t.Helper()
		id := client.Token()
		if err := from.Send("<message type='chat' to='" + whom + "' id='" + id + "'><body>" + id + "</body></message>"); err != nil {
			t.Fatal(err)
		}
		at := to
		if want {
			at = from
		}
		n, err := at.Take(within, func(n *client.Node) bool { return n.Name.Local == "message" && n.Get("id") == id })
		if err != nil || (n.Condition() == "policy-violation") != want {
			t.Errorf("%s to %s: %s %v", from.JID, whom, n, err)
		}
	}
	walled(bob, alice, "alice@acme.test", true)
	walled(alice, bob, "bob@acme.test", true)
	if iq, err := bob.IQ(within, "get", "", "<query xmlns='jabber:iq:roster'/>"); err != nil || iq.Get("type") != "result" {
		t.Errorf("bob's own roster: %s %v", iq, err)
	}
	s = restarted(t, s)
	admin, alice, bob = online(t, s, "admin", "desk"), online(t, s, "alice", "desk"), online(t, s, "bob", "desk")
	walled(bob, alice, "alice@acme.test", true)
	iq, err := step(admin, adminNS+"#edit-blacklist", "", "", "")
	if got := values(iq.Path("command"), "blacklistjids"); err != nil || !slices.Equal(got, []string{"bob@acme.test", "evil.test"}) {
		t.Errorf("the form shows %v, %v", got, err)
	}
	must(t, admin, "edit-blacklist", v("blacklistjids"))
	walled(bob, alice, "alice@acme.test", false)
	must(t, admin, "edit-whitelist", v("whitelistjids", "friends.test"))
	walled(bob, alice, "alice@acme.test", false) // the people here need no entry
	for whom, want := range map[string]string{"x@friends.test": "remote-server-not-found", "x@others.test": "policy-violation"} {
		id := client.Token()
		if err := alice.Send("<message type='chat' to='" + whom + "' id='" + id + "'><body>?</body></message>"); err != nil {
			t.Fatal(err)
		}
		n, err := alice.Take(within, func(n *client.Node) bool { return n.Get("id") == id })
		if err != nil || n.Condition() != want {
			t.Errorf("%s: %s %v", whom, n, err)
		}
	}
}

// XEP-0133 §4.23 to §4.28: said through the message path, so archived.
func TestCommands_notices(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	admin, alice := online(t, s, "admin", "desk"), online(t, s, "alice", "desk")
	must(t, admin, "announce", v("announcement", "Lunch is served,", "<hurry> & eat!"))
	if n := body(t, alice, "Lunch"); n.Body() != "Lunch is served,\n<hurry> & eat!" || n.Get("from") != "acme.test" || n.Kid("urn:xmpp:sid:0", "stanza-id") == nil {
		t.Errorf("%s", n)
	}
	if n := archived(t, alice, "Lunch"); n != 1 {
		t.Errorf("%d announcements in the archive", n)
	}
	_, err := execute(admin, "announce", v("announcement", " "))
	refusedAs(t, err, "bad-request", "bad-payload", "needed")
	_, err = execute(admin, "edit-motd") // there is none: the form is empty
	refusedAs(t, err, "bad-request", "bad-payload", "needed")
	must(t, admin, "set-motd", v("motd", "The lift is out of oder."))
	body(t, alice, "out of oder")
	must(t, admin, "edit-motd", v("motd", "The lift is out of order."))
	must(t, admin, "set-welcome", v("welcome", "Welcome to Acme!"))
	bob := online(t, s, "bob", "desk")
	if n := body(t, bob, "lift"); n.Body() != "The lift is out of order." {
		t.Errorf("%s", n)
	}
	must(t, admin, "add-user", v("accountjid", "juliet@acme.test"), v("password", server.Password))
	juliet := online(t, s, "juliet", "desk")
	body(t, juliet, "Welcome to Acme!")
	body(t, juliet, "lift")
	alice = online(t, s, "alice", "tablet") // no newcomer: she was here before it was set
	if n := archived(t, alice, "Welcome"); n != 0 {
		t.Errorf("alice was welcomed %d times", n)
	}

	// After a crash: who had it does not get it again, others do.
	s = restarted(t, s)
	juliet, bob, alice = online(t, s, "juliet", "phone"), online(t, s, "bob", "phone"), online(t, s, "alice", "phone")
	carol := online(t, s, "carol", "desk")
	body(t, carol, "lift")
	for _, c := range []*client.Client{juliet, bob, alice} {
		if n := archived(t, c, "lift"); n != 1 {
			t.Errorf("%s has %d messages of the day", c.JID, n)
		}
	}
	if n := archived(t, juliet, "Welcome"); n != 1 {
		t.Errorf("juliet was welcomed %d times", n)
	}
	admin = online(t, s, "admin", "desk")
	must(t, admin, "delete-motd")
	must(t, admin, "delete-welcome")
	must(t, admin, "delete-motd") // there is none, as was asked for
	dave := online(t, s, "dave", "desk")
	if err := dave.Fence(within); err != nil {
		t.Fatal(err)
	}
	if n := archived(t, dave, "lift"); n != 0 {
		t.Error("a deleted message of the day is said")
	}
}

// XEP-0133 §4.29: rights come and go at once, in a command that is under way too.
func TestCommands_admins(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	admin, alice := online(t, s, "admin", "desk"), online(t, s, "alice", "desk")
	must(t, admin, "edit-admin", v("adminjids", "admin@acme.test", "alice@acme.test"))
	iq, err := step(admin, adminNS+"#announce", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	must(t, alice, "edit-admin", v("adminjids", "alice@acme.test"))
	iq, err = step(admin, adminNS+"#announce", iq.Path("command").Get("sessionid"), "", submit([]field{v("announcement", "still me")}))
	if err != nil {
		t.Fatal(err)
	}
	refusedAs(t, refused(iq), "forbidden", "", "")
	for _, list := range [][]string{{}, {"nobody@acme.test"}, {"dave@other.test"}} {
		if _, err := execute(alice, "edit-admin", v("adminjids", list...)); err == nil {
			t.Errorf("administrators are %v", list)
		}
	}
	must(t, alice, "disable-user", v("accountjids", "erin@acme.test"))
	_, err = execute(alice, "edit-admin", v("adminjids", "erin@acme.test"))
	refusedAs(t, err, "not-allowed", "", "somebody must be left")
	s = restarted(t, s)
	must(t, online(t, s, "alice", "desk"), "get-online-users-num")
	_, err = execute(online(t, s, "admin", "desk"), "get-online-users-num")
	refusedAs(t, err, "forbidden", "", "")
}

// XEP-0133 §4.30 and §4.31: everybody is told, in the archive too; then the server ends, or starts again.
func TestCommands_stop(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	for _, how := range []string{"restart", "shutdown"} {
		admin, alice := online(t, s, "admin", how), online(t, s, "alice", how)
		_, err := execute(admin, how, v("delay", "13"))
		refusedAs(t, err, "bad-request", "bad-payload", "choose one of 0, 30")
		must(t, admin, how, v("delay", "0"), v("announcement", "Back soon: "+how))
		body(t, alice, "Back soon: "+how)
		gone(t, alice, "system-shutdown")
		if how == "restart" {
			if err := s.Again(2, within); err != nil {
				t.Fatal(err)
			}
			alice = online(t, s, "alice", "after")
			if n := archived(t, alice, "Back soon"); n != 1 {
				t.Errorf("%d notices in the archive", n)
			}
		}
	}
	if !s.Exited(within) {
		t.Error("the server does not end")
	} else if err := s.Stop(); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// XEP-0377 §6: kept with the block, found by an administrator, after a crash too.
func TestReports(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	alice := online(t, s, "alice", "desk")
	info, err := alice.IQ(within, "get", server.Domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
	if err != nil || !strings.Contains(info.String(), "urn:xmpp:reporting:1") {
		t.Errorf("%s %v", info, err)
	}
	block := func(report string) *client.Node {
		t.Helper()
		iq, err := alice.IQ(within, "set", "", "<block xmlns='urn:xmpp:blocking'><item jid='spam@evil.test'>"+report+"</item></block>")
		if err != nil {
			t.Fatal(err)
		}
		return iq
	}
	if iq := block("<report xmlns='urn:xmpp:reporting:1'/>"); iq.Condition() != "bad-request" {
		t.Errorf("%s", iq)
	}
	if iq, _ := alice.IQ(within, "get", "", "<blocklist xmlns='urn:xmpp:blocking'/>"); len(iq.Path("blocklist").Kids) != 0 {
		t.Error("a refused report blocks")
	}
	if iq := block("<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'><text xml:lang='en'>Pills &amp; more</text>" +
		"<stanza-id xmlns='urn:xmpp:sid:0' by='alice@acme.test' id='17'/></report>"); iq.Get("type") != "result" {
		t.Fatalf("%s", iq)
	}
	s = restarted(t, s)
	admin := online(t, s, "admin", "desk")
	reports, err := executeAt(admin, "https://parlance.im/commands#reports")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"alice@acme.test", "spam@evil.test", "urn:xmpp:reporting:spam", "Pills &amp; more", "alice@acme.test 17"} {
		if !strings.Contains(reports.String(), want) {
			t.Errorf("no %q in %s", want, reports)
		}
	}
	form, err := step(admin, "https://parlance.im/commands#dismiss-reports", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range form.Path("command", "x").Kids {
		if f.Get("var") == "reports" {
			id := f.Path("option", "value").Text
			if _, err := step(admin, "https://parlance.im/commands#dismiss-reports", form.Path("command").Get("sessionid"), "",
				strings.ReplaceAll(submit([]field{v("reports", id)}), "'FORM_TYPE'", "'f'")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if reports, err = executeAt(admin, "https://parlance.im/commands#reports"); err != nil || strings.Contains(reports.String(), "spam@evil.test") {
		t.Errorf("%s %v", reports, err)
	}
}

// XEP-0157 §3.
func TestContact_addresses(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance,
		Config: "[contact]\nabuse = [\"mailto:abuse@acme.test\", \"xmpp:abuse@acme.test\"]\nsupport = [\"https://acme.test/help\"]"})
	info, err := s.Login(t, "alice", "desk").IQ(within, "get", server.Domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
	if err != nil {
		t.Fatal(err)
	}
	q := info.Path("query")
	if got := values(q, "FORM_TYPE"); !slices.Contains(got, "http://jabber.org/network/serverinfo") {
		t.Errorf("%s", info)
	}
	if got := values(q, "abuse-addresses"); !slices.Equal(got, []string{"mailto:abuse@acme.test", "xmpp:abuse@acme.test"}) {
		t.Errorf("abuse: %v", got)
	}
	if got := values(q, "support-addresses"); !slices.Equal(got, []string{"https://acme.test/help"}) {
		t.Errorf("support: %v", got)
	}
}
