package attack

import (
	"errors"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

const (
	deviceID  = "d4565fa7-4d72-4749-b3d3-740edbf87770"
	userAgent = "<user-agent id='" + deviceID + "'><software>Test</software></user-agent>"
	htNone    = "HT-SHA-256-NONE"
)

// device runs `parlance device` against the running server.
func (p *place) device(t testing.TB, args ...string) string {
	t.Helper()
	bin, err := server.Binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, append([]string{"device", "--data", filepath.Join(p.Dir, "data")}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("parlance device %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// stream is a connection that has got the features over TLS.
func (p *place) stream(t testing.TB) *client.Conn {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source())}}).DialContext(t.Context(), "tcp", p.C2STLS)
	if err != nil {
		t.Fatal(err)
	}
	c := client.Over(conn, server.Domain, patience)
	t.Cleanup(func() { c.Close() })
	if err := errors.Join(c.Secure(t.Context(), "xmpp-client"), c.OpenStream()); err != nil {
		t.Fatal(err)
	}
	return c
}

// withToken logs a device in with its token (XEP-0484) and gives the answer.
func (p *place) withToken(t testing.TB, user, token string) *client.Node {
	t.Helper()
	c := p.stream(t)
	if err := c.Send(client.Authenticate(htNone, client.TokenProof(user, token, nil), userAgent+"<fast xmlns='urn:xmpp:fast:0'/>")); err != nil {
		t.Fatal(err)
	}
	n, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// browserOf is the id of the one browser in a list.
func browserOf(t testing.TB, list string) (id string) {
	t.Helper()
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) > 0 && strings.HasPrefix(f[0], "WEB-") {
			if id != "" {
				t.Fatalf("two browsers:\n%s", list)
			}
			id = f[0]
		}
	}
	if id == "" {
		t.Fatalf("no browser:\n%s", list)
	}
	return id
}

// A12: a device that its owner or an administrator revokes is dead within 5 s, with its
// session, token, cookie; the person's other devices go on.
func TestA12_oneDevice(t *testing.T) {
	t.Parallel()
	p := target(t)
	user := p.person(t)
	limit := time.Duration(scaled(50, 5)) * time.Second
	desk := p.login(t, user, "desk")
	old := p.browser(t)
	bearer := "n,,\x01auth=Bearer " + old.login(t, user, server.Password) + "\x01\x01"
	oldTab, oldTab2 := p.websocketAs(t, "OAUTHBEARER", bearer, "tab"), p.websocketAs(t, "OAUTHBEARER", bearer, "tab2")
	stolen := browserOf(t, p.device(t, "list", user))
	other := p.browser(t)
	tab := p.websocketAs(t, "OAUTHBEARER", "n,,\x01auth=Bearer "+other.login(t, user, server.Password)+"\x01\x01", "other")

	phone := p.stream(t)
	n, err := phone.Auth2("PLAIN", user, server.Password, userAgent+"<bind xmlns='urn:xmpp:bind:0'/><request-token xmlns='urn:xmpp:fast:0' mechanism='"+htNone+"'/>")
	if err != nil || n.Name.Local != "success" || n.Path("token") == nil {
		t.Fatalf("%v %v", n, err)
	}
	token := n.Path("token").Get("token")
	list, err := desk.IQ(patience, "set", server.Domain, "<command xmlns='http://jabber.org/protocol/commands' node='https://parlance.im/commands#devices'/>")
	if err != nil || !strings.Contains(list.String(), deviceID) || strings.Count(list.String(), "WEB-") != 2 {
		t.Fatalf("%v %v", list, err)
	}

	// The owner, from the desk.
	form, err := desk.IQ(patience, "set", server.Domain, "<command xmlns='http://jabber.org/protocol/commands' node='https://parlance.im/commands#revoke-device'/>")
	if err != nil || form.Path("command") == nil {
		t.Fatalf("%v %v", form, err)
	}
	began := time.Now()
	done, err := desk.IQ(patience, "set", server.Domain, "<command xmlns='http://jabber.org/protocol/commands' node='https://parlance.im/commands#revoke-device' action='complete' sessionid='"+
		client.Escape(form.Path("command").Get("sessionid"))+"'><x xmlns='jabber:x:data' type='submit'><field var='device'><value>"+deviceID+"</value></field></x></command>")
	if err != nil || done.Get("type") != "result" {
		t.Fatalf("%v %v", done, err)
	}
	last := ""
	for n, err := phone.Next(); err == nil; n, err = phone.Next() {
		last = n.Name.Local + " " + n.Condition()
	}
	if last != "error not-authorized" || time.Since(began) > limit {
		t.Errorf("the phone's session ended by %q after %v", last, time.Since(began))
	}
	if n := p.withToken(t, user, token); n.Name.Local != "failure" {
		t.Errorf("the phone's token: %v", n)
	}

	// The administrator.
	began = time.Now()
	p.device(t, "revoke", user, stolen)
	for i, w := range []*websocket{oldTab, oldTab2} {
		if e := w.last(nil); e.err != nil || e.condition != "not-authorized" || time.Since(began) > limit {
			t.Errorf("tab %d ended by %q, %v after %v", i, e.condition, e.err, time.Since(began))
		}
	}
	if status, text := old.call(t, "POST", "/api/v1/token", ""); status != http.StatusUnauthorized {
		t.Errorf("the cookie still gives %d %s", status, text)
	}

	// The others.
	if status, text := other.call(t, "POST", "/api/v1/token", ""); status != http.StatusOK {
		t.Errorf("the other browser's cookie: %d %s", status, text)
	}
	tab.text(t, "<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	tab.until(t, "id='p'")
	if err := desk.Fence(patience); err != nil {
		t.Error(err)
	}
}
