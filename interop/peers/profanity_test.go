package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/server"
)

// terminal is one profanity in a tmux of its own. What it did is read from its
// screen and from its debug log, which holds every stanza it sent and received.
type terminal struct {
	t           *testing.T
	socket, log string
}

func profanity(t *testing.T, name string) *terminal {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "config", "profanity")
	if err := os.MkdirAll(conf, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(conf, "profrc"), []byte("[ui]\nsplash=false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, socket: filepath.Join(dir, "tmux"), log: filepath.Join(dir, "log")}
	cmd := exec.Command("tmux", "-S", p.socket, "-f", "/dev/null", "new-session", "-d", "-x", "180", "-y", "50",
		"profanity -l DEBUG -f '"+p.log+"'")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+filepath.Join(dir, "config"),
		"XDG_DATA_HOME="+filepath.Join(dir, "data"), "TERM=screen-256color", "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			b, _ := os.ReadFile(p.log)
			t.Logf("%s: screen:\n%s\nlog:\n%s", name, p.screen(), b[max(0, len(b)-6000):])
		}
		_ = exec.Command("tmux", "-S", p.socket, "kill-server").Run()
	})
	p.sees("Type '/help'")
	return p
}

func (p *terminal) types(line string) {
	p.t.Helper()
	if out, err := exec.Command("tmux", "-S", p.socket, "send-keys", "-l", line).CombinedOutput(); err != nil {
		p.t.Fatalf("tmux: %v: %s", err, out)
	}
	_ = exec.Command("tmux", "-S", p.socket, "send-keys", "Enter").Run()
}

func (p *terminal) screen() string {
	out, _ := exec.Command("tmux", "-S", p.socket, "capture-pane", "-p").Output()
	return string(out)
}

func (p *terminal) sees(text ...string) {
	p.t.Helper()
	p.until(p.screen, text)
}

// logs waits for one log line that holds all the texts.
func (p *terminal) logs(text ...string) {
	p.t.Helper()
	p.until(func() string {
		b, _ := os.ReadFile(p.log)
		for _, line := range strings.Split(string(b), "\n") {
			if holds(line, text) {
				return line
			}
		}
		return ""
	}, text)
}

// until polls: a terminal program sends no events.
func (p *terminal) until(look func() string, text []string) {
	p.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); <-tick.C {
		if holds(look(), text) {
			return
		}
	}
	p.t.Fatalf("%q did not show", text)
}

func holds(s string, text []string) bool {
	for _, x := range text {
		if !strings.Contains(s, x) {
			return false
		}
	}
	return true
}

// login connects; tls is profanity's word: trust = STARTTLS with any
// certificate, legacy = direct TLS, where the certificate is asked about.
func (p *terminal) login(user, resource, addr, tls string) {
	p.t.Helper()
	host, port := hostPort(p.t, addr)
	full := fmt.Sprintf("%s@%s/%s", user, server.Domain, resource)
	p.types(fmt.Sprintf("/connect %s server %s port %s tls %s", full, host, port, tls))
	p.sees("Enter password:")
	p.types(server.Password)
	if tls == "legacy" {
		p.sees("/tls allow")
		p.types("/tls allow")
	}
	p.sees(full + " logged in successfully")
	p.logs("SENT: <presence")
	for _, c := range []string{"/receipts request on", "/receipts send on", "/statuses console all"} {
		p.types(c)
	}
}

func TestPeers_profanity(t *testing.T) {
	need(t, "profanity", "apt-get install profanity")
	need(t, "tmux", "apt-get install tmux")
	both(t, func(t *testing.T, s *server.Server) {
		alice, bob, second := profanity(t, "alice"), profanity(t, "bob"), profanity(t, "alice's second")
		t.Log("login-starttls")
		alice.login("alice", "prof", s.C2S, "trust")
		t.Log("login-direct-tls")
		bob.login("bob", "prof", s.C2STLS, "legacy")

		t.Log("presence")
		alice.logs("RECV: <presence", `from="bob@acme.test/prof"`)
		bob.types(`/status set away "at lunch"`)
		alice.logs("RECV: <presence", `from="bob@acme.test/prof"`, "<show>away</show>", "at lunch")

		t.Log("chat and receipts")
		alice.types("/msg bob@acme.test hello bob ö")
		bob.logs("RECV: <message", "<body>hello bob ö</body>", `from="alice@acme.test/prof"`)
		alice.logs("RECV: <message", `from="bob@acme.test/prof"`, "<received", "urn:xmpp:receipts")
		bob.types("/msg alice@acme.test hello alice")
		alice.sees("hello alice")

		t.Log("carbons")
		second.login("alice", "two", s.C2S, "trust")
		second.types("/carbons on")
		second.logs("SENT: <iq", "enable", "urn:xmpp:carbons:2")

		bob.types("/msg alice@acme.test/prof copy this")
		second.logs("RECV: <message", "<received", "urn:xmpp:carbons:2", "copy this")
		alice.types("/msg bob@acme.test and this")
		second.logs("RECV: <message", "<sent", "urn:xmpp:carbons:2", "and this")

		// MAM: this version looks for the feature on the server instead of the
		// account (XEP-0313 §8), so it reads no archive here nor on prosody.

		t.Log("stream management")
		alice.logs("RECV: <enabled", "urn:xmpp:sm:3", `resume="true"`)
	})
}
