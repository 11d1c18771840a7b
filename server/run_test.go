package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// soon bounds every wait for something that happens at once.
const soon = 20 * time.Second

// output is what a server prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	select {
	case o.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (o *output) String() string { o.mu.Lock(); defer o.mu.Unlock(); return o.text.String() }

// running is a server in this process.
type running struct {
	t    *testing.T
	dir  string
	out  *output
	done chan error
	end  context.CancelFunc
}

func run(t *testing.T, dir string, start func(ctx context.Context, out io.Writer) error) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, dir: dir, out: &output{more: make(chan struct{}, 1)}, done: make(chan error, 1), end: cancel}
	go func() { r.done <- start(ctx, r.out) }()
	t.Cleanup(cancel)
	r.wait(`listening http (\S+)`)
	return r
}

// wait waits for a line and returns its first group.
func (r *running) wait(line string) string {
	r.t.Helper()
	re, late := regexp.MustCompile(line), time.After(soon)
	for {
		if m := re.FindStringSubmatch(r.out.String()); m != nil {
			return m[1]
		}
		select {
		case <-r.out.more:
		case err := <-r.done:
			r.t.Fatalf("ended: %v\n%s", err, r.out)
		case <-late:
			r.t.Fatalf("no line %q in\n%s", line, r.out)
		}
	}
}

func (r *running) stop() {
	r.t.Helper()
	r.end()
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("stopped with %v", err)
		}
	case <-time.After(soon):
		r.t.Fatal("does not stop")
	}
}

func demo(t *testing.T, dir string) *running {
	t.Helper()
	const any = "127.0.0.1:0"
	return run(t, dir, func(ctx context.Context, out io.Writer) error {
		return Demo(ctx, DemoOptions{Data: dir, Domain: "acme.test", HTTP: any, C2S: any, C2STLS: any, Version: "test", Out: out,
			Log: slog.New(slog.DiscardHandler)})
	})
}

// tlsConfig trusts the certificate the server made for itself.
func (r *running) tlsConfig(domain string) *tls.Config {
	r.t.Helper()
	pem, err := os.ReadFile(filepath.Join(r.dir, "ca.pem"))
	if err != nil {
		r.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, ServerName: domain, MinVersion: tls.VersionTLS12}
}

// person is the least of a client: PLAIN on direct TLS, and waiting for text.
type person struct {
	t    *testing.T
	conn net.Conn
	got  string
}

func (r *running) login(user, domain, password string) *person {
	r.t.Helper()
	p, err := r.tryLogin(user, domain, password)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *running) tryLogin(user, domain, password string) (*person, error) {
	r.t.Helper()
	conn, err := tls.Dial("tcp", r.wait(`listening c2s-tls (\S+)`), r.tlsConfig(domain))
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	p := &person{t: r.t, conn: conn}
	open := fmt.Sprintf("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>", domain)
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	for _, step := range [][2]string{
		{open, "</stream:features>"},
		{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + plain + "</auth>", "<success"},
		{open, "</stream:features>"},
		{"<iq id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>", "</bind></iq>"},
	} {
		if err := p.try(step[0], step[1]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// try sends something and reads on until the answer is there.
func (p *person) try(send, want string) error {
	_ = p.conn.SetDeadline(time.Now().Add(soon))
	p.got = ""
	if _, err := io.WriteString(p.conn, send); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for !strings.Contains(p.got, want) {
		n, err := p.conn.Read(buf)
		p.got += string(buf[:n])
		if strings.Contains(p.got, "<failure") {
			return errors.New(p.got)
		}
		if err != nil {
			return fmt.Errorf("%w, waiting for %s after %s", err, want, p.got)
		}
	}
	return nil
}

func (p *person) say(send, want string) string {
	p.t.Helper()
	if err := p.try(send, want); err != nil {
		p.t.Fatal(err)
	}
	return p.got
}

func (p *person) bye() {
	p.say("</stream:stream>", "</stream:stream>")
	_ = p.conn.Close()
}

const pong = "<iq id='p' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"

func message(to, text string) string {
	return fmt.Sprintf("<message to='%s' type='chat'><body>%s</body></message>", to, text)
}

// Issue 2: a sample company in one command; it stops when told, with people connected, and has everything at the next start.
func TestDemo_stopAndStartAgain(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	r := demo(t, dir)
	for _, line := range []string{`listening c2s (127\.0\.0\.1:[1-9]\d*)`, `listening c2s-tls (127\.0\.0\.1:[1-9]\d*)`,
		`listening http (127\.0\.0\.1:[1-9]\d*)`, `(accounts alice@acme\.test .*admin@acme\.test)`, `(password parlance)`} {
		r.wait(line)
	}
	if strings.Contains(r.out.String(), "set-up token") {
		t.Error("the demo asks to be set up")
	}
	dave, alice := r.login("dave", "acme.test", "parlance"), r.login("alice", "acme.test", "parlance")
	alice.say("<presence/>"+pong, "id='p'")
	// RFC 6120 §10.1: the answer to the ping comes after the message was kept.
	dave.say(message("erin@acme.test", "for later")+message("alice@acme.test", "now")+pong, "id='p'")
	alice.say("", "now</body>")
	if _, err := r.tryLogin("bob", "acme.test", "wrong"); err == nil {
		t.Error("logged in with a wrong password")
	}
	r.stop() // alice and dave are still connected: they are told
	if err := alice.try("", "system-shutdown"); err != nil {
		t.Errorf("alice was not told: %v", err)
	}
	_ = alice.conn.Close()
	_ = dave.conn.Close()

	again := demo(t, dir)
	erin := again.login("erin", "acme.test", "parlance")
	if got := erin.say("<presence/>", "for later</body>"); !strings.Contains(got, "<delay") {
		t.Errorf("waiting message without delay: %s", got)
	}
	bob := again.login("bob", "acme.test", "parlance")
	history := bob.say("<iq id='m' type='set'><query xmlns='urn:xmpp:mam:2'/></iq>", "<fin")
	if !strings.Contains(history, "Two hundred power cuts") || strings.Count(history, "<result") != 5 {
		t.Errorf("bob's archive after the second start: %s", history)
	}
	roster := bob.say("<iq id='r' type='get'><query xmlns='jabber:iq:roster'/></iq>", "</query></iq>")
	if !strings.Contains(roster, "alice@acme.test") || !strings.Contains(roster, "carol@acme.test") || strings.Contains(roster, "dave@") {
		t.Errorf("bob's roster: %s", roster)
	}
	bob.bye()
	erin.bye()
	again.stop()
}

// Whenever it is killed while it makes its company, the next start makes it whole.
func TestDemo_killedWhileItWasMade(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	cfg := Default()
	cfg.Domain, cfg.Data = "acme.test", dir
	ac := accountConfig(cfg)
	ac.AnyPassword = true
	c, err := openCore(t.Context(), cfg, Options{Log: slog.New(slog.DiscardHandler)}, ac)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.accounts.Create(t.Context(), jid.MustParse("alice@acme.test"), demoPassword, account.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	r := demo(t, dir)
	for _, who := range demoPeople {
		r.login(who.user, "acme.test", demoPassword).bye()
	}
	r.stop()
}

// HARDENING V8: without accounts a one-time token makes the first, over HTTPS.
func TestRun_setUpByToken(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	serve := func() *running {
		return run(t, dir, func(ctx context.Context, out io.Writer) error {
			cfg := Default()
			cfg.Domain, cfg.Data = "acme.test", dir
			any := []string{"127.0.0.1:0"}
			cfg.Listen.C2S, cfg.Listen.C2STLS, cfg.Listen.HTTPS = any, any, any
			return Run(ctx, cfg, Options{Version: "test", Out: out, Log: slog.New(slog.DiscardHandler)})
		})
	}
	r := serve()
	token := r.wait(`set-up token (\S{20,})`)
	if _, err := r.tryLogin("admin", "acme.test", "parlance"); err == nil {
		t.Error("there is a default account")
	}
	for _, c := range []struct {
		token string
		want  int
	}{{token + "x", 403}, {token, 201}, {token, 403}} {
		if got := r.setUp(c.token, "boss", "tomato-voyage-19"); got != c.want {
			t.Errorf("POST /api/v1/setup: %d, want %d", got, c.want)
		}
	}
	r.login("boss", "acme.test", "tomato-voyage-19").bye()
	r.stop()
	again := serve()
	if strings.Contains(again.out.String(), "set-up token") {
		t.Error("a token though there is an account")
	}
	again.login("boss", "acme.test", "tomato-voyage-19").bye()
	again.stop()
}

func (r *running) setUp(token, user, password string) int {
	r.t.Helper()
	body, err := json.Marshal(map[string]string{"token": token, "user": user, "password": password})
	if err != nil {
		r.t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: r.tlsConfig("acme.test")}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: soon}
	req, err := http.NewRequestWithContext(r.t.Context(), "POST", "https://"+r.wait(`listening http (\S+)`)+"/api/v1/setup", bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// A port that is taken ends the start with an error, and leaves nothing behind.
func TestRun_portTaken(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := Default()
	cfg.Domain, cfg.Data = "acme.test", t.TempDir()
	cfg.Listen.C2S, cfg.Listen.C2STLS, cfg.Listen.HTTPS = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}, []string{ln.Addr().String()}
	err = Run(t.Context(), cfg, Options{Version: "test", Out: io.Discard, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "listen: http") {
		t.Errorf("%v", err)
	}
}

// Whoever stops a server that is just starting sees it end as one that ran.
func TestRun_toldToStopWhileItStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := unlessTold(ctx, fmt.Errorf("account: count: %w", ctx.Err())); err != nil {
		t.Error(err)
	}
	broken := errors.New("the disk is gone")
	if err := unlessTold(ctx, broken); !errors.Is(err, broken) {
		t.Errorf("%v hides a failure", err)
	}
	if err := unlessTold(t.Context(), context.Canceled); err == nil {
		t.Error("nobody told it to stop")
	}
}
