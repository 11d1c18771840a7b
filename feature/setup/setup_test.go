package setup

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const good = "tomato-voyage-19"

// fixture is the handler on real accounts, with a fresh token.
func fixture(t *testing.T) (*account.Store, *store.DB, http.Handler, string) {
	t.Helper()
	db := storetest.SQLite(t)
	if err := db.Migrate(t.Context(), []store.Migrations{account.Migrations()}); err != nil {
		t.Fatal(err)
	}
	a, err := account.New(t.Context(), db, account.Config{Iterations: 1000})
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.MintToken(t.Context(), jid.JID{}, account.Setup, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	f := Feature(a, "acme.test", slog.New(slog.DiscardHandler))
	mux := http.NewServeMux()
	for _, r := range f.HTTP {
		mux.Handle(r.Pattern, r.Handler)
	}
	return a, db, mux, token
}

// post sends a body and returns status and code (or jid).
func post(t *testing.T, h http.Handler, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/api/v1/setup", strings.NewReader(body)))
	var out struct {
		JID, Code, Title, Detail string
		Status                   int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if w.Code == http.StatusCreated {
		return w.Code, out.JID
	}
	// RFC 9457 §3.1.
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" || out.Status != w.Code || out.Title == "" || out.Detail == "" {
		t.Errorf("%s: %+v", ct, out)
	}
	return w.Code, out.Code
}

func asking(token, user, password string) string {
	b, _ := json.Marshal(map[string]string{"token": token, "user": user, "password": password, "name": "The Boss"})
	return string(b)
}

// HARDENING V8: no default account, a token that makes one, once.
func TestSetup_tokenMakesOneAdmin(t *testing.T) {
	a, _, h, token := fixture(t)
	if code, who := post(t, h, asking(token, "Admin", good)); code != 201 || who != "admin@acme.test" {
		t.Fatalf("%d %s", code, who)
	}
	acc, err := a.Get(t.Context(), jid.MustParse("admin@acme.test"))
	if err != nil || !acc.Admin || acc.Name != "The Boss" {
		t.Errorf("%+v: %v", acc, err)
	}
	if code, why := post(t, h, asking(token, "second", good)); code != 403 || why != "bad-token" {
		t.Errorf("the token again: %d %s", code, why)
	}
}

func TestSetup_refusals(t *testing.T) {
	a, _, h, token := fixture(t)
	for name, c := range map[string]struct {
		body string
		code int
		why  string
	}{
		"no JSON":           {"token=1", 400, "bad-request"},
		"nothing":           {"", 400, "bad-request"},
		"another shape":     {`["x"]`, 400, "bad-request"},
		"unknown field":     {`{"token":"` + token + `","admin":true}`, 400, "bad-request"},
		"too long":          {`{"token":"` + strings.Repeat("x", bodyMax) + `"}`, 400, "bad-request"},
		"no token":          {asking("", "admin", good), 403, "bad-token"},
		"another token":     {asking(token+"x", "admin", good), 403, "bad-token"},
		"short password":    {asking(token, "admin", "short"), 400, "bad-password"},
		"no name":           {asking(token, "", good), 400, "bad-request"},
		"not a name":        {asking(token, "a b@c/d", good), 400, "bad-request"},
		"token before name": {asking("x", "", "x"), 403, "bad-token"},
	} {
		if code, why := post(t, h, c.body); code != c.code || why != c.why {
			t.Errorf("%s: %d %s, want %d %s", name, code, why, c.code, c.why)
		}
	}
	if n, err := a.Count(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d accounts: %v", n, err)
	}
	// A refusal does not use the token up.
	if code, who := post(t, h, asking(token, "admin", good)); code != 201 {
		t.Errorf("afterwards: %d %s", code, who)
	}
}

// Whoever reads the token in a log later can't become admin beside the one made on the machine.
func TestSetup_notWhenSomebodyIsThere(t *testing.T) {
	a, _, h, token := fixture(t)
	if err := a.Create(t.Context(), jid.MustParse("boss@acme.test"), good, account.Options{Admin: true}); err != nil {
		t.Fatal(err)
	}
	if code, why := post(t, h, asking(token, "admin", good)); code != 403 || why != "bad-token" {
		t.Errorf("%d %s", code, why)
	}
}

func TestSetup_twoAtATimeMakeOne(t *testing.T) {
	a, _, h, token := fixture(t)
	var wg sync.WaitGroup
	for _, user := range []string{"a", "b", "c", "d"} {
		wg.Go(func() { post(t, h, asking(token, user, good)) })
	}
	wg.Wait()
	if n, err := a.Count(t.Context()); n != 1 || err != nil {
		t.Errorf("%d accounts: %v", n, err)
	}
}

// What goes wrong inside is not the visitor's fault, and not told in detail.
func TestSetup_storeFails(t *testing.T) {
	a, db, _, token := fixture(t)
	h := Feature(failing{a}, "acme.test", slog.New(slog.DiscardHandler)).HTTP[0].Handler
	if code, why := post(t, h, asking(token, "admin", good)); code != 500 || why != "internal-error" {
		t.Errorf("%d %s", code, why)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if code, why := post(t, h, asking(token, "admin", good)); code != 403 || why != "bad-token" {
		t.Errorf("closed: %d %s", code, why)
	}
}

type failing struct{ *account.Store }

func (failing) Create(_ context.Context, _ jid.JID, _ string, _ account.Options) error {
	return errors.New("disk on fire")
}
