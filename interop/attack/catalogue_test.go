package attack

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/server"
)

// docs/attacks.md has every row of HARDENING §1–§4 once, and those of §5 that there are tests of, names tests that
// exist, and misses none that carries a row's name here.
func TestCatalogue_isWhole(t *testing.T) {
	root := server.Root()
	text, err := os.ReadFile(filepath.Join(root, "docs", "attacks.md"))
	if err != nil {
		t.Fatal(err)
	}
	exist := testNames(t, root)
	rows := map[string][]string{} // row: patterns of its tests
	quoted := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, " | ")
		id := strings.TrimPrefix(cells[0], "| ")
		if len(cells) < 4 || !regexp.MustCompile(`^[XAIHM]\d+$`).MatchString(id) {
			continue
		}
		if rows[id] != nil {
			t.Errorf("%s is there twice", id)
		}
		rows[id] = []string{}
		for _, q := range quoted.FindAllStringSubmatch(cells[1], -1) {
			if strings.Contains(q[1], "/") {
				if _, err := os.Stat(filepath.Join(root, q[1])); err != nil {
					t.Errorf("%s: %v", id, err)
				}
				continue
			}
			if !anyMatch([]string{q[1]}, exist) {
				t.Errorf("%s names %s, which does not exist", id, q[1])
			}
			rows[id] = append(rows[id], q[1])
		}
		missing := strings.TrimRight(strings.TrimSpace(cells[3]), "|")
		if len(rows[id]) == 0 && len(strings.TrimSpace(missing)) < 10 {
			t.Errorf("%s has no test and no reason", id)
		}
	}
	for _, kind := range []struct {
		letter string
		last   int
	}{{"X", 14}, {"A", 16}, {"I", 10}, {"M", 7}} {
		for i := 1; i <= kind.last; i++ {
			if id := fmt.Sprint(kind.letter, i); rows[id] == nil {
				t.Errorf("%s is not there", id)
			}
		}
	}
	named := regexp.MustCompile(`^Test([XAIHM]\d+)_`)
	for name := range exist {
		if m := named.FindStringSubmatch(name); m != nil && !anyMatch(rows[m[1]], map[string]bool{name: true}) {
			t.Errorf("%s is not in its row", name)
		}
	}
}

// anyMatch says whether one of the patterns matches one of the names.
func anyMatch(patterns []string, names map[string]bool) bool {
	for _, p := range patterns {
		for n := range names {
			if ok, _ := path.Match(p, n); ok {
				return true
			}
		}
	}
	return false
}

// testNames are the tests and fuzz targets of the module.
func testNames(t *testing.T, root string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && p != root) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil || len(names) < 100 {
		t.Fatalf("%d functions: %v", len(names), err)
	}
	return names
}
