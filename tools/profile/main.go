package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	bin := flag.String("bin", "bin/parlance", "server to profile")
	out := flag.String("out", "", "write the page into this file; else the tables are printed")
	note := flag.String("note", "", "a sentence about this run, for the page")
	watch := flag.Duration("watch", 15*time.Second, "how long to watch")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: profile [flags] COMMAND…\nCOMMAND is a load generator that starts the server in $TMPDIR.")
		flag.PrintDefaults()
	}
	flag.Parse()
	load := flag.Args()
	if len(load) == 0 {
		load = strings.Fields("go run ./bench/rig own -bin " + *bin + " -only chat-5000")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	m, err := measure(ctx, *bin, load, *watch)
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
	text := page(m, strings.Join(load, " "), *note)
	if *out == "" {
		fmt.Print(text)
		return
	}
	if err := os.WriteFile(*out, []byte(text), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
	fmt.Print(m.bench)
}

// page is docs/where-time-goes.md.
func page(m measured, load, note string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Where the time goes\n\nWritten by `make profile` (%s, %s, %d cores, load and server on the same machine) from `parlance profile cpu`\n"+
		"and `parlance profile allocs`, taken while this ran:\n\n    %s\n\n"+
		"%.0f messages in the time watched, %.0f µs of the server's CPU each (its own clock: user and system time). Every sample's stack is sorted by\n"+
		"the verb it serves and by what the processor is busy with; `tools/profile` has the rules. What the collector does in the background serves\n"+
		"no verb, what it makes the path do counts for the verb.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), load, m.messages, 1e6*m.seconds/m.messages)
	if note != "" {
		b.WriteString("\n" + note + "\n")
	}
	table(&b, "CPU by verb", "µs a message", 1e6, m.cpu, m.messages, byVerb)
	table(&b, "CPU by kind", "µs a message", 1e6, m.cpu, m.messages, byKind)
	table(&b, "Allocations by verb", "a message", 1, m.allocs, m.messages, byVerb)
	b.WriteString("\nAllocations count objects, as sampled (one in 512 KiB); what the path may allocate is guarded exactly by the `alloc_test.go` files.\n")
	top(&b, m.cpu)
	return b.String()
}

// table writes a share a line, the largest first.
func table(b *strings.Builder, title, unit string, scale float64, all []sample, messages float64, sort func(sample) string) {
	sum, total := map[string]float64{}, 0.0
	for _, s := range all {
		sum[sort(s)] += s.weight
		total += s.weight
	}
	names := make([]string, 0, len(sum))
	for n := range sum {
		names = append(names, n)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(sum[y], sum[x]), cmp.Compare(x, y)) })
	fmt.Fprintf(b, "\n| %s | share | %s |\n|---|---:|---:|\n", title, unit)
	for _, n := range names {
		fmt.Fprintf(b, "| %s | %.1f %% | %.1f |\n", n, 100*sum[n]/total, scale*sum[n]/messages)
	}
	fmt.Fprintf(b, "| all | 100 %% | %.1f |\n", scale*total/messages)
}

// top lists the functions that are busiest themselves.
func top(b *strings.Builder, all []sample) {
	const most = 15
	sum, total := map[string]float64{}, 0.0
	for _, s := range all {
		sum[s.frames[0]] += s.weight
		total += s.weight
	}
	names := make([]string, 0, len(sum))
	for n := range sum {
		names = append(names, n)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(sum[y], sum[x]), cmp.Compare(x, y)) })
	b.WriteString("\n| busiest functions | share |\n|---|---:|\n")
	for _, n := range names[:min(most, len(names))] {
		fmt.Fprintf(b, "| `%s` | %.1f %% |\n", strings.TrimPrefix(n, own), 100*sum[n]/total)
	}
}
