package http_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/edgetest"
	edgehttp "github.com/parlance-im/parlance/edge/http"
	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// tokens keeps tokens in a map.
type tokens struct {
	web map[string]jid.JID
	n   int
}

func (k *tokens) MintToken(_ context.Context, who jid.JID, kind account.Kind, _ time.Duration) (string, error) {
	if kind != account.Web {
		return "", fmt.Errorf("kind %s", kind)
	}
	k.n++
	t := fmt.Sprintf("web-%d", k.n)
	k.web[t] = who
	return t, nil
}

func (k *tokens) MintChild(_ context.Context, parent string, _, _ account.Kind, _ time.Duration) (string, jid.JID, error) {
	who, ok := k.web[parent]
	if !ok {
		return "", jid.JID{}, account.ErrNoToken
	}
	k.n++
	return fmt.Sprintf("stream-%d", k.n), who, nil
}

func (k *tokens) RevokeToken(_ context.Context, token string) error {
	delete(k.web, token)
	return nil
}

type bench struct {
	t      *testing.T
	url    string
	addr   string
	tokens *tokens
	people *edgetest.People
	http   *http.Client
	xmpp   chan string

	revoked bool
}

func files() fstest.MapFS {
	return fstest.MapFS{
		"index.html":          {Data: []byte("<!doctype html><title>Parlance</title>")},
		"assets/app-1a2b3.js": {Data: []byte(strings.Repeat("console.log('hello');\n", 100))},
		"assets/logo.png":     {Data: []byte("\x89PNG")},
		".secret.html":        {Data: []byte("no")},
		"notes.bak":           {Data: []byte("no")},
	}
}

func start(t *testing.T, change ...func(*edgehttp.Config)) *bench {
	t.Helper()
	b := &bench{t: t, tokens: &tokens{web: map[string]jid.JID{}}, people: &edgetest.People{}, xmpp: make(chan string, 1)}
	keys := edgetest.Keys(t)
	gate := edge.NewGate(edge.DefaultGate())
	conf := edgehttp.Config{
		Domain: jid.MustParse(edgetest.Domain), Name: "Acme", Version: "test", Assets: files(), Tokens: b.tokens,
		Credentials: func(netip.Addr) sasl.Credentials { return b.people },
		TLS:         keys.Config(0, edgehttp.Protocols()...), Gate: gate, Log: slog.New(slog.DiscardHandler),
		Revoked: func(jid.JID, time.Time) bool { return b.revoked },
		Routes: []im.HTTPRoute{
			{Pattern: "GET /extra", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "extra") })},
			{Pattern: "POST /change", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })},
			{Pattern: "GET /panic", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("as asked") })},
		},
		XMPP: func(_ context.Context, c *tls.Conn, p *edge.Pass) {
			p.Leave()
			b.xmpp <- c.ConnectionState().NegotiatedProtocol
			c.Close()
		},
	}
	for _, f := range change {
		f(&conf)
	}
	srv, err := edgehttp.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ln, err := edge.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, ln) }()
	b.addr = ln.Addr().String()
	b.url = "https://" + b.addr
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableCompression: true}
	b.http = &http.Client{Transport: tr}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		ln.Close()
		end, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		srv.Shutdown(end)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if gate.Inside() != 0 {
			t.Error("places at the gate are not given back")
		}
	})
	return b
}

type answer struct {
	*http.Response
	body []byte
	json map[string]any
}

func (b *bench) do(method, path, body string, header ...string) answer {
	b.t.Helper()
	r, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if method != "GET" {
		r.Header.Set("Origin", b.url)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	res, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	a := answer{Response: res}
	if a.body, err = io.ReadAll(res.Body); err != nil {
		b.t.Fatal(err)
	}
	if strings.Contains(res.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(a.body, &a.json); err != nil {
			b.t.Fatalf("%s: %v", a.body, err)
		}
	}
	return a
}

func (b *bench) wants(a answer, status int, code string) {
	b.t.Helper()
	if a.StatusCode != status || code != "" && a.json["code"] != code {
		b.t.Errorf("%d %s, want %d %s", a.StatusCode, a.body, status, code)
	}
	if code != "" && (a.Header.Get("Content-Type") != "application/problem+json" || a.json["status"] != float64(status)) {
		b.t.Errorf("%v: not a problem document (RFC 9457)", a.Header)
	}
}

const good = `{"user":"alice","password":"parlance"}`

func TestSession_fromLoginToLogout(t *testing.T) {
	b := start(t)
	a := b.do("POST", "/api/v1/session", good)
	b.wants(a, 200, "")
	if a.json["jid"] != "alice@acme.test" || a.json["token"] == "" || a.json["expires_in"] != float64(300) {
		t.Errorf("%s", a.body)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Error("a token may be cached")
	}
	c := a.Cookies()[0]
	if c.Name != "__Host-parlance" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 43200 {
		t.Errorf("cookie %+v", c)
	}
	held := c.Name + "=" + c.Value
	again := b.do("POST", "/api/v1/token", "", "Cookie", held)
	b.wants(again, 200, "")
	if again.json["token"] == a.json["token"] {
		t.Error("the token is not fresh")
	}
	b.wants(b.do("DELETE", "/api/v1/session", "", "Cookie", held), 204, "")
	b.wants(b.do("POST", "/api/v1/token", "", "Cookie", held), 401, "no-session")
	b.wants(b.do("POST", "/api/v1/token", ""), 401, "no-session")
}

func TestLogin_refusals(t *testing.T) {
	b := start(t)
	wrong := b.do("POST", "/api/v1/session", `{"user":"alice","password":"no"}`)
	b.wants(wrong, 401, "bad-credentials")
	for _, user := range []string{"nobody", "bob@other.test", "", "a b", "alice@acme.test/x", "@@"} {
		a := b.do("POST", "/api/v1/session", `{"user":"`+user+`","password":"no"}`)
		b.wants(a, 401, "bad-credentials")
		if !bytes.Equal(a.body, wrong.body) {
			t.Errorf("user %q is answered otherwise (HARDENING A6): %s", user, a.body)
		}
	}
	b.wants(b.do("POST", "/api/v1/session", `{"user":"dave","password":"parlance"}`), 403, "account-disabled")
	b.wants(b.do("POST", "/api/v1/session", `{"user":"dave","password":"no"}`), 401, "bad-credentials")
	b.people.Limited = edgetest.Limit()
	a := b.do("POST", "/api/v1/session", good)
	b.wants(a, 429, "slow-down")
	if a.Header.Get("Retry-After") != "60" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
	b.people.Limited = sasl.Fail(sasl.TemporaryAuthFailure, "")
	b.wants(b.do("POST", "/api/v1/session", good), 503, "unavailable")
}

func TestLogin_takenAwayMeanwhile(t *testing.T) {
	b := start(t)
	b.revoked = true // HARDENING A12
	b.wants(b.do("POST", "/api/v1/session", good), 401, "bad-credentials")
	if len(b.tokens.web) != 0 {
		t.Error("the token lives")
	}
}

func TestLogin_malformed(t *testing.T) {
	b := start(t)
	for _, body := range []string{"{", "[]", `{"user":1}`, `{"user":"alice","password":"x","admin":true}`, good + good, "null x"} {
		b.wants(b.do("POST", "/api/v1/session", body), 400, "bad-request")
	}
	b.wants(b.do("POST", "/api/v1/session", `{"user":"`+strings.Repeat("a", 9000)+`"}`), 413, "too-large")
	b.wants(b.do("POST", "/api/v1/session", good, "Content-Type", "text/plain"), 415, "unsupported-media-type")
	b.wants(b.do("POST", "/api/v1/session", good, "Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported-media-type")
}

func TestMutatingCalls_otherOrigins(t *testing.T) {
	b := start(t)
	b.wants(b.do("POST", "/change", "{}", "Origin", ""), 204, "") // a feature's route, called by no browser
	b.wants(b.do("POST", "/change", "{}"), 204, "")
	for _, origin := range []string{"", "null", "https://evil.test", "http://" + b.addr, b.url + ".evil.test", "https://"} {
		b.wants(b.do("POST", "/api/v1/session", good, "Origin", origin), 403, "bad-origin")
		b.wants(b.do("POST", "/api/v1/token", "", "Origin", origin), 403, "bad-origin")
		b.wants(b.do("DELETE", "/api/v1/session", "", "Origin", origin), 403, "bad-origin")
		if origin != "" {
			b.wants(b.do("POST", "/change", "{}", "Origin", origin), 403, "bad-origin")
		}
	}
}

func TestRouter_deniesWhatIsNotListed(t *testing.T) {
	b := start(t)
	b.wants(b.do("GET", "/api/v1/nothing", ""), 404, "not-found")
	b.wants(b.do("GET", "/api/", ""), 404, "not-found")
	b.wants(b.do("GET", "/api/v1/session", ""), 405, "method-not-allowed")
	b.wants(b.do("PUT", "/api/v1/info", "{}"), 405, "method-not-allowed")
	b.wants(b.do("POST", "/index.html", "{}"), 405, "")
	b.wants(b.do("GET", "/panic", ""), 500, "internal")
	if a := b.do("GET", "/extra", ""); string(a.body) != "extra" {
		t.Errorf("a feature's route: %s", a.body)
	}
	for _, p := range []string{"/.secret.html", "/notes.bak", "/nothing.js", "/assets/", "/../http.go", "/assets/../.secret.html", "/%2e%2e/http.go"} {
		if a := b.do("GET", p, ""); a.StatusCode == 200 && !strings.Contains(string(a.body), "<title>") {
			t.Errorf("%s: %s", p, a.body)
		}
	}
}

func TestInfo_saysWhereTheWebSocketIs(t *testing.T) {
	b := start(t)
	a := b.do("GET", "/api/v1/info", "")
	want := map[string]any{"domain": "acme.test", "name": "Acme", "version": "test", "websocket": "wss://" + b.addr + "/ws"}
	if fmt.Sprint(a.json) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", a.json, want)
	}
}

func TestHeaders_onEverything(t *testing.T) {
	b := start(t)
	for _, p := range []string{"/", "/chat/bob", "/assets/app-1a2b3.js", "/api/v1/info", "/nothing.js", "/api/none", "/extra"} {
		h := b.do("GET", p, "").Header
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "connect-src 'self' wss://"+b.addr+";") ||
			!strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "script-src 'self' ") {
			t.Errorf("%s: CSP %q", p, csp)
		}
		for k, v := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000"} {
			if h.Get(k) != v {
				t.Errorf("%s: %s %q, want %q", p, k, h.Get(k), v)
			}
		}
	}
}

func TestHost_thatWouldBreakOutOfAHeaderIsRefused(t *testing.T) {
	b := start(t)
	r, _ := http.NewRequest("GET", b.url+"/", nil)
	r.Host = "acme.test;script-src"
	res, err := b.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 400 {
		t.Errorf("%d, want 400", res.StatusCode)
	}
}

func TestAssets_cachedAndCompressed(t *testing.T) {
	b := start(t)
	js := b.do("GET", "/assets/app-1a2b3.js", "", "Accept-Encoding", "br, gzip")
	if js.Header.Get("Content-Encoding") != "gzip" || js.Header.Get("Content-Type") != "text/javascript; charset=utf-8" ||
		!strings.Contains(js.Header.Get("Cache-Control"), "immutable") || js.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%v", js.Header)
	}
	z, err := gzip.NewReader(bytes.NewReader(js.body))
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(z); !bytes.Equal(text, files()["assets/app-1a2b3.js"].Data) {
		t.Error("the compressed file is another one")
	}
	plain := b.do("GET", "/assets/app-1a2b3.js", "", "Accept-Encoding", "gzip;q=0")
	if plain.Header.Get("Content-Encoding") != "" || len(plain.body) != 2200 {
		t.Errorf("%v %d", plain.Header, len(plain.body))
	}
	if a := b.do("GET", "/assets/app-1a2b3.js", "", "If-None-Match", plain.Header.Get("ETag")); a.StatusCode != 304 {
		t.Errorf("%d, want 304", a.StatusCode)
	}
	for _, p := range []string{"/", "/chat/bob@acme", "/index.html"} {
		if a := b.do("GET", p, ""); !strings.Contains(string(a.body), "<title>Parlance") || a.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %v %s", p, a.Header, a.body)
		}
	}
}

func TestALPN_onePortForAll(t *testing.T) {
	b := start(t)
	if a := b.do("GET", "/", ""); a.ProtoMajor != 2 {
		t.Errorf("%s, want HTTP/2", a.Proto)
	}
	c, err := tls.Dial("tcp", b.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"xmpp-client"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := <-b.xmpp; got != "xmpp-client" {
		t.Errorf("%q", got)
	}
	plain, err := tls.Dial("tcp", b.addr, &tls.Config{InsecureSkipVerify: true}) // no ALPN
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	fmt.Fprintf(plain, "GET /api/v1/info HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", b.addr)
	if all, _ := io.ReadAll(plain); !bytes.HasPrefix(all, []byte("HTTP/1.1 200")) {
		t.Errorf("%s", all)
	}
	if _, err := tls.Dial("tcp", b.addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken (HARDENING X13)")
	}
}

// HARDENING A15: who asks the API without end is asked to wait, whatever he asks for; the client itself is still served.
func TestPace_requestsFromOneAddress(t *testing.T) {
	b := start(t, func(c *edgehttp.Config) { c.Pace = edgehttp.Pace{Burst: 20, PerSecond: 1} })
	told := map[int]int{}
	for i := range 100 {
		path, method := "/api/v1/info", http.MethodGet
		if i%2 == 1 {
			path, method = "/api/v1/session", http.MethodPost
		}
		r, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		a, err := b.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		told[a.StatusCode]++
		if a.StatusCode == http.StatusTooManyRequests && a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if told[http.StatusTooManyRequests] < 50 || told[http.StatusOK] < 10 {
		t.Errorf("answers %v, want 20 let through and as many more as seconds have passed", told)
	}
	a, err := b.http.Get(b.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if a.StatusCode != http.StatusOK {
		t.Errorf("the web client: %d", a.StatusCode)
	}
}

// HARDENING X8: whoever takes a connection over learns whether it is the first request on it; the time a
// WebSocket has until somebody is logged in counts from the connection then.
func TestServer_countsTheRequestsOfAConnection(t *testing.T) {
	counts := make(chan int, 2)
	b := start(t, func(c *edgehttp.Config) {
		c.WebSocket = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			counts <- edge.Base(conn).Requests()
			conn.Close()
		})
	})
	for _, first := range []string{"", "GET /extra HTTP/1.1\r\nHost: x\r\n\r\n"} {
		c, err := tls.Dial("tcp", b.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, first+"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
	if first, second := <-counts, <-counts; first != 1 || second != 2 {
		t.Errorf("%d and %d requests, want 1 and 2", first, second)
	}
}
