package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// browser is an HTTPS client at an address of its own, with a cookie.
type browser struct {
	p      *place
	c      *http.Client
	cookie *http.Cookie
}

func (p *place) browser(t testing.TB) *browser { return p.browserAt(t, source()) }

// browserAt is one at an address of the caller's.
func (p *place) browserAt(t testing.TB, addr string) *browser {
	t.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	tr := &http.Transport{TLSClientConfig: client.TLSConfig(server.Domain), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return d.DialContext(ctx, network, addr)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &browser{p: p, c: &http.Client{Transport: tr, Timeout: patience}}
}

// call makes a request as a page of the server does.
func (b *browser) call(t testing.TB, method, path, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "https://"+b.p.HTTP+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://"+b.p.HTTP)
	r.Header.Set("Content-Type", "application/json")
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	res, err := b.c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range res.Cookies() {
		if c.Value != "" {
			b.cookie = c
		}
	}
	return res.StatusCode, string(out)
}

// login gets a cookie and a token.
func (b *browser) login(t testing.TB, user, pass string) (token string) {
	t.Helper()
	in, err := json.Marshal(map[string]string{"user": user, "password": pass})
	if err != nil {
		t.Fatal(err)
	}
	status, text := b.call(t, "POST", "/api/v1/session", string(in))
	if status != http.StatusOK {
		t.Fatalf("web login of %s: %d %s", user, status, text)
	}
	return tokenOf(t, text)
}

func tokenOf(t testing.TB, text string) string {
	t.Helper()
	var out struct{ Token string }
	if err := json.Unmarshal([]byte(text), &out); err != nil || out.Token == "" {
		t.Fatalf("no token in %q: %v", text, err)
	}
	return out.Token
}
