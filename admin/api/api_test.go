package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const good = "tomato-voyage-19"

var (
	alice = jid.MustParse("alice@acme.test")
	bob   = jid.MustParse("bob@acme.test")
)

// served is a running server and a client of it.
type served struct {
	*Client
	accounts *account.Store
	path     string
	log      *bytes.Buffer // read it after stop
	stop     func()
}

func serve(t *testing.T) *served {
	t.Helper()
	db := storetest.SQLite(t)
	if err := db.Migrate(t.Context(), []store.Migrations{account.Migrations()}); err != nil {
		t.Fatal(err)
	}
	a, err := account.New(t.Context(), db, account.Config{Iterations: 1000})
	if err != nil {
		t.Fatal(err)
	}
	s := &served{accounts: a, path: filepath.Join(t.TempDir(), "admin.sock"), log: &bytes.Buffer{}}
	l, err := Listen(s.path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &Server{Accounts: a, Domain: "acme.test", Log: slog.New(slog.NewTextHandler(s.log, nil)),
		Status: func() Status { return Status{Version: "test", PID: 7, Sessions: 3} }}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l) }()
	if s.Client, err = Dial(t.Context(), s.path); err != nil {
		t.Fatal(err)
	}
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		s.Client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

func TestClient_life(t *testing.T) {
	s := serve(t)
	ctx := t.Context()
	if s.Status.Domain != "acme.test" || s.Status.Version != "test" || s.Status.PID != 7 || s.Status.Sessions != 3 || s.Status.Accounts != 0 {
		t.Errorf("status %+v", s.Status)
	}
	var revoked []jid.JID
	s.accounts.OnRevoke(func(j jid.JID) { revoked = append(revoked, j) })
	if err := s.Create(ctx, alice, good, account.Options{Name: "Alice <&> Liddell", Admin: true}); err != nil {
		t.Fatal(err)
	}
	a, err := s.Get(ctx, alice)
	if err != nil || a.JID != alice || a.Name != "Alice <&> Liddell" || !a.Admin || a.Disabled || a.Created.IsZero() {
		t.Errorf("Get: %+v %v", a, err)
	}
	for what, f := range map[string]func() error{
		"name":     func() error { return s.SetName(ctx, alice, "A.") },
		"admin":    func() error { return s.SetAdmin(ctx, alice, false) },
		"password": func() error { return s.SetPassword(ctx, alice, good+"-2") },
		"disable":  func() error { return s.Disable(ctx, alice, true) },
	} {
		if err := f(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if a, err = s.Get(ctx, alice); err != nil || a.Name != "A." || a.Admin || !a.Disabled {
		t.Errorf("after changes: %+v %v", a, err)
	}
	if err := s.Remove(ctx, alice); err != nil {
		t.Error(err)
	}
	if len(revoked) != 3 { // HARDENING A12: password, disable, remove
		t.Errorf("revoked %v", revoked)
	}
	s.stop()
	if text := s.log.String(); strings.Contains(text, good) || !strings.Contains(text, "alice@acme.test") {
		t.Errorf("log: %s", text)
	}
}

func TestClient_errorsAreThoseOfTheStore(t *testing.T) {
	s := serve(t)
	ctx := t.Context()
	if err := s.Create(ctx, bob, good, account.Options{}); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ got, want error }{
		"get":     {second(s.Get(ctx, alice)), account.ErrNotFound},
		"passwd":  {s.SetPassword(ctx, alice, good), account.ErrNotFound},
		"disable": {s.Disable(ctx, alice, true), account.ErrNotFound},
		"remove":  {s.Remove(ctx, alice), account.ErrNotFound},
		"create":  {s.Create(ctx, bob, good, account.Options{}), account.ErrExists},
		"domain":  {s.Create(ctx, jid.MustParse("acme.test"), good, account.Options{}), account.ErrName},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", what, c.got, c.want)
		}
	}
	err := s.Create(ctx, alice, "short", account.Options{})
	if r, ok := errors.AsType[*account.Refused](err); !ok || !strings.Contains(r.Why, "shorter") {
		t.Errorf("weak password: %v", err)
	}
	if err := s.Create(ctx, jid.MustParse("alice@b.test"), good, account.Options{}); err == nil || !strings.Contains(err.Error(), "acme.test") {
		t.Errorf("other domain: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestClient_listPages(t *testing.T) {
	s := serve(t)
	var want []string
	for i := range 5 {
		j := jid.MustParse(fmt.Sprintf("ünï%d@acme.test", i))
		if err := s.Create(t.Context(), j, good, account.Options{}); err != nil {
			t.Fatal(err)
		}
		want = append(want, j.String())
	}
	var got []string
	after := ""
	for {
		page, err := s.List(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, a := range page {
			after = a.JID.String()
			got = append(got, after)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestServer_badRequests(t *testing.T) {
	s := serve(t)
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/v1/users", "", 400},
		{"GET", "/v1/users?n=0", "", 400},
		{"GET", "/v1/users?n=1001", "", 400},
		{"POST", "/v1/users", "{", 400},
		{"POST", "/v1/users", `{"jid":"alice@acme.test","password":"` + good + `"} x`, 400},
		{"POST", "/v1/users", `{"jid":"alice@acme.test","passwort":"x"}`, 400},
		{"POST", "/v1/users", `{"jid":"alice@acme.test","password":"` + strings.Repeat("x", maxBody) + `"}`, 400},
		{"POST", "/v1/users", `{"jid":"a b@acme.test","password":"` + good + `"}`, 400},
		{"GET", "/v1/users/alice", "", 400},
		{"POST", "/v1/import?iterations=x", "", 400},
		{"POST", "/v1/import?size=-1", "", 400},
		{"GET", "/v1/nothing", "", 404},
		{"PUT", "/v1/users", "", 405},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://admin"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != c.want || strings.Contains(string(text), good) {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, res.StatusCode, text, c.want)
		}
	}
}

func TestImport_tellsHowItGoes(t *testing.T) {
	s := serve(t)
	var file strings.Builder
	file.WriteString("user,password\n")
	for i := range 300 {
		fmt.Fprintf(&file, "u%03d,tomato-voyage-%d\n", i, i)
	}
	file.WriteString("u000," + good + "\nnobody,short\n")
	var bad []int
	var reports []account.Progress
	got, err := s.Import(t.Context(), strings.NewReader(file.String()), account.Import{
		Iterations: 1000, Size: int64(file.Len()),
		Progress: func(p account.Progress) { reports = append(reports, p) },
		Bad:      func(line int, _ string) { bad = append(bad, line) },
	})
	if err != nil || got.Done != 300 || got.Bad != 2 || !slices.Equal(bad, []int{302, 303}) {
		t.Errorf("%+v, bad %v, %v", got, bad, err)
	}
	if len(reports) != 3 || reports[2].Bytes != int64(file.Len()) || reports[0].Left == 0 {
		t.Errorf("reports %+v", reports)
	}
	if n, err := s.accounts.Count(t.Context()); n != 300 || err != nil {
		t.Errorf("%d accounts, %v", n, err)
	}
}

func TestImport_errorReachesTheClientBehindALongFile(t *testing.T) {
	s := serve(t)
	file := "user,passwort\n" + strings.Repeat("somebody,something-long-enough\n", 100000)
	_, err := s.Import(t.Context(), strings.NewReader(file), account.Import{})
	if err == nil || !strings.Contains(err.Error(), "passwort") {
		t.Errorf("got %v", err)
	}
	_, err = s.Import(t.Context(), strings.NewReader("user,password\n"), account.Import{Iterations: 5})
	if err == nil || !strings.Contains(err.Error(), "iterations") {
		t.Errorf("got %v", err)
	}
}

// endless is a file that never ends; it tells when it is being read.
type endless struct {
	n       int
	reading chan struct{}
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		e.n++
		return copy(p, "user,password\n"), nil
	}
	if e.n == 3 {
		close(e.reading)
	}
	e.n++
	return copy(p, fmt.Sprintf("u%d,tomato-voyage-%d\n", e.n, e.n)), nil
}

func TestImport_endsWithItsClient(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	e := &endless{reading: make(chan struct{})}
	go func() {
		<-e.reading
		cancel()
	}()
	if _, err := s.Import(ctx, e, account.Import{Iterations: 1000}); err == nil {
		t.Error("an endless import ended well")
	}
	s.stop() // waits for the import on the other side
}

func TestServe_stopsWithAnImportRunning(t *testing.T) {
	s := serve(t)
	e := &endless{reading: make(chan struct{})}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, err := s.Import(ctx, e, account.Import{Iterations: 1000})
		ended <- err
	}()
	<-e.reading
	s.stop()
	if err := <-ended; err == nil {
		t.Error("the client was not told that the server stopped")
	}
}

func TestServe_endsWhenItsListenerIsClosed(t *testing.T) {
	l, err := Listen(filepath.Join(t.TempDir(), "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- (&Server{}).Serve(t.Context(), l) }()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestListen_modeAndLife(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "admin.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 || st.Mode().Type() != os.ModeSocket {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrBusy) {
		t.Errorf("second Listen: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoServer) {
		t.Errorf("Dial: %v", err)
	}
}

func TestListen_replacesWhatAKilledServerLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoServer) {
		t.Errorf("Dial: %v", err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestListen_deepFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 40))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "admin.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), l.Close()); err != nil {
		t.Error(err)
	}
}
