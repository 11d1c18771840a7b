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
	watch := flag.Duration("watch", 15*time.Second, "how long to watch messages")
	logins := flag.Duration("logins", 6*time.Second, "how long to watch logins; 0: not at all")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: profile [flags] COMMAND…\nCOMMAND is a load generator that starts the server in $TMPDIR, instead of the bench's chat.")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	text, told, err := run(ctx, *bin, flag.Args(), *note, *watch, *logins)
	if err == nil && *out != "" {
		err = os.WriteFile(*out, []byte(text), 0o644)
		text = told
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
	fmt.Print(text)
}

// run measures both workloads and makes the page; told is what the bench printed.
func run(ctx context.Context, bin string, load []string, note string, watch, logins time.Duration) (text, told string, err error) {
	rig := "go run ./bench/rig own -bin " + bin + " -only "
	if len(load) == 0 {
		load = strings.Fields(rig + "chat-5000")
	}
	m, err := measure(ctx, bin, load, messages(), watch)
	if err != nil {
		return "", "", err
	}
	text, told = page(m, strings.Join(load, " "), note), m.bench
	if logins <= 0 {
		return text, told, nil
	}
	load = strings.Fields(rig + "login-SCRAM-SHA-256")
	if m, err = measure(ctx, bin, load, loginsDone(), logins); err != nil {
		return "", "", err
	}
	return text + loginPage(m, strings.Join(load, " ")), told + m.bench, nil
}

// page is docs/where-time-goes.md but for the logins.
func page(m measured, load, note string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Where the time goes\n\nWritten by `make profile` (%s, %s, %d cores, load and server on the same machine) from `parlance profile cpu`\n"+
		"and `parlance profile allocs`, taken while this ran:\n\n    %s\n\n"+
		"%.0f messages in the time watched, %.0f µs of the server's CPU each (its own clock: user and system time). Every sample's stack is sorted by\n"+
		"the verb it serves and by what the processor is busy with; `tools/profile` has the rules. What the collector does in the background serves\n"+
		"no verb, what it makes the path do counts for the verb.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), load, m.units, 1e6*m.seconds/m.units)
	if note != "" {
		b.WriteString("\n" + note + "\n")
	}
	table(&b, "CPU by verb", "µs a message", 1e6, m.cpu, m.units, byVerb)
	table(&b, "CPU by kind", "µs a message", 1e6, m.cpu, m.units, byKind)
	table(&b, "Allocations by verb", "a message", 1, m.allocs, m.units, byVerb)
	b.WriteString("\nAllocations count objects, as sampled (one in 512 KiB); what the path may allocate is guarded exactly by the `alloc_test.go` files.\n")
	top(&b, m.cpu)
	return b.String()
}

// loginPage is the part about logins.
func loginPage(m measured, load string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## Logging in\n\nThe same for logins from the beginning: connection, full TLS 1.3 handshake (X25519MLKEM768, ECDSA P-256), SCRAM-SHA-256, resource, stream\n"+
		"management, and the end of it all, while this ran:\n\n    %s\n\n"+
		"%.0f logins in the time watched, %.0f µs of the server's CPU each. \"Handshake\" is all that crypto/tls does for one; \"cryptography\" is the\n"+
		"arithmetic alone, whoever asks for it, without the memory and the system calls around it.\n", load, m.units, 1e6*m.seconds/m.units)
	table(&b, "CPU by step", "µs a login", 1e6, m.cpu, m.units, byStep)
	table(&b, "CPU by kind", "µs a login", 1e6, m.cpu, m.units, byLoginKind)
	table(&b, "Allocations by step", "a login", 1, m.allocs, m.units, byStep)
	return b.String()
}

// table writes a share a line, the largest first.
func table(b *strings.Builder, title, unit string, scale float64, all []sample, units float64, sort func(sample) string) {
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
		fmt.Fprintf(b, "| %s | %.1f %% | %.1f |\n", n, 100*sum[n]/total, scale*sum[n]/units)
	}
	fmt.Fprintf(b, "| all | 100 %% | %.1f |\n", scale*total/units)
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
