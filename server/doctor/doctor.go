package doctor

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/parlance-im/parlance/im/file"
	"github.com/parlance-im/parlance/server"
)

// State is how well a thing is.
type State int

// The states, from good to bad. Only Bad makes the command fail.
const (
	Good State = iota
	Warn
	Bad
)

func (s State) String() string { return [...]string{"ok", "warn", "BAD"}[s] }

// Finding is one line of the table.
type Finding struct {
	Check string // what was looked at
	State State
	Found string
	Do    string // what to do; empty if nothing
}

// World is what the checks ask the machine and the network; tests bring their own.
type World struct {
	Now          func() time.Time
	LookupSRV    func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupHost   func(ctx context.Context, host string) ([]string, error)
	OpenFiles    func() (uint64, error)                           // the hard limit
	Disk         func(dir string) (free, total uint64, err error) // bytes
	Synchronised func() (bool, error)                             // is the clock kept by time synchronisation?
	Probe        func(ctx context.Context, bucket *file.S3) error // writes, reads and removes an object
	Timeout      time.Duration                                    // of each question to the network
	Archive      bool                                             // read the whole archive, too
}

// Real is this machine.
func Real() World {
	r := net.DefaultResolver
	return World{
		Now: time.Now, LookupSRV: r.LookupSRV, LookupHost: r.LookupHost,
		OpenFiles: openFiles, Disk: server.Space, Synchronised: synchronised, Probe: file.Probe,
		Timeout: 4 * time.Second,
	}
}

// exam is one run of all checks.
type exam struct {
	World
	cfg      *server.Config
	running  bool // a server answers on the admin socket
	findings []Finding
}

// Examine runs every check. file is the configuration's name, "" if there is none.
func Examine(ctx context.Context, w World, file string) []Finding {
	e := &exam{World: w}
	if !e.config(file) {
		return e.findings
	}
	e.running = answers(e.cfg.AdminSocket())
	e.certificate()
	e.dns(ctx)
	e.listeners()
	e.data()
	e.storage(ctx)
	e.files(ctx)
	if e.Archive {
		e.archive(ctx)
	}
	e.limits()
	e.clock()
	return e.findings
}

func (e *exam) add(check string, s State, do, format string, args ...any) {
	e.findings = append(e.findings, Finding{check, s, fmt.Sprintf(format, args...), do})
}

// config loads the file; without a configuration there is nothing to examine.
func (e *exam) config(file string) bool {
	cfg, err := server.Load(file)
	if err != nil {
		e.add("config", Bad, "correct the file; parlance config example shows every key", "%v", err)
		return false
	}
	e.cfg = cfg
	if file == "" {
		e.add("config", Good, "", "no file given: the defaults, for the domain %q", cfg.Domain)
	} else {
		e.add("config", Good, "", "%s has no problems", file)
	}
	return true
}

// answers says whether something listens on a unix socket.
func answers(socket string) bool {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// Worst is the worst state among the findings.
func Worst(f []Finding) State {
	worst := Good
	for _, x := range f {
		worst = max(worst, x.State)
	}
	return worst
}

// Write prints the table.
func Write(w io.Writer, findings []Finding) error {
	count := map[State]int{}
	for _, f := range findings {
		count[f.State]++
		if _, err := fmt.Fprintf(w, "%-4s  %-11s  %s\n", f.State, f.Check, indent(f.Found)); err != nil {
			return err
		}
		if f.Do == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%19s→ %s\n", "", indent(f.Do)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%d ok, %d to look at, %d bad\n", count[Good], count[Warn], count[Bad])
	return err
}

// indent keeps further lines in the table's last column.
func indent(s string) string {
	var b []byte
	for _, c := range []byte(s) {
		b = append(b, c)
		if c == '\n' {
			b = append(b, "                   "...)
		}
	}
	return string(b)
}
