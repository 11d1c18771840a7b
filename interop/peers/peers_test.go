package peers

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/server"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.CleanBinary()
	os.Exit(code)
}

// both runs f against this product and against prosody, which shows that a
// failure is the server's and not the peer's or the test's.
func both(t *testing.T, f func(t *testing.T, s *server.Server)) {
	for _, kind := range []server.Kind{server.Prosody, server.Parlance} {
		t.Run(string(kind), func(t *testing.T) { f(t, server.Test(t, kind)) })
	}
}

// program runs a peer and demands its steps.
func program(t *testing.T, steps []string, dir string, env []string, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var errout strings.Builder
	cmd.Stderr = &errout
	out, err := cmd.Output()
	judge(t, steps, string(out))
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if t.Failed() {
		t.Logf("output:\n%s\n%s", out, errout.String())
	}
}

// judge compares outcome lines with the steps demanded.
func judge(t *testing.T, steps []string, out string) {
	t.Helper()
	var passed []string
	for _, line := range strings.Split(out, "\n") {
		f := strings.SplitN(strings.TrimSpace(line), " ", 3)
		switch {
		case len(f) >= 2 && f[0] == "ok":
			passed = append(passed, f[1])
			t.Log(strings.TrimSpace(line))
		case f[0] == "FAIL":
			t.Error(strings.TrimSpace(line))
		}
	}
	for _, s := range steps {
		if !slices.Contains(passed, s) {
			t.Errorf("step %s did not pass", s)
		}
	}
}

func need(t *testing.T, path, install string) {
	t.Helper()
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("%s is missing: %s", path, install)
	}
}

func hostPort(t *testing.T, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

var everything = []string{"login-starttls", "login-direct-tls", "presence", "chat", "receipts", "carbons", "mam", "sm-resume"}

func TestPeers_slixmpp(t *testing.T) {
	need(t, "/usr/bin/python3", "apt-get install python3")
	if err := exec.Command("/usr/bin/python3", "-c", "import slixmpp").Run(); err != nil {
		t.Fatal("slixmpp is missing: apt-get install python3-slixmpp")
	}
	both(t, func(t *testing.T, s *server.Server) {
		host, port := hostPort(t, s.C2S)
		_, tls := hostPort(t, s.C2STLS)
		steps := append(slices.Clone(everything), "preferences", "room")
		if s.Kind == server.Parlance { // prosody's default storage has no full text search
			steps = append(steps, "search")
		}
		program(t, steps, ".", nil, "/usr/bin/python3", "slix.py", host, port, tls, server.Domain, server.Password)
	})
}

// TestPeers_slixmppPersonal is nicknames, avatars, bookmarks and nodes of one's own.
func TestPeers_slixmppPersonal(t *testing.T) {
	need(t, "/usr/bin/python3", "apt-get install python3")
	steps := []string{"login", "disco", "nick", "last-item", "avatar", "avatar-in-vcard", "avatar-from-vcard", "bookmarks", "bookmarks-private", "manage"}
	both(t, func(t *testing.T, s *server.Server) {
		host, port := hostPort(t, s.C2S)
		program(t, steps, ".", nil, "/usr/bin/python3", "slix_pep.py", host, port, server.Domain, server.Password)
	})
}

// TestPeers_aioxmpp is what aioxmpp's own end-to-end tests look at, with Debian's
// aioxmpp; interop/aioxmpp tells how those themselves are aimed at the demo.
func TestPeers_aioxmpp(t *testing.T) {
	if err := exec.Command("/usr/bin/python3", "-c", "import aioxmpp").Run(); err != nil {
		t.Fatal("aioxmpp is missing: apt-get install python3-aioxmpp")
	}
	steps := []string{"features", "commands", "blocking", "bookmarks", "in_band_bytes", "room", "publish_options"}
	both(t, func(t *testing.T, s *server.Server) {
		want := steps
		if s.Kind == server.Parlance {
			want = append(slices.Clone(steps), "command_ping")
		}
		host, port := hostPort(t, s.C2S)
		program(t, want, ".", nil, "/usr/bin/python3", "aio.py", host, port, server.Domain, server.Password, string(s.Kind))
	})
}

// XEP-0363 by slixmpp, from discovery to the download by somebody else.
func TestPeers_slixmppUpload(t *testing.T) {
	if err := exec.Command("/usr/bin/python3", "-c", "import slixmpp, aiohttp").Run(); err != nil {
		t.Fatal("slixmpp or aiohttp is missing: apt-get install python3-slixmpp python3-aiohttp")
	}
	s := server.Test(t, server.Parlance)
	host, port := hostPort(t, s.C2S)
	ca := filepath.Join(s.Data(), "ca.pem")
	program(t, []string{"discover", "upload", "share", "archived", "fetch", "too-large"}, ".", []string{"SSL_CERT_FILE=" + ca},
		"/usr/bin/python3", "slix_upload.py", host, port, server.Domain, server.Password, ca)
}

func TestPeers_xmppjs(t *testing.T) {
	need(t, "node", "install Node.js 20 or later")
	need(t, "npm", "install npm")
	if _, err := os.Stat("xmppjs/node_modules/@xmpp/client"); errors.Is(err, os.ErrNotExist) {
		cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund")
		cmd.Dir = "xmppjs"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm ci in interop/peers/xmppjs: %v\n%s", err, out)
		}
	}
	steps := []string{"login-websocket", "presence", "chat", "receipts", "carbons", "mam", "sm-resume"}
	both(t, func(t *testing.T, s *server.Server) {
		_, port := hostPort(t, s.HTTP)
		path := "/ws"
		if s.Kind == server.Prosody {
			path = "/xmpp-websocket"
		}
		// Certificates of servers under test are their own.
		program(t, steps, "xmppjs", []string{"NODE_TLS_REJECT_UNAUTHORIZED=0", "NODE_NO_WARNINGS=1"},
			"node", "--experimental-websocket", "peer.js", "127.0.0.1", port, path, server.Domain, server.Password)
	})
}

func TestPeers_mellium(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "mellium")
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Dir = "mellium"
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build in interop/peers/mellium: %v\n%s", err, out)
	}
	steps := []string{"login-starttls", "login-direct-tls", "presence", "chat", "receipts", "carbons", "mam"}
	both(t, func(t *testing.T, s *server.Server) {
		program(t, steps, ".", nil, bin, s.C2S, s.C2STLS, server.Domain, server.Password)
	})
}
