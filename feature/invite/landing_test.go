package invite

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
)

// ask opens a page as edge/http routes it.
func ask(m *minted, path string) *httptest.ResponseRecorder {
	c := conf(m, true, true)
	c.Domain, c.Place, c.Base = "acme.test", func(string) string { return "Acme <Ltd>" }, func(string) string { return "https://chat.acme.test" }
	mux := http.NewServeMux()
	for _, r := range Feature(c).HTTP {
		mux.Handle(r.Pattern, r.Handler)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// XEP-0379 §3.3, XEP-0401 §5.2: who invites, a button with the link, that a client is needed.
func TestLanding_page(t *testing.T) {
	until := time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		i    account.Invite
		uri  string
		says []string
	}{
		"a contact":             {account.Invite{Inviter: alice.Bare(), Contact: true}, "xmpp:alice@acme.test?roster;preauth=TOKEN", []string{"become each other’s contacts", `href="/"`}},
		"a contact, an account": {account.Invite{Inviter: alice.Bare(), Contact: true, Account: true}, "xmpp:alice@acme.test?roster;preauth=TOKEN;ibr=y", []string{"an account at acme.test", "alice@acme.test become"}},
		"an account":            {account.Invite{Inviter: admin.Bare(), Account: true}, "xmpp:acme.test?register;preauth=TOKEN", []string{"an account at acme.test"}},
		"a name":                {account.Invite{Inviter: admin.Bare(), Account: true, Name: "zoe"}, "xmpp:zoe@acme.test?register;preauth=TOKEN", []string{"<strong>zoe@acme.test</strong>"}},
	} {
		c.i.Expires = until
		w := ask(&minted{last: c.i}, "/invite/TOKEN")
		body := w.Body.String()
		for _, want := range append(c.says, `class="button" href="`+c.uri+`"`, "<code>"+c.uri+"</code>", c.i.Inviter.Local()+" invites you",
			"speaks XMPP", "1 December 2026, 09:30 UTC", "Acme &lt;Ltd&gt;", `lang="en"`) {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in\n%s", name, want, body)
			}
		}
		if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		// HARDENING V2: what the policy of edge/http would not run or load is not there.
		for _, no := range []string{"<script", "style=", "<style", "onclick", "http:", "//"} {
			if strings.Contains(strings.ToLower(body), no) {
				t.Errorf("%s: %q in the page", name, no)
			}
		}
	}
}

func TestLanding_notValid(t *testing.T) {
	w := ask(&minted{}, "/invite/%3Cscript%3E")
	if body := w.Body.String(); w.Code != http.StatusNotFound || !strings.Contains(body, "not valid any more") || strings.Contains(body, "xmpp:") || strings.Contains(body, "script") {
		t.Errorf("%d\n%s", w.Code, body)
	}
	if w := ask(&minted{err: errors.New("the disk")}, "/invite/TOKEN"); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "disk") {
		t.Errorf("%d\n%s", w.Code, w.Body)
	}
	if w := ask(&minted{}, "/invite/-/page.css"); w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") || !strings.Contains(w.Body.String(), "prefers-color-scheme: dark") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// XEP-0401 §5.1: the commands tell where the page is.
func TestCommands_landingURL(t *testing.T) {
	c := conf(&minted{}, false, true)
	c.Base = func(string) string { return "https://chat.acme.test" }
	out, err := c.user(t.Context(), &im.Call{Host: host, Who: alice})
	if err != nil {
		t.Fatal(err)
	}
	if page, _ := out.Form.Value("landing-url"); page != "https://chat.acme.test/invite/TOKEN" {
		t.Errorf("%q", page)
	}
	c.Base = nil
	if out, err = c.user(t.Context(), &im.Call{Host: host, Who: alice}); err != nil || len(Feature(c).HTTP) != 0 {
		t.Fatal(err)
	}
	if page, ok := out.Form.Value("landing-url"); ok {
		t.Errorf("%q without a port", page)
	}
}
