package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// sample is one stack of a profile, leaf first, and what it weighs: seconds, or objects.
type sample struct {
	weight float64
	frames []string
}

// parseTraces reads what `go tool pprof -traces` prints: blocks between rules, the
// weight before the first function.
func parseTraces(r io.Reader) ([]sample, error) {
	var out []sample
	var cur *sample
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "-----------+") {
			out = append(out, sample{})
			cur = &out[len(out)-1]
			continue
		}
		text := strings.TrimSuffix(strings.TrimSpace(line), " (inline)")
		if cur == nil || text == "" {
			continue // the head, which says file and time
		}
		if len(cur.frames) > 0 {
			cur.frames = append(cur.frames, text)
			continue
		}
		number, name, ok := strings.Cut(text, " ")
		if !ok || strings.HasSuffix(number, ":") {
			continue // a label of the sample (bytes: 64)
		}
		w, err := weight(number)
		if err != nil {
			return nil, fmt.Errorf("profile: %q: %w", line, err)
		}
		cur.weight, cur.frames = w, []string{strings.TrimSpace(name)}
	}
	full := out[:0]
	for _, s := range out {
		if len(s.frames) > 0 {
			full = append(full, s)
		}
	}
	return full, lines.Err()
}

// weight reads "10ms", "1.52s", "2.10mins" or a bare number.
func weight(text string) (float64, error) {
	for _, u := range []struct {
		suffix string
		times  float64
	}{{"mins", 60}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"s", 1}, {"", 1}} {
		if n, ok := strings.CutSuffix(text, u.suffix); ok {
			v, err := strconv.ParseFloat(n, 64)
			return v * u.times, err
		}
	}
	return 0, strconv.ErrSyntax
}

// rule names what a stack belongs to if one of its functions contains one of the texts.
type rule struct {
	name  string
	texts []string
}

// own is how our packages begin.
const own = "github.com/parlance-im/parlance/"

// runtimeRules come first: what the runtime does for everybody.
func runtimeRules() []rule {
	return []rule{
		{"garbage collector", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge",
			"runtime.gcStart", "runtime.gcMarkTermination", "runtime.gcDrain", "runtime.deductSweepCredit"}},
		{"scheduler", []string{"runtime.schedule", "runtime.findRunnable", "runtime.mstart", "runtime.mcall", "runtime.park_m",
			"runtime.goschedImpl", "runtime.sysmon", "runtime.goready", "runtime.wakep", "runtime.ready"}},
	}
}

// verbRules sort by the six verbs. The first that matches any function of the
// stack holds, so that what is called from several places stands behind them.
func verbRules() []rule {
	return []rule{
		{"write", []string{own + "edge/c2s.(*outlet)"}},
		{"ledger (waiting rows)", []string{own + "im/archive.(*Ledger)"}},
		{"commit", []string{own + "im/deliver.(*Path).keep", own + "im/deliver.(*Path).runLog", own + "im/deliver.(*Path).commit",
			own + "im/deliver.(*Inlet).Flush", own + "im/archive.", own + "store."}},
		{"fanout", []string{own + "im/deliver.(*Path).runFan", own + "im/deliver.(*Path).fanout", own + "im/route.(*Table).Message"}},
		{"plan", []string{own + "im/deliver.plan", own + "im/deliver.(*Path).snapshot", own + "im/deliver.(*Path).exists"}},
		{"judge", []string{own + "im/deliver.(*Path).judge", own + "im/block."}},
		{"accept (build the stanza)", []string{own + "im/deliver."}},
		{"accept (read, decrypt, scan)", []string{own + "edge", own + "xmpp/"}},
		{"login", []string{own + "im/account."}},
	}
}

// kindRules sort by what the processor is busy with: the first function from
// the leaf up that a rule knows.
func kindRules() []rule {
	return []rule{
		{"SQLite", []string{"modernc.org/"}},
		{"TLS and hashes", []string{"crypto/", "vendor/golang.org/x/crypto", "golang.org/x/crypto"}},
		{"our own code", []string{own}},
		{"network", []string{"net.", "internal/poll."}},
	}
}

// byVerb says which verb a stack serves.
func byVerb(s sample) string {
	if name, ok := anywhere(s, verbRules()); ok {
		return name
	}
	if name, ok := anywhere(s, runtimeRules()); ok {
		return name
	}
	return "other"
}

// byKind says what the processor did.
func byKind(s sample) string {
	rules := runtimeRules()
	if name, ok := anywhere(s, rules[:1]); ok {
		return name
	}
	if inSyscall(s) {
		switch name, _ := nearest(s, kindRules()); name {
		case "SQLite":
			return "system calls: disk"
		case "":
		default:
			return "system calls: network"
		}
	}
	for _, f := range s.frames {
		if strings.HasPrefix(f, "runtime.mallocgc") || strings.HasPrefix(f, "runtime.newobject") || strings.HasPrefix(f, "runtime.growslice") {
			return "allocation"
		}
	}
	if name, ok := anywhere(s, rules[1:]); ok {
		return name
	}
	if name, ok := nearest(s, kindRules()); ok {
		return name
	}
	return "other"
}

func inSyscall(s sample) bool {
	for _, f := range s.frames[:min(3, len(s.frames))] {
		if strings.HasPrefix(f, "internal/runtime/syscall.") || strings.HasPrefix(f, "syscall.") || strings.HasPrefix(f, "golang.org/x/sys/unix.") {
			return true
		}
	}
	return false
}

func anywhere(s sample, rules []rule) (string, bool) {
	for _, r := range rules {
		for _, f := range s.frames {
			if has(f, r) {
				return r.name, true
			}
		}
	}
	return "", false
}

func nearest(s sample, rules []rule) (string, bool) {
	for _, f := range s.frames {
		for _, r := range rules {
			if has(f, r) {
				return r.name, true
			}
		}
	}
	return "", false
}

func has(f string, r rule) bool {
	for _, t := range r.texts {
		if strings.HasPrefix(f, t) {
			return true
		}
	}
	return false
}
