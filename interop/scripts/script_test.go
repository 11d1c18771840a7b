package scripts

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/interop/server"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.CleanBinary()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

func load(t *testing.T) []*script {
	t.Helper()
	files, err := filepath.Glob("testdata/*.script")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var all []*script
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parse(strings.TrimSuffix(filepath.Base(f), ".script"), string(b))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func TestScripts_prosody(t *testing.T)  { playAll(t, server.Prosody) }
func TestScripts_parlance(t *testing.T) { playAll(t, server.Parlance) }

// playAll gives each script a server of its own, so that no roster, archive or
// offline message of one shows up in another.
func playAll(t *testing.T, kind server.Kind) {
	slots := make(chan struct{}, max(2, runtime.NumCPU()))
	for _, s := range load(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			srv, err := server.Start(context.Background(), server.Options{Kind: kind})
			if err != nil {
				t.Fatal(err)
			}
			defer srv.Finish(t)
			err = s.play(srv)
			why, differs := s.differs[string(kind)]
			switch {
			case differs && err == nil:
				t.Errorf("%s: expected to differ (%s) but did not: remove the line", s.title, why)
			case differs:
				t.Logf("differs as listed: %s (%s)", why, firstLine(err))
			case err != nil:
				t.Errorf("%s (%s): %v", s.title, s.spec, err)
			}
		})
	}
}

func firstLine(err error) string { l, _, _ := strings.Cut(err.Error(), "\n"); return l }
