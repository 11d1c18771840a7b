package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/parlance-im/parlance/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rig:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("own or peers")
	}
	l := &lab{ctx: ctx, progress: bench.NewProgress(os.Stderr, os.Stderr)}
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	f.StringVar(&l.bin, "bin", "bin/parlance", "binary under test")
	f.StringVar(&l.out, "out", "", "write the tables into this folder too")
	f.StringVar(&l.only, "only", "", "measure only what is named so (see the table's first words), separated by commas")
	f.Float64Var(&l.scale, "scale", 1, "scale of sessions, rates and counts: 0.1 for a quick look")
	f.StringVar(&l.note, "note", "", "a remark for the tables, such as what else the machine did")
	servers := f.String("peers", "parlance ejabberd-sqlite ejabberd-postgresql ejabberd-off prosody-sqlite prosody-off", "servers to measure, in turn (peers)")
	rate := f.Int("rate", 200, "messages a second of the chat (peers)")
	switch args[0] {
	case "own":
		if err := f.Parse(args[1:]); err != nil {
			return err
		}
		return l.own()
	case "peers":
		if err := f.Parse(args[1:]); err != nil {
			return err
		}
		return l.peers(*servers, *rate)
	default:
		return fmt.Errorf("%q: own or peers", args[0])
	}
}

// lab is one series of measurements.
type lab struct {
	ctx      context.Context
	bin, out string
	note     string
	only     string
	scale    float64
	progress *bench.Progress
	rows     []row
	figures  map[string]*bench.Result
}

// row is a line of a table.
type row struct{ what, bar, figure string }

func (l *lab) row(what, bar, format string, args ...any) {
	r := row{what, bar, fmt.Sprintf(format, args...)}
	l.rows = append(l.rows, r)
	fmt.Printf("| %s | %s | %s |\n", r.what, r.bar, r.figure)
}

// size scales a number, not below low.
func (l *lab) size(n, low int) int { return max(low, int(float64(n)*l.scale)) }

// run measures one workload.
func (l *lab) run(name string, o bench.Options) (*bench.Result, error) {
	return measure(l.ctx, name, o)
}

func measure(ctx context.Context, name string, o bench.Options) (*bench.Result, error) {
	for _, w := range bench.Workloads() {
		if w.Name == name {
			return bench.Run(ctx, w, o)
		}
	}
	return nil, fmt.Errorf("no workload %s", name)
}
