package admin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// parlance runs a command of the binary and gives what it printed.
func parlance(t *testing.T, args ...string) string {
	t.Helper()
	bin, err := server.Binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, bin, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("parlance %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// same wants two folders with the same files.
func same(t *testing.T, a, b string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(a, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		rel, _ := filepath.Rel(a, path)
		x, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		y, err := os.ReadFile(filepath.Join(b, rel))
		if err == nil && string(x) != string(y) {
			t.Errorf("%s differs:\n%s\n%s", rel, x, y)
		}
		return err
	})
	if err != nil || n < 3 {
		t.Errorf("%d files, %v", n, err)
	}
}

// mam are an archive's messages as "id time body", oldest first.
func mam(t *testing.T, c *client.Client) (out []string) {
	t.Helper()
	page, err := c.IQ(within, "set", "", "<query xmlns='urn:xmpp:mam:2' queryid='q'><set xmlns='http://jabber.org/protocol/rsm'><max>100</max></set></query>")
	if err != nil || page.Get("type") != "result" {
		t.Fatal(page, err)
	}
	for _, m := range c.Drain() {
		if r := m.Kid("urn:xmpp:mam:2", "result"); r != nil {
			out = append(out, r.Get("id")+" "+r.Path("forwarded", "delay").Get("stamp")+" "+r.Path("forwarded", "message").Body())
		}
	}
	return out
}

// A server's data, exported and imported into an empty one, is exported as the
// same files; archive ids and times, rights, passwords, blocks and what waits come along.
func TestTransfer_toAnotherParlance(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	admin, alice, bob := online(t, s, "admin", "desk"), online(t, s, "alice", "desk"), online(t, s, "bob", "desk")
	must(t, admin, "add-user", v("accountjid", "o.neil+zoë@acme.test"), v("password", "x y"), v("given_name", "<Shaq>"), v("email", "s@example.com"))
	must(t, admin, "disable-user", v("accountjids", "erin@acme.test"))
	for _, send := range []struct {
		from *client.Client
		to   string
		xml  string
	}{
		{alice, "bob@acme.test", "<body>mixed &amp; matched</body><html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>a<b>b</b>c</body></html>"},
		{alice, "dave@acme.test", "<body>for later</body><x:y xmlns:x='urn:z' x:a='&quot;'/>"},
		{bob, "alice@acme.test", "<body>again</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/>"},
		{alice, "bob@acme.test", "<body>not kept</body><no-store xmlns='urn:xmpp:hints'/>"},
		{bob, "bob@acme.test", "<body>to myself</body>"},
	} {
		if err := send.from.Send("<message type='chat' to='" + send.to + "'>" + send.xml + "</message>"); err != nil {
			t.Fatal(err)
		}
		if err := send.from.Fence(within); err != nil {
			t.Fatal(err)
		}
	}
	if err := alice.Send("<presence type='subscribe' to='carol@acme.test'/>" + "<presence type='subscribe' to='dave@acme.test'><status>hi</status></presence>"); err != nil {
		t.Fatal(err)
	}
	if iq, err := alice.IQ(within, "set", "", "<block xmlns='urn:xmpp:blocking'><item jid='spam.test'/></block>"); err != nil || iq.Get("type") != "result" {
		t.Fatal(iq, err)
	}
	furnish(t, alice, bob)
	before, cave := mam(t, alice), roomMAM(t, alice)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	a, b, c, dir := filepath.Join(s.Dir, "a"), filepath.Join(s.Dir, "b"), filepath.Join(s.Dir, "c"), filepath.Join(s.Dir, "other")
	parlance(t, "export", a, "--data", s.Data(), "--domain", "acme.test")
	if st, err := os.Stat(filepath.Join(a, "acme.test", "alice.xml")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err) // XEP-0227 §6
	}
	parlance(t, "import", a, "--data", dir, "--domain", "acme.test")
	parlance(t, "export", b, "--data", dir, "--domain", "acme.test")
	same(t, a, b)
	contains(t, filepath.Join(a, "acme.test", "alice.xml"), "urn:n", "<item ", "jabber:iq:private", "vcard-temp")
	contains(t, filepath.Join(a, "conference.acme.test", "cave.xml"), "muc#roomconfig_roomname", "first in the cave", "outcast", "alice@acme.test/desk")
	parlance(t, "import", a, "--data", dir, "--domain", "acme.test") // once more changes nothing
	parlance(t, "export", "--flat", c, "--data", dir, "--domain", "acme.test")
	flat := filepath.Join(s.Dir, "flat")
	parlance(t, "import", c, "--data", flat, "--domain", "acme.test")
	d := filepath.Join(s.Dir, "d")
	parlance(t, "export", d, "--data", flat, "--domain", "acme.test")
	same(t, a, d)

	// The other server serves them.
	next := start(t, server.Options{Kind: server.Parlance, Args: []string{"--data", dir}})
	alice = online(t, next, "alice", "desk")
	if after := mam(t, alice); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("archive:\n%v\nwas\n%v", after, before)
	}
	settled(t, next, alice, cave)
	dave := online(t, next, "dave", "desk")
	n := body(t, dave, "for later")
	if n.Path("delay") == nil || n.Kid("urn:z", "y") == nil {
		t.Errorf("%s", n)
	}
	if _, err := dave.Take(within, func(n *client.Node) bool { return n.Is("presence", "subscribe") && n.Get("from") == "alice@acme.test" }); err != nil {
		t.Errorf("no request: %v", err)
	}
	if err := canLogin(t, next, "erin", server.Password); err == nil {
		t.Error("erin, who is disabled, can log in")
	}
	if err := canLogin(t, next, "o.neil+zoë", "x y"); err != nil {
		t.Error(err)
	}
	must(t, online(t, next, "admin", "desk"), "get-online-users-num")
	if iq, err := alice.IQ(within, "get", "", "<blocklist xmlns='urn:xmpp:blocking'/>"); err != nil || iq.Path("blocklist", "item").Get("jid") != "spam.test" {
		t.Errorf("%s %v", iq, err)
	}
}

const migrator = `
input { hosts = { ["acme.test"] = { "accounts", "roster", "vcard", "private", "pep-pubsub", "archive-archive" } };
  type = "internal"; path = %[1]q; }
output { type = "xep0227"; path = %[2]q; }
`

// migrate runs prosody's migrator. This format's files go where Debian's prosody
// keeps its data, whatever the configuration says: a copy of the script is told another place.
func migrate(t *testing.T, dir, conf, out string) {
	t.Helper()
	path, err := exec.LookPath("prosody-migrator")
	if err != nil {
		t.Fatalf("Debian's package prosody has it: %v", err)
	}
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const place = "CFG_DATADIR='/var/lib/prosody'"
	if !strings.Contains(string(script), place) {
		t.Fatal("this prosody-migrator keeps its place elsewhere")
	}
	mine := filepath.Join(dir, "migrator.lua")
	if err := os.WriteFile(mine, []byte(strings.Replace(string(script), place, fmt.Sprintf("CFG_DATADIR=%q", out), 1)), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if text, err := exec.CommandContext(ctx, mine, "--root", "--config="+conf).CombinedOutput(); err != nil {
		t.Fatalf("prosody-migrator: %v\n%s", err, text)
	}
}

// What prosody 0.12 writes with its own migrator: passwords, rosters, requests, cards, archives with their times.
func TestTransfer_fromProsody(t *testing.T) {
	s := start(t, server.Options{Kind: server.Prosody, Prosody: `modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "vcard", "private", "pep", "mam", "offline", "websocket", "http", "posix" }
modules_disabled = { "s2s", "vcard_legacy", "vcard4" }`})
	alice, bob := online(t, s, "alice", "desk"), online(t, s, "bob", "desk")
	for i, send := range []struct {
		from     *client.Client
		to, text string
	}{{alice, "bob", "one"}, {bob, "alice", "two"}, {alice, "dave", "three"}, {bob, "carol", "four"}, {alice, "bob", "five"}} {
		if err := send.from.Send(fmt.Sprintf("<message type='chat' id='m%d' to='%s@acme.test'><body>%s &lt;&amp;&gt;</body></message>", i, send.to, send.text)); err != nil {
			t.Fatal(err)
		}
		if err := send.from.Fence(within); err != nil {
			t.Fatal(err)
		}
	}
	if iq, err := alice.IQ(within, "set", "", "<vCard xmlns='vcard-temp'><FN>Alice A.</FN></vCard>"); err != nil || iq.Get("type") != "result" {
		t.Fatal(iq, err)
	}
	if iq, err := alice.IQ(within, "set", "", "<query xmlns='jabber:iq:private'><n xmlns='u:n'>x</n></query>"); err != nil || iq.Get("type") != "result" {
		t.Fatal(iq, err)
	}
	options := func(access string) string {
		return "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>" +
			"<field var='pubsub#access_model'><value>" + access + "</value></field><field var='pubsub#persist_items'><value>1</value></field><field var='pubsub#max_items'><value>10</value></field></x></publish-options>"
	}
	ask(t, alice, "set", "", ps+"<publish node='urn:xmpp:bookmarks:1'><item id='"+cave+"'><conference xmlns='urn:xmpp:bookmarks:1' name='Cave' autojoin='true'/></item></publish>"+options("whitelist")+"</pubsub>")
	for i := range 3 {
		ask(t, alice, "set", "", ps+fmt.Sprintf("<publish node='urn:n'><item id='i%d'><v xmlns='urn:v'>%d</v></item></publish>", i, i)+options("open")+"</pubsub>")
	}
	ask(t, alice, "set", "", "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><affiliations node='urn:n'><affiliation jid='carol@acme.test' affiliation='publisher'/></affiliations></pubsub>")
	if err := alice.Send("<presence type='subscribe' to='dave@acme.test'/>"); err != nil {
		t.Fatal(err)
	}
	if err := alice.Fence(within); err != nil {
		t.Fatal(err)
	}
	was := map[string][]string{"alice": mam(t, alice), "bob": mam(t, bob)}
	if err := s.Stop(); err != nil {
		t.Logf("prosody: %v", err)
	}
	out, conf := filepath.Join(s.Dir, "pie"), filepath.Join(s.Dir, "migrator.cfg.lua")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, migrator, s.Data(), out), 0o600); err != nil {
		t.Fatal(err)
	}
	migrate(t, s.Dir, conf, out)
	dir := filepath.Join(s.Dir, "parlance")
	t.Log(parlance(t, "import", out, "--data", dir, "--domain", "acme.test"))

	next := start(t, server.Options{Kind: server.Parlance, Args: []string{"--data", dir}})
	alice, bob = online(t, next, "alice", "desk"), online(t, next, "bob", "desk")
	for who, c := range map[string]*client.Client{"alice": alice, "bob": bob} {
		now := mam(t, c)
		if len(now) != len(was[who]) {
			t.Errorf("%s: archive %v, was %v", who, now, was[who])
			continue
		}
		for i := range now { // other ids, the same times (prosody's are whole seconds) and texts
			a, b := strings.SplitN(now[i], " ", 3), strings.SplitN(was[who][i], " ", 3)
			at, errA := time.Parse(time.RFC3339, a[1])
			was, errB := time.Parse(time.RFC3339, b[1])
			// The two copies of a message may lie a second apart.
			if a[2] != b[2] || errA != nil || errB != nil || at.Sub(was).Abs() > time.Second {
				t.Errorf("%s: %v, was %v", who, a, b)
			}
		}
	}
	iq, err := alice.IQ(within, "get", "", "<query xmlns='jabber:iq:roster'/>")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, i := range iq.Path("query").Kids {
		got[i.Get("jid")] = i.Get("subscription") + i.Get("ask")
	}
	if fmt.Sprint(got) != "map[bob@acme.test:both carol@acme.test:both dave@acme.test:nonesubscribe]" {
		t.Errorf("roster %v", got)
	}
	if iq, err := alice.IQ(within, "get", "", "<vCard xmlns='vcard-temp'/>"); err != nil || iq.Path("vCard", "FN").Text != "Alice A." {
		t.Errorf("%s %v", iq, err)
	}
	personal(t, alice, bob)
	dave := online(t, next, "dave", "desk")
	if _, err := dave.Take(within, func(n *client.Node) bool { return n.Is("presence", "subscribe") }); err != nil {
		t.Errorf("no request: %v", err)
	}
	// Its storage for this format has no offline messages, but the archive.
	if now := mam(t, dave); len(now) != 1 || !strings.Contains(now[0], "three") {
		t.Errorf("dave: archive %v", now)
	}
}

const backwards = `
input { hosts = { ["acme.test"] = { "accounts", "roster", "vcard", "private", "pep-pubsub" } };
  type = "xep0227"; path = %[1]q; }
output { type = "internal"; path = %[2]q; }
`

// Our export, brought into prosody's own storage by its migrator: people log in
// there with their old passwords and find contacts, card, private data and nodes.
func TestTransfer_toProsody(t *testing.T) {
	s := start(t, server.Options{Kind: server.Parlance})
	furnish(t, online(t, s, "alice", "desk"), online(t, s, "bob", "desk"))
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	flat, data, conf := filepath.Join(s.Dir, "flat"), filepath.Join(s.Dir, "prosody"), filepath.Join(s.Dir, "migrator.cfg.lua")
	parlance(t, "export", "--flat", flat, "--data", s.Data(), "--domain", "acme.test")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, backwards, flat, data), 0o600); err != nil {
		t.Fatal(err)
	}
	migrate(t, s.Dir, conf, flat)
	p := start(t, server.Options{Kind: server.Prosody, Prosody: "authentication = \"internal_hashed\"\ndata_path = " + fmt.Sprintf("%q", data) + "\n"})
	alice := online(t, p, "alice", "desk")
	iq, err := alice.IQ(within, "get", "", "<query xmlns='jabber:iq:roster'/>")
	if err != nil || len(iq.Path("query").Kids) != 2 {
		t.Errorf("%s %v", iq, err)
	}
	if iq := ask(t, alice, "get", "", "<vCard xmlns='vcard-temp'/>"); iq.Path("vCard", "FN").Text != "Alice A." {
		t.Errorf("%s", iq)
	}
	if iq := ask(t, alice, "get", "", "<query xmlns='jabber:iq:private'><n xmlns='u:n'/></query>"); iq.Path("query", "n").Text != "<x>" {
		t.Errorf("%s", iq)
	}
	if iq := ask(t, alice, "get", "", ps+"<items node='urn:n'/></pubsub>"); len(iq.Path("pubsub", "items").Kids) != 3 {
		t.Errorf("%s", iq)
	}
	iq = ask(t, alice, "get", "", "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><affiliations node='urn:n'/></pubsub>")
	if !strings.Contains(iq.String(), "carol@acme.test") {
		t.Errorf("%s", iq)
	}
}
