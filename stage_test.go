package parlance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stage runs tools/stage in a folder of its own and returns its output's lines and whether it succeeded.
func stage(t *testing.T, dir string, args ...string) (lines []string, ok bool) {
	t.Helper()
	tool, err := filepath.Abs("tools/stage")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return strings.Split(strings.TrimSpace(string(out)), "\n"), err == nil
}

func TestStage_success(t *testing.T) {
	dir := t.TempDir()
	lines, ok := stage(t, dir, "build", "sh", "-c", "echo working; echo more >&2")
	want := []string{"==> stage build", "working", "more", "<== build "}
	if !ok || len(lines) != len(want) {
		t.Fatalf("success %v, output %q", ok, lines)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want[i])
		}
	}
	if !strings.HasSuffix(lines[3], "s ok") {
		t.Errorf("last line %q has no duration", lines[3])
	}
	times, err := os.ReadFile(filepath.Join(dir, "bin/stage/times"))
	if err != nil || !strings.HasPrefix(string(times), "build ") {
		t.Errorf("times: %q, %v", times, err)
	}
}

func TestStage_failureEndsWithTheReason(t *testing.T) {
	tests := []struct{ name, script, reason string }{
		{"a Go test", "echo '--- FAIL: TestX (0.00s)'; echo '    x_test.go:1: no'; echo FAIL; echo 'ok  pkg 1s'; exit 1", "FAILED: s: --- FAIL: TestX (0.00s)"},
		{"a race", "echo 'WARNING: DATA RACE'; echo bye; exit 66", "FAILED: s: WARNING: DATA RACE"},
		{"a tool", "echo 'doing'; echo 'error: no such thing'; exit 2", "FAILED: s: error: no such thing"},
		{"a finding", "echo checking; echo 'a/b.go:3:2: unused'; echo 'make[1]: *** [Makefile:1: lint] Error 1'; exit 2", "FAILED: s: a/b.go:3:2: unused"},
		{"a package that does not build", "echo 'ok  a 1s'; echo 'FAIL\tb [build failed]'; echo FAIL; exit 1", "FAILED: s: FAIL\tb [build failed]"},
		{"the last words", "echo 'doing'; echo 'gave up'; exit 3", "FAILED: s: gave up"},
		{"nothing said", "exit 4", "FAILED: s: exit status 4, no output"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines, ok := stage(t, t.TempDir(), "s", "sh", "-c", tt.script)
			if last := lines[len(lines)-1]; ok || last != tt.reason {
				t.Errorf("success %v, last line %q, want %q", ok, last, tt.reason)
			}
		})
	}
}

// A stage must not hang on a question: it has no standard input.
func TestStage_noStandardInput(t *testing.T) {
	lines, ok := stage(t, t.TempDir(), "s", "sh", "-c", "if read -r x; then echo got; else echo none; fi")
	if !ok || lines[1] != "none" {
		t.Errorf("success %v, output %q", ok, lines)
	}
}
