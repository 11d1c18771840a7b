package parlance

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/parlance-im/parlance"

// source is one parsed Go file of this module.
type source struct {
	path  string // from the root, with slashes
	dir   string // "." for the root
	test  bool   // *_test.go, or a package that only tests import
	file  *ast.File
	lines int
}

// tree is the parsed module.
type tree struct {
	fset  *token.FileSet
	files []source
}

var parsed = sync.OnceValues(parse)

// sources gives every Go file of the module, parsed once for all tests.
func sources(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	tr, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return tr.fset, tr.files
}

// parse reads every Go file of the module: no build is needed, so that the
// rules hold for files of every platform and build tag.
func parse() (tree, error) {
	fset := token.NewFileSet()
	var all []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		if d.IsDir() {
			if skipDir(p, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := path.Dir(p)
		all = append(all, source{
			path: p, dir: dir, file: f,
			test:  strings.HasSuffix(p, "_test.go") || testOnly(dir),
			lines: fset.File(f.FileStart).LineCount(),
		})
		return nil
	})
	return tree{fset, all}, err
}

// skipDir leaves out what is not ours or is another module (its go.mod says so).
func skipDir(p, name string) bool {
	if p == "." {
		return false
	}
	if name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") || p == "bin" {
		return true
	}
	_, err := os.Stat(filepath.Join(filepath.FromSlash(p), "go.mod"))
	return err == nil
}

// testOnly packages exist for tests: storetest and the like, interop, and the part of bench that starts servers.
func testOnly(dir string) bool {
	return strings.HasSuffix(dir, "test") || tier(dir) == "interop" || dir == "bench/rig"
}

// tier is the first part of a package's folder.
func tier(dir string) string {
	t, _, _ := strings.Cut(dir, "/")
	return t
}

// imports lists the import paths of a file.
func imports(f *ast.File) []string {
	var list []string
	for _, s := range f.Imports {
		p, err := strconv.Unquote(s.Path.Value)
		if err == nil {
			list = append(list, p)
		}
	}
	return list
}

// outside says whether an import path is neither ours nor the standard library's.
func outside(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return strings.Contains(first, ".") && imp != module && !strings.HasPrefix(imp, module+"/")
}

// allowed reads a file of exceptions: "KEY<space>REASON" a line, # for comments.
// Every exception needs a reason and must still be needed: unused ones fail.
type allowed struct {
	name    string
	reasons map[string]string
	used    map[string]bool
}

func readAllowed(t *testing.T, name string) *allowed {
	t.Helper()
	a := &allowed{name: name, reasons: map[string]string{}, used: map[string]bool{}}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, reason, _ := strings.Cut(line, " ")
		if strings.TrimSpace(reason) == "" {
			t.Errorf("%s: %q has no reason", name, key)
		}
		a.reasons[key] = reason
	}
	return a
}

func (a *allowed) ok(key string) bool {
	if _, listed := a.reasons[key]; !listed {
		return false
	}
	a.used[key] = true
	return true
}

func (a *allowed) reportUnused(t *testing.T) {
	t.Helper()
	for key := range a.reasons {
		if !a.used[key] {
			t.Errorf("%s: %q is no longer needed: remove it", a.name, key)
		}
	}
}
