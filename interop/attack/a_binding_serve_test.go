package attack

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// withoutPlus is a server whose configuration has no -PLUS mechanism, and
// takes logins without TLS on its loopback port.
type withoutPlus struct{ addr, user string }

// longPassword is one that a server which is not the demo takes.
const longPassword = "correct horse battery staple"

// serveWithoutPlus runs it until the test ends.
func serveWithoutPlus(t *testing.T) *withoutPlus {
	t.Helper()
	bin, err := server.Binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "parlance.toml")
	err = os.WriteFile(conf, []byte(`domain = "`+server.Domain+`"
data = "data"
[listen]
c2s = ["127.0.0.1:0"]
c2s_tls = []
https = []
[login]
mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
plaintext = true
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s := &withoutPlus{user: "somebody"}
	add := exec.Command(bin, "user", "add", s.user, "--password-stdin", "--config", conf)
	add.Stdin = strings.NewReader(longPassword + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("user add: %v\n%s", err, out)
	}
	cmd := exec.Command(bin, "serve", "--config", conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var trouble strings.Builder
	cmd.Stderr = &trouble
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("serve: %v\n%s", err, trouble.String())
		}
	})
	lines := bufio.NewScanner(out) // Wait ends it, should the address never come
	for s.addr == "" && lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == "listening" && f[1] == "c2s" {
			s.addr = f[2]
		}
	}
	if s.addr == "" {
		t.Fatalf("serve did not say where: %v", lines.Err())
	}
	return s
}

// open makes a stream that waits for a login, with TLS or without.
func (s *withoutPlus) open(t testing.TB, secure bool) *talker {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	c, err := client.Connect(ctx, s.addr, server.Domain, source())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err = c.OpenStream(); err == nil && secure {
		err = c.StartTLS(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	k := talkerOf(c)
	k.pass = longPassword
	return k
}
