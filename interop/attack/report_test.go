package attack

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
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
	before, err := os.ReadFile(*reportFile)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	// What the document says by hand stays.
	head, _, _ := strings.Cut(string(before), reportHead)
	return os.WriteFile(*reportFile, []byte(strings.TrimRight(head, "\n")+"\n"+reportHead+time.Now().UTC().Format("2 January 2006")+fmt.Sprintf(", %s/%s with %d processors, %s, %s in all.\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), time.Since(began).Round(time.Second))+text), 0o644)
}

// reportHead is where what was measured begins.
const reportHead = "\n## What a run measured\n\n`make attack` writes this section. "

var began = time.Now()

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// health is a canary's report in a few words.
func (r Report) health() string {
	return fmt.Sprintf("CANARY: %d messages, p99 %d ms; %d logins, p99 %d ms; %d errors",
		r.Messages, r.P99.Milliseconds(), r.Logins, r.LoginP99.Milliseconds(), len(r.Errors))
}
