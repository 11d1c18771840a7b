package login

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/server"
)

// XEP-0401 §5.1, XEP-0379 §3.3: an invitation has a page, which needs no script and gets
// along with the content policy of the HTTPS port.
func TestInvite_page(t *testing.T) {
	s := server.Test(t, server.Parlance)
	admin := s.Login(t, "admin", "desk")
	n, err := admin.IQ(within, "set", server.Domain, "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite'/>")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, f := range n.Path("command", "x").Kids {
		if v := f.Path("value"); v != nil {
			said[f.Get("var")] = v.Text
		}
	}
	if !strings.HasPrefix(said["landing-url"], "https://") || !strings.Contains(said["landing-url"], "/invite/") {
		t.Fatalf("%v", n)
	}
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer hc.CloseIdleConnections()
	get := func(path string) (*http.Response, string) {
		t.Helper()
		res, err := hc.Get("https://" + s.HTTP + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(b)
	}
	_, token, _ := strings.Cut(said["landing-url"], "/invite/")
	res, body := get("/invite/" + token)
	if res.StatusCode != http.StatusOK || !strings.Contains(body, `href="`+said["uri"]+`"`) || !strings.Contains(body, "admin invites you") {
		t.Errorf("%s\n%s", res.Status, body)
	}
	csp := res.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "style-src 'self'") || res.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers: %v", res.Header)
	}
	if res, _ := get("/invite/-/page.css"); res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/css") {
		t.Errorf("its style: %s %v", res.Status, res.Header)
	}
	if res, body := get("/invite/" + token + "x"); res.StatusCode != http.StatusNotFound || strings.Contains(body, "xmpp:") {
		t.Errorf("no such invitation: %s\n%s", res.Status, body)
	}
}
