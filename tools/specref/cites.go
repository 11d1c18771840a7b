package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// cite is one section named in a source file.
type cite struct {
	spec, section string
	file          string
	line          int
}

var (
	citeRE = regexp.MustCompile(`(RFC \d{3,5}|XEP-\d{4})(?: \([^)]*\))?,? (§[A-Z0-9][A-Z0-9.]*[A-Z0-9]|§[A-Z0-9])((?:(?:, | and | or |/|–|-| to )§[A-Z0-9][A-Z0-9.]*)*)`)
	moreRE = regexp.MustCompile(`§([A-Z0-9][A-Z0-9.]*)`)
)

var scanned = []string{".go", ".ts", ".svelte", ".mjs", ".py", ".script", ".sql"}

// findCites reads all sources below root, in the order of their names.
func findCites(root string) ([]cite, error) {
	var all []cite
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != root && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"node_modules", "dist", "bin", "out", "paraglide"}, d.Name())) {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains(scanned, filepath.Ext(p)) || strings.HasPrefix(filepath.ToSlash(p), "tools/specref/") {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		all = append(all, citesIn(filepath.ToSlash(p), b)...)
		return nil
	})
	return all, err
}

func citesIn(file string, text []byte) []cite {
	var all []cite
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Buffer(nil, 16<<20)
	for n := 1; s.Scan(); n++ {
		if !bytes.Contains(s.Bytes(), []byte("§")) {
			continue
		}
		for _, m := range citeRE.FindAllStringSubmatch(s.Text(), -1) {
			for _, sec := range moreRE.FindAllStringSubmatch(m[2]+m[3], -1) {
				all = append(all, cite{spec: m[1], section: strings.TrimRight(sec[1], "."), file: file, line: n})
			}
		}
	}
	return all
}

// writeIndex makes the page section → files. It names no lines, so that it
// goes stale only when a file begins or ceases to cite a section.
func writeIndex(specs specs, cites []cite) []byte {
	var b bytes.Buffer
	b.WriteString("# Where each section of a specification is implemented\n\n")
	b.WriteString("Written by `make generate` from the comments in the sources; don't edit.\n")
	bySpec := map[string]map[string][]string{}
	for _, c := range cites {
		if bySpec[c.spec] == nil {
			bySpec[c.spec] = map[string][]string{}
		}
		files := bySpec[c.spec][c.section]
		if !slices.Contains(files, c.file) {
			bySpec[c.spec][c.section] = append(files, c.file)
		}
	}
	for _, name := range specs.cited(cites) {
		fmt.Fprintf(&b, "\n## %s %s\n\n| section | files |\n|---|---|\n", name, specs.title(name))
		sections := bySpec[name]
		for _, sec := range sortedSections(sections) {
			fmt.Fprintf(&b, "| §%s | %s |\n", sec, strings.Join(sections[sec], ", "))
		}
	}
	return b.Bytes()
}

func sortedSections(m map[string][]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareSections)
	return keys
}

// compareSections orders 4.9 before 4.10 and numbers before appendices.
func compareSections(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		switch {
		case errX == nil && errY == nil && x != y:
			return x - y
		case errX == nil && errY != nil:
			return -1
		case errX != nil && errY == nil:
			return 1
		case as[i] != bs[i]:
			return strings.Compare(as[i], bs[i])
		}
	}
	return len(as) - len(bs)
}
