package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"parlance": func() { os.Exit(run()) }})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"await": await, "profile": profile},
		// Sockets need short names, which the test's own folder may not have.
		WorkdirRoot: shortDir(t),
	})
}

// shortDir is a temporary folder with a short name (sockaddr_un holds 107 bytes).
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cmd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// await SOCKET waits until a server answers on its admin socket. It asks a
// process that tells nobody else when it is ready, with a deadline.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await SOCKET")
	}
	path := ts.MkAbs(filepath.FromSlash(args[0]))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		c, err := net.Dial("unix", path)
		if err == nil {
			ts.Check(c.Close())
			return
		}
	}
	ts.Fatalf("no server answers on %s", args[0])
}

// profile FILE SAMPLE wants a pprof file (gzip of a message whose strings are
// readable) with that kind of sample, which only its owner can read.
func profile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: profile FILE SAMPLE")
	}
	st, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if st.Mode().Perm() != 0o600 {
		ts.Fatalf("%s has mode %v", args[0], st.Mode())
	}
	z, err := gzip.NewReader(bytes.NewReader([]byte(ts.ReadFile(args[0]))))
	ts.Check(err)
	text, err := io.ReadAll(z)
	ts.Check(err)
	if !bytes.Contains(text, []byte(args[1])) {
		ts.Fatalf("%s has no %s", args[0], args[1])
	}
}
