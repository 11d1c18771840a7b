package faults

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/server"
)

// The defaults are the short pass of `make test`; `make faults` gives the figures
// of HARDENING §8.
var (
	kills   = flag.Int("kills", 20, "how often the server is killed under load (F1)")
	atCalls = flag.Int("atcalls", 6, "how often it is killed at the Nth flush or write (F1)")
	cuts    = flag.Int("cuts", 6, "how often the power is cut (F2)")
	clients = flag.Int("clients", 500, "clients that reconnect at once (F13)")
	waiting = flag.Int("waiting", 3000, "messages that wait for who returns (F11)")
	limited = flag.Duration("limited", 0, "how long the server works with little memory (F8); 0: one round")
	full    = flag.Bool("full", false, "take the full figures of HARDENING §8 where no flag of its own has them")
	seed    = flag.Uint64("seed", 0, "seed of what is drawn by lot; 0 takes one from the clock")
	kind    = flag.String("server", string(server.Parlance), "server under test (F1, F14)")
	report  = flag.String("report", "", "file that the report is written to")
)

// readyWithin is HARDENING F1's three seconds with the factor ten that shared
// machines get (§0); the figure reached is logged.
const readyWithin = 30 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	server.CleanBinary()
	if *report != "" {
		if err := seen.write(*report, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "faults: report:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// lot is the seed of a run; it is printed, and -seed=N draws the same again.
func lot(t *testing.T) uint64 {
	t.Helper()
	n := *seed
	if n == 0 {
		n = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (replay: -run '^%s$' -seed=%d)", n, t.Name(), n)
	return n
}

// scaled is a figure of the short pass, or the full one.
func scaled[T any](short, whole T) T {
	if *full {
		return whole
	}
	return short
}
