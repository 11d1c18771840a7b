package faults

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// book gathers what was done and what came of it, one row a test.
type book struct {
	mu   sync.Mutex
	rows []*row // owner: mu
}

var seen = &book{}

// row is one line of the report.
type row struct {
	id, what, test string
	found          []string
	failed         bool
	took           time.Duration
}

// note opens a test's row: the id of HARDENING §8 and what is done to the server.
func note(t *testing.T, id, what string) *row {
	t.Helper()
	r := &row{id: id, what: what, test: t.Name()}
	seen.mu.Lock()
	seen.rows = append(seen.rows, r)
	seen.mu.Unlock()
	began := time.Now()
	t.Cleanup(func() { r.failed, r.took = t.Failed(), time.Since(began) })
	return r
}

// count adds a figure to the row, and shows it.
func (r *row) count(t *testing.T, format string, args ...any) {
	t.Helper()
	r.found = append(r.found, fmt.Sprintf(format, args...))
	t.Logf(format, args...)
}

func (b *book) write(file string, args []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	number := func(id string) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(id, "F")) // ids are F and a number
		return n
	}
	slices.SortStableFunc(b.rows, func(x, y *row) int {
		return cmp.Or(number(x.id)-number(y.id), strings.Compare(x.test, y.test))
	})
	var out strings.Builder
	fmt.Fprintf(&out, `# What faults do to the server

Written by `+"`make faults`"+`: a run of interop/faults, whose tests are the rows of the fault catalogue that apply to what exists.
Each kills, cuts, fills, locks or starves a server that was built as it is shipped, from outside, and lets interop/check judge the whole history: what clients
sent, were told and received against the archive on disk and everybody's archive.

%s, %s/%s with %d processors, %s. Flags: %s (none: the short pass of `+"`make test`"+`).

| row | what was done | what was seen | result | time | test |
|---|---|---|---|---|---|
`, time.Now().Format("2 January 2006"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), cmp.Or(strings.Join(shown(args), " "), "none"))
	for _, r := range b.rows {
		result := "pass"
		if r.failed {
			result = "**FAIL**"
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | `%s` |\n", r.id, r.what, strings.Join(r.found, "; "), result, r.took.Round(time.Second), r.test)
	}
	fmt.Fprintf(&out, "\nOne row again: `make build && PARLANCE_BIN=$PWD/bin/parlance go test ./interop/faults -run 'TestName$' -v FLAGS`; a failure prints the seed that draws the same moments.\n")
	return os.WriteFile(file, []byte(out.String()), 0o644)
}

// shown leaves out what go test adds by itself.
func shown(args []string) (out []string) {
	inner := regexp.MustCompile(`^-test\.(paniconexit0|testlogfile|timeout|count|run|v)|^-report`)
	for _, a := range args {
		if !inner.MatchString(a) {
			out = append(out, a)
		}
	}
	return out
}
