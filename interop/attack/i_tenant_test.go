package attack

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// I10, as far as there is one host and one kind of administrator: the same name
// at another domain is nobody; what is somebody's is theirs, whatever the role
// of who asks; the admin interface is a socket of the operator's own.
func TestI10_otherTenants(t *testing.T) {
	t.Parallel()
	p := target(t)
	me := p.person(t)
	for _, domain := range []string{"other.test", server.Domain + ".other.test", "x." + server.Domain, "other.test/" + server.Domain, server.Domain + "@other.test"} {
		for _, first := range []struct{ mech, data string }{
			{"PLAIN", "\x00" + me + "@" + domain + "\x00" + server.Password},
			{"PLAIN", me + "@" + domain + "\x00" + me + "\x00" + server.Password},
			{"SCRAM-SHA-256", "n,,n=" + me + "@" + domain + ",r=abcdefghijkl"},
		} {
			c := p.at(t, secured, "")
			n, err := c.SASL("auth", first.mech, first.data)
			if err == nil && n.Name.Local == "challenge" { // a made-up one: who it is shows at the end
				var final string
				if final, err = scramFinal(first.mech, first.data, unbase64(t, n.Text), server.Password); err == nil {
					n, err = c.SASL("response", "", final)
				}
			}
			if err != nil || n.Name.Local != "failure" {
				t.Errorf("%s as %s of %s: %v %v", first.mech, me, domain, n, err)
			}
		}
		if status, text := p.browser(t).call(t, "POST", "/api/v1/session", `{"user":"`+me+"@"+domain+`","password":"`+server.Password+`"}`); status != http.StatusUnauthorized {
			t.Errorf("web login of %s at %s: %d %s", me, domain, status, text)
		}
		if err := p.user("another password\n", "add", me+"@"+domain, stdinFlag); err == nil {
			t.Errorf("an account at %s was made", domain)
		}
	}
	p.rolesAndEndpoints(t)
	p.adminSocket(t)
}

// rolesAndEndpoints asks for what is somebody else's in every role there is.
func (p *place) rolesAndEndpoints(t *testing.T) {
	victim, friend := p.login(t, p.person(t), "victim"), p.login(t, p.person(t), "friend")
	befriend(t, victim, friend)
	if _, err := victim.IQ(patience, "set", "", "<vCard xmlns='vcard-temp'><FN>Victim</FN></vCard>"); err != nil {
		t.Fatal(err)
	}
	before := rosterOf(t, victim) + vcardOf(t, victim)
	roles := map[string]*client.Client{"stranger": p.login(t, p.person(t), "stranger"), "contact": friend, "administrator": p.login(t, "admin", "admin")}
	endpoints := []struct{ typ, payload string }{
		{"get", "<query xmlns='" + roster + "'/>"},
		{"set", "<query xmlns='" + roster + "'><item jid='evil@acme.test'/></query>"},
		{"set", "<vCard xmlns='vcard-temp'><FN>Evil</FN></vCard>"},
		{"set", "<query xmlns='" + mam + "'/>"},
		{"get", "<query xmlns='" + mam + "'/>"},
		{"get", "<metadata xmlns='" + mam + "'/>"},
		{"get", "<prefs xmlns='" + mam + "'/>"},
		{"set", "<prefs xmlns='" + mam + "' default='never'/>"},
		{"get", "<blocklist xmlns='urn:xmpp:blocking'/>"},
		{"set", "<block xmlns='urn:xmpp:blocking'><item jid='evil@acme.test'/></block>"},
		{"set", "<unblock xmlns='urn:xmpp:blocking'/>"},
		{"set", "<enable xmlns='" + carbons + "'/>"},
		{"set", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>victim</resource></bind>"},
		{"set", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"},
		{"get", "<query xmlns='jabber:iq:private'><x xmlns='y'/></query>"},
		{"set", "<query xmlns='jabber:iq:register'><remove/></query>"},
		{"set", "<command xmlns='http://jabber.org/protocol/commands' node='http://jabber.org/protocol/admin#delete-user'/>"},
		{"get", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='storage:bookmarks'/></pubsub>"},
	}
	refused := 0
	for role, c := range roles {
		for _, e := range endpoints {
			n, err := c.IQ(patience, e.typ, bare(victim.Opt.User), e.payload)
			if err != nil {
				t.Fatalf("%s, %s: %v", role, e.payload, err)
			}
			if n.Get("type") != "error" {
				t.Errorf("%s: %s %s of somebody else is answered by %s", role, e.typ, e.payload, n)
				continue
			}
			refused++
		}
	}
	if after := rosterOf(t, victim) + vcardOf(t, victim); after != before {
		t.Errorf("something of the victim's has changed from %s to %s", before, after)
	}
	t.Logf("%d of %d requests for what is somebody else's refused", refused, len(roles)*len(endpoints))
}

func vcardOf(t testing.TB, c *client.Client) string {
	t.Helper()
	n, err := c.IQ(patience, "get", "", "<vCard xmlns='vcard-temp'/>")
	if err != nil {
		t.Fatal(err)
	}
	return canon(n, nil)
}

// adminSocket: administration is not on any port, and the socket is its owner's alone.
func (p *place) adminSocket(t *testing.T) {
	b := p.browser(t)
	b.login(t, "admin", server.Password)
	for _, path := range []string{"/v1/status", "/v1/users", "/v1/users/admin@" + server.Domain, "/api/v1/users", "/api/v1/status", "/admin", "/debug/pprof/", "/metrics", "/api/v1/import"} {
		for _, method := range []string{"GET", "POST", "PATCH", "DELETE"} {
			status, text := b.call(t, method, path, "{}")
			if method == "GET" && status == http.StatusOK && strings.HasPrefix(text, "<!doctype html>") {
				continue // the chat page, which shows any path
			}
			if status < 400 || status >= 500 {
				t.Errorf("%s %s: %d %.100s", method, path, status, text)
			}
		}
	}
	sockets := 0
	err := filepath.WalkDir(filepath.Join(p.Dir, "data"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSocket == 0 {
			return err
		}
		sockets++
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", d.Name(), info.Mode(), err)
		}
		return nil
	})
	if err != nil || sockets != 1 {
		t.Errorf("%d sockets in the data folder, %v", sockets, err)
	}
}
