package attack

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

var reportFile = flag.String("report", "", "file for the table of what was measured")

// report gathers what tests measured against numbers of the catalogue.
var report struct {
	sync.Mutex
	lines []string // owner: Mutex
}

// measured adds a line: the row, what was done, what came out, the bar.
func measured(row, what, got, bar string) {
	report.Lock()
	defer report.Unlock()
	report.lines = append(report.lines, fmt.Sprintf("| %s | %s | %s | %s |", row, what, got, bar))
}

// writeReport prints the table of a -full run, and writes it where -report says.
func writeReport() error {
	report.Lock()
	defer report.Unlock()
	if len(report.lines) == 0 || !*full && *reportFile == "" {
		return nil
	}
	slices.Sort(report.lines)
	text := "| row | attack | measured | bar |\n|---|---|---|---|\n" + strings.Join(report.lines, "\n") + "\n"
	fmt.Print(text)
	if *reportFile == "" {
		return nil
	}
	return os.WriteFile(*reportFile, []byte(text), 0o644)
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// health is a canary's report in a few words.
func (r Report) health() string {
	return fmt.Sprintf("CANARY: %d messages, p99 %d ms; %d logins, p99 %d ms; %d errors",
		r.Messages, r.P99.Milliseconds(), r.Logins, r.LoginP99.Milliseconds(), len(r.Errors))
}
