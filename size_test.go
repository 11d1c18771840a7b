package parlance

import (
	"bytes"
	"fmt"
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxFile     = 800 // lines; aim 300
	maxFunction = 100 // lines; aim 40
	maxMethods  = 25
	maxWebFile  = 400
)

func TestSize_go(t *testing.T) {
	fset, files := sources(t)
	allow := readAllowed(t, "tools/size.allow")
	methods := map[string]int{}
	for _, s := range files {
		if s.lines > maxFile && !allow.ok(s.path) {
			t.Errorf("%s has %d lines, at most %d", s.path, s.lines, maxFile)
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if r := receiver(f); r != "" && !s.test {
				methods[s.dir+"."+r]++
			}
			lines := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1
			key := fmt.Sprintf("%s:%s", s.path, f.Name.Name)
			if lines > maxFunction && !s.test && !allow.ok(key) {
				t.Errorf("%s has %d lines, at most %d", key, lines, maxFunction)
			}
		}
	}
	for name, n := range methods {
		if n > maxMethods && !allow.ok(name) {
			t.Errorf("%s has %d methods, at most %d", name, n, maxMethods)
		}
	}
	webSize(t, allow)
	allow.reportUnused(t)
}

func webSize(t *testing.T, allow *allowed) {
	t.Helper()
	err := filepath.WalkDir("web", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		if d.IsDir() {
			if slices.Contains([]string{"node_modules", "dist", "paraglide", "screenshots", "testdata"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".ts", ".svelte", ".css", ".mjs", ".js"}, filepath.Ext(p)) {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if n := bytes.Count(b, []byte("\n")); n > maxWebFile && !allow.ok(p) {
			t.Errorf("%s has %d lines, at most %d", p, n, maxWebFile)
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// docParts: what each package's doc.go must speak of, and the words that show it does.
var docParts = []struct {
	what  string
	words *regexp.Regexp
}{
	{"the specs it implements, or that there are none", regexp.MustCompile(`\brfc \d|\bxep-\d|\bspec`)},
	{"the tables it owns", regexp.MustCompile(`\btables?\b`)},
	{"the goroutines it starts and who stops them", regexp.MustCompile(`\bgoroutines?\b`)},
	// The vocabulary holds no state at all: there "no goroutines" says it.
	{"its locks", regexp.MustCompile(`\block|no goroutines, sockets or tables`)},
	{"who calls it", regexp.MustCompile(`\bcall(s|ed|ers?)?\b|\bused by\b|\buses it\b`)},
	{"what it does not do", regexp.MustCompile(`\bnot\b|n't\b|\bnever\b|nothing\b|\bno (opinion|rules|sockets?)\b|\b(keeps|knows|prints) no\b`)},
}

func TestDoc_everyPackageHasADocGo(t *testing.T) {
	_, files := sources(t)
	packages := map[string]bool{}
	docs := map[string]string{}
	for _, s := range files {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		packages[s.dir] = true
		if strings.HasSuffix("/"+s.path, "/doc.go") && s.file.Doc != nil {
			docs[s.dir] = strings.ToLower(strings.Join(strings.Fields(s.file.Doc.Text()), " "))
		}
	}
	for dir := range packages {
		doc, ok := docs[dir]
		if !ok {
			t.Errorf("%s has no doc.go with a package comment", dir)
			continue
		}
		for _, part := range docParts {
			if !part.words.MatchString(doc) {
				t.Errorf("%s/doc.go does not say %s (words that show it: %s)", dir, part.what, part.words)
			}
		}
	}
}
