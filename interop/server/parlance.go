package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// binary builds once per process; built is set if there is something to clean.
var (
	binary = sync.OnceValues(build)
	built  atomic.Pointer[string]
)

// Binary is the parlance binary to test: $PARLANCE_BIN, or one built from the
// checkout this package stands in, once per process.
func Binary() (string, error) { return binary() }

func build() (string, error) {
	if p := os.Getenv("PARLANCE_BIN"); p != "" {
		return filepath.Abs(p)
	}
	dir, err := os.MkdirTemp("", "parlance-bin-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "parlance")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/parlance")
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("server: build: %w\n%s", err, out)
	}
	built.Store(&dir)
	return path, nil
}

// CleanBinary removes what Binary built; for TestMain.
func CleanBinary() {
	if dir := built.Load(); dir != nil {
		_ = os.RemoveAll(*dir)
	}
}

// Root is the root of the checkout: the folder with cmd/parlance, at or above
// the working folder. (A source's own path would not do:
// -trimpath takes it out.)
func Root() string {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "parlance", "main.go")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return "."
}

func (s *Server) parlance(ctx context.Context, o Options) error {
	bin, err := Binary()
	if err != nil {
		return err
	}
	addr := func(old string) string {
		if old != "" {
			return old
		}
		// An address of its own keeps a port free while the server is down: what
		// others dial out from is 127.0.0.1.
		return cmp.Or(o.Host, "127.0.0.1") + ":0"
	}
	args := []string{"demo", "--data", s.Data(), "--domain", Domain,
		"--http", addr(s.HTTP), "--c2s", addr(s.C2S), "--c2s-tls", addr(s.C2STLS)}
	if s.serve.wanted() {
		file, err := s.configure(addr(s.HTTP), addr(s.C2S), addr(s.C2STLS))
		if err != nil {
			return err
		}
		if o.Reuse == nil {
			if err := s.populate(bin, file); err != nil {
				return err
			}
		}
		args = []string{"serve", "--config", file}
	}
	args = append(append(slices.Clone(o.Wrap), bin), append(args, o.Args...)...)
	if err := s.run(args[0], args[1:], o.Env); err != nil {
		return err
	}
	return s.wait(ctx, func() bool {
		for _, line := range strings.Split(s.out.String(), "\n") {
			f := strings.Fields(line)
			if len(f) < 3 || f[0] != "listening" {
				continue
			}
			switch f[1] {
			case "c2s":
				s.C2S = f[2]
			case "c2s-tls":
				s.C2STLS = f[2]
			case "http":
				s.HTTP = f[2]
				s.WebSocket = "wss://" + f[2] + "/ws"
			}
		}
		return s.C2S != "" && s.C2STLS != "" && s.WebSocket != "" && accepts(s.C2S) && accepts(s.HTTP)
	})
}

// wait polls an external process, the one thing that sends no event.
func (s *Server) wait(ctx context.Context, ready func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-s.exited:
			return fmt.Errorf("server: %s ended before it was ready: %v", s.Kind, s.waitErr)
		case <-ctx.Done():
			return errors.New("server: " + string(s.Kind) + " was not ready in time")
		case <-tick.C:
		}
	}
	return nil
}

func accepts(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
