package http_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/edge/edgetest"
	edgehttp "github.com/parlance-im/parlance/edge/http"
)

// Who signs in without a domain is somebody of the host that was called.
func TestHosts_signInByHost(t *testing.T) {
	gone := false
	b := start(t, func(c *edgehttp.Config) {
		c.Hosts = func(domain string) (string, bool) {
			name, ok := map[string]string{"acme.test": "Acme", "b.test": "Bee"}[domain]
			return name, ok && !(gone && domain == "b.test")
		}
	})
	call := func(method, path, host, body string, cookies ...*http.Cookie) (*http.Response, map[string]any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", "https://"+host)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		res, err := b.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var out map[string]any
		_ = json.NewDecoder(res.Body).Decode(&out)
		return res, out
	}
	for host, want := range map[string]string{"b.test": "b.test Bee", "B.test:8443": "b.test Bee", "acme.test": "acme.test Acme", "c.test": "acme.test Acme", "127.0.0.1:1": "acme.test Acme"} {
		_, info := call("GET", "/api/v1/info", host, "")
		if got := strings.TrimSpace(info["domain"].(string) + " " + info["name"].(string)); got != want {
			t.Errorf("info at %s: %s, want %s", host, got, want)
		}
	}
	var cookie *http.Cookie
	for _, c := range []struct{ host, user, want string }{
		{"b.test", "alice", "alice@b.test"}, {"acme.test", "alice", "alice@acme.test"}, {"c.test", "alice", "alice@acme.test"},
		{"acme.test", "alice@b.test", "alice@b.test"}, {"acme.test", "alice@c.test", ""}, {"b.test", "alice@c.test", ""},
	} {
		res, in := call("POST", "/api/v1/session", c.host, `{"user":"`+c.user+`","password":"`+edgetest.Password+`"}`)
		if got, _ := in["jid"].(string); got != c.want {
			t.Errorf("%s at %s: %d %v, want %q", c.user, c.host, res.StatusCode, in, c.want)
		}
		if c.want == "alice@b.test" {
			cookie = res.Cookies()[0]
		}
	}
	if res, _ := call("POST", "/api/v1/token", "b.test", "", cookie); res.StatusCode != http.StatusOK {
		t.Errorf("token: %d", res.StatusCode)
	}
	gone = true
	if res, _ := call("POST", "/api/v1/token", "b.test", "", cookie); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token for a host that is gone: %d", res.StatusCode)
	}
}
