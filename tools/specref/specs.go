package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// spec is a line of docs/specs.tsv: name, title, sections. Sections are a list of
//
//	4.9        that section
//	4.9.3.1-25 4.9.3.1 to 4.9.3.25
//	4.3.2.*    anything below 4.3.2
//	max 10     any section whose first number is at most 10, and any appendix
type spec struct {
	name, title, sections string
}

type specs []spec

func readSpecs(file string) (specs, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list specs
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		if s.Text() == "" || strings.HasPrefix(s.Text(), "#") {
			continue
		}
		parts := strings.Split(s.Text(), "\t")
		if len(parts) != 3 {
			return nil, fmt.Errorf("error: %s:%d: want three fields with tabs between", file, n)
		}
		list = append(list, spec{parts[0], parts[1], parts[2]})
	}
	return list, s.Err()
}

func (l specs) find(name string) *spec {
	for i := range l {
		if l[i].name == name {
			return &l[i]
		}
	}
	return nil
}

func (l specs) title(name string) string {
	if s := l.find(name); s != nil {
		return s.title
	}
	return ""
}

// cited lists the specs that are cited, in the file's order.
func (l specs) cited(cites []cite) []string {
	used := map[string]bool{}
	for _, c := range cites {
		used[c.spec] = true
	}
	var names []string
	for _, s := range l {
		if used[s.name] {
			names = append(names, s.name)
		}
	}
	return names
}

// refuse says what is wrong with a citation; "" if nothing is.
func (l specs) refuse(name, section string) string {
	s := l.find(name)
	switch {
	case s == nil:
		return fmt.Sprintf("%s is not in %s", name, specsFile)
	case s.has(section):
		return ""
	}
	return fmt.Sprintf("%s (%s) has no §%s", name, s.title, section)
}

func (s *spec) has(section string) bool {
	if limit, ok := strings.CutPrefix(s.sections, "max "); ok {
		n, err := strconv.Atoi(limit)
		first, err2 := strconv.Atoi(strings.SplitN(section, ".", 2)[0])
		return err == nil && (err2 != nil || first >= 1 && first <= n)
	}
	for item := range strings.FieldsSeq(s.sections) {
		if covers(item, section) {
			return true
		}
	}
	return false
}

func covers(item, section string) bool {
	if below, ok := strings.CutSuffix(item, "*"); ok {
		return strings.HasPrefix(section, below)
	}
	from, to, isRange := strings.Cut(item, "-")
	if !isRange {
		return item == section
	}
	dot := strings.LastIndexByte(from, '.') + 1
	rest, ok := strings.CutPrefix(section, from[:dot])
	if !ok {
		return false
	}
	n, err := strconv.Atoi(rest)
	lo, err1 := strconv.Atoi(from[dot:])
	hi, err2 := strconv.Atoi(to)
	return err == nil && err1 == nil && err2 == nil && lo <= n && n <= hi
}

var (
	commentRE = regexp.MustCompile(`(?s)<!--.*?-->|<!\[CDATA\[.*?\]\]>`)
	sectionRE = regexp.MustCompile(`<section([1-6])[ >]`)
	titleRE   = regexp.MustCompile(`<title>([^<]*)</title>`)
)

// rewriteXEPs renews every XEP line of file from the texts in dir.
func rewriteXEPs(file, dir string) error {
	list, err := readSpecs(file)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var b strings.Builder
	for line := range strings.Lines(string(old)) {
		if strings.HasPrefix(line, "XEP-") {
			continue
		}
		b.WriteString(line)
	}
	for _, s := range list {
		num, ok := strings.CutPrefix(s.name, "XEP-")
		if !ok {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, "xep-"+num+".xml"))
		if err != nil {
			return err
		}
		title, sections := xepSections(string(text))
		fmt.Fprintf(&b, "%s\t%s\t%s\n", s.name, title, sections)
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

// xepSections numbers the sections of a XEP as its rendering does.
func xepSections(text string) (title, sections string) {
	text = commentRE.ReplaceAllString(text, "")
	if m := titleRE.FindStringSubmatch(text); m != nil {
		title = strings.Join(strings.Fields(m[1]), " ")
	}
	var at [7]int
	var all []string
	for _, m := range sectionRE.FindAllStringSubmatch(text, -1) {
		depth, _ := strconv.Atoi(m[1]) // one digit by the expression
		at[depth]++
		clear(at[depth+1:])
		parts := make([]string, depth)
		for i := range parts {
			parts[i] = strconv.Itoa(at[i+1])
		}
		all = append(all, strings.Join(parts, "."))
	}
	return title, strings.Join(shorten(all), " ")
}

// shorten joins neighbours into ranges: 2.1 2.2 2.3 → 2.1-3.
func shorten(list []string) []string {
	slices.SortFunc(list, func(a, b string) int {
		if d := strings.Count(a, ".") - strings.Count(b, "."); d != 0 {
			return d
		}
		return compareSections(a, b)
	})
	var out []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && follows(list[j], list[j+1]) {
			j++
		}
		if j == i {
			out = append(out, list[i])
		} else {
			out = append(out, list[i]+"-"+list[j][strings.LastIndexByte(list[j], '.')+1:])
		}
		i = j + 1
	}
	return out
}

func follows(a, b string) bool {
	i, j := strings.LastIndexByte(a, '.'), strings.LastIndexByte(b, '.')
	if i != j || a[:i+1] != b[:j+1] {
		return false
	}
	x, errX := strconv.Atoi(a[i+1:])
	y, errY := strconv.Atoi(b[j+1:])
	return errX == nil && errY == nil && y == x+1
}
