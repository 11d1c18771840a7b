package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parlance-im/parlance/edge"
)

// liveServer is a reloader with what it acts on, and its configuration file.
func liveServer(t *testing.T) (*reloader, string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "parlance.toml")
	text := "domain = 'acme.test'\n[tls]\ncert = 'cert.pem'\nkey = 'key.pem'\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := makeCertificate(dir, "acme.test", time.Now()); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certificate(cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := edge.NewKeys(cert)
	if err != nil {
		t.Fatal(err)
	}
	return &reloader{path: file, running: cfg, keys: keys, level: new(slog.LevelVar), log: slog.New(slog.DiscardHandler)}, file
}

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(b, text...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// renew puts another certificate under the same names.
func renew(t *testing.T, file string) {
	t.Helper()
	for _, name := range []string{authorityFile, certFile, keyFile} {
		if err := os.Remove(filepath.Join(filepath.Dir(file), name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := makeCertificate(filepath.Dir(file), "acme.test", time.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestReloader_appliesLevelAndRenewedCertificate(t *testing.T) {
	r, file := liveServer(t)
	before := r.keys.Leaf()
	renew(t, file)
	appendTo(t, file, "[log]\nlevel = 'debug'\n")
	changed, err := r.apply()
	if err != nil || !cmp.Equal(changed, []string{"log.level"}) {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if r.level.Level() != slog.LevelDebug {
		t.Errorf("the level is %v", r.level.Level())
	}
	if r.keys.Leaf().Equal(before) {
		t.Error("the old certificate is still shown")
	}
}

func TestReloader_refusesWhole(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, file string)
		want  string
	}{
		{"a key that needs a restart", func(t *testing.T, f string) { appendTo(t, f, "[listen]\nc2s = ['127.0.0.1:0']\n") }, "restart is needed for listen.c2s"},
		{"an unknown key", func(t *testing.T, f string) { appendTo(t, f, "chain = 'x'\n") }, "unknown key"},
		{"a certificate that is no certificate", func(t *testing.T, f string) {
			if err := os.WriteFile(filepath.Join(filepath.Dir(f), certFile), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, file := liveServer(t)
			running, leaf := r.running, r.keys.Leaf()
			renew(t, file)
			tt.spoil(t, file)
			appendTo(t, file, "[log]\nlevel = 'debug'\n")
			_, err := r.apply()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			if r.running != running || !r.keys.Leaf().Equal(leaf) || r.level.Level() != slog.LevelInfo {
				t.Error("something was changed all the same")
			}
		})
	}
}

func TestReloader_actsOnEachSignal(t *testing.T) {
	r, file := liveServer(t)
	lines := &lineLog{got: make(chan string, 8)}
	r.log = slog.New(slog.NewTextHandler(lines, nil))
	ctx, cancel := context.WithCancel(t.Context())
	signals := make(chan os.Signal)
	var done sync.WaitGroup
	done.Go(func() { r.run(ctx, signals) })

	signals <- syscall.SIGHUP
	if l := <-lines.got; !strings.Contains(l, "msg=reloaded") {
		t.Errorf("logged %q", l)
	}
	appendTo(t, file, "nonsense")
	signals <- syscall.SIGHUP
	if l := <-lines.got; !strings.Contains(l, "reload refused") {
		t.Errorf("logged %q", l)
	}
	cancel()
	done.Wait()
}

// lineLog hands on each line of a log.
type lineLog struct{ got chan string }

func (l *lineLog) Write(b []byte) (int, error) {
	l.got <- string(bytes.TrimSpace(b))
	return len(b), nil
}

func TestRun_reloadsWhenTold(t *testing.T) {
	cfg := Default()
	cfg.Data = t.TempDir()
	cfg.Listen = Listen{C2S: []string{"127.0.0.1:0"}}
	lines := &lineLog{got: make(chan string, 64)}
	signals := make(chan os.Signal)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, cfg, Options{Out: io.Discard, Log: slog.New(slog.NewTextHandler(lines, nil)), Reload: signals})
	}()
	select {
	case signals <- syscall.SIGHUP:
	case err := <-ended:
		t.Fatalf("the server ended: %v", err)
	}
	for !strings.Contains(<-lines.got, "msg=reloaded") {
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
