package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/parlance-im/parlance/bench"
)

// kinds are the servers that can be measured side by side.
func (l *lab) kinds() []kind {
	return []kind{
		{"parlance", func(p People) (*Server, error) { return parlance(l.ctx, l.bin, p) }},
		{"ejabberd-sqlite", func(p People) (*Server, error) { return ejabberd(l.ctx, p, "SQLite") }},
		{"ejabberd-postgresql", func(p People) (*Server, error) { return ejabberd(l.ctx, p, "PostgreSQL") }},
		{"ejabberd-off", func(p People) (*Server, error) { return ejabberd(l.ctx, p, "") }},
		{"prosody-sqlite", func(p People) (*Server, error) { return prosody(l.ctx, p, "SQLite") }},
		{"prosody-internal", func(p People) (*Server, error) { return prosody(l.ctx, p, "internal") }},
		{"prosody-off", func(p People) (*Server, error) { return prosody(l.ctx, p, "") }},
	}
}

type kind struct {
	name  string
	start func(p People) (*Server, error)
}

// column is what one server did.
type column struct {
	name, title string
	cells       map[string]cell
}

// cell is one figure; value 0 has no ratio.
type cell struct {
	text  string
	value float64
}

// sizes are how much each part of a comparison does.
type sizes struct {
	rate, chatters, rooms, idle, storm, logins, fill, pages int
}

// roomRate is how many messages a second a room gets: with 500 people 2,000 deliveries.
const roomRate = 4

// window is how many messages are under way in each pair of the closed loop.
const window = 8

func (l *lab) sizes(rate int) sizes {
	return sizes{
		rate: l.size(rate, 10), chatters: l.size(100, 4), rooms: l.size(500, 4), idle: l.size(5000, 60), storm: l.size(2000, 40),
		logins: l.size(1000, 20), fill: l.size(4000, 200), pages: l.size(400, 20),
	}
}

// rows are the lines of the table, in order; less is better unless more says so.
func (z sizes) rows() []peerRow {
	f := fmt.Sprintf
	return []peerRow{
		{"idle", f("idle session with roster (20 contacts) and presence, %d of them: RSS", z.idle), false},
		{"chat", f("chat at %d/s, %d sessions: server CPU per message", z.rate, z.chatters), false},
		{"chat-latency", "— due → received, p50 / p99", false},
		{"closed", f("chat, closed loop, %d sessions, %d under way in each pair: messages/s", z.chatters, window), true},
		{"closed-cpu", "— server CPU per message", false},
		{"come", f("presence storm %d × 20, coming: server CPU per presence received", z.storm), false},
		{"go", "— going: server CPU per presence received", false},
		{"login", "login with SCRAM-SHA-1, 4096 rounds, TLS handshake: logins/s", true},
		{"login-cpu", "— server CPU per login", false},
		{"page", "archive page of 50: server CPU", false},
		{"page-latency", "— latency p50 / p99", false},
		{"join", f("room, %d people join: server CPU per presence", z.rooms), false},
		{"room", f("room of %d occupants, %d messages/s: server CPU per delivery", z.rooms, roomRate), false},
		{"faults", "lost / doubled / reordered, all but the storm", false},
	}
}

type peerRow struct {
	key, what string
	more      bool
}

// peers measures servers in turn with the same workloads and writes PEERS.md.
func (l *lab) peers(which string, rate int) error {
	var cols []column
	z := l.sizes(rate)
	for _, name := range strings.FieldsFunc(which, func(r rune) bool { return r == ' ' || r == ',' }) {
		i := slices.IndexFunc(l.kinds(), func(k kind) bool { return k.name == name })
		if i < 0 {
			return fmt.Errorf("no server %q", name)
		}
		began := time.Now()
		c, err := l.peer(l.kinds()[i], z)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf("%s: measured in %.0f s\n", c.title, time.Since(began).Seconds())
		cols = append(cols, c)
	}
	page := peerPage(cols, z, l.note)
	fmt.Print(page)
	if l.out == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(l.out, "PEERS.md"), []byte(page), 0o644)
}

// peer measures one server. What it fails at is told in the table, not an end to it all.
func (l *lab) peer(k kind, z sizes) (column, error) {
	p := People{N: max(z.idle, z.storm), Contacts: 20}
	if !l.wants("idle", "") && !l.wants("presence", "") { // no rosters are needed
		p = People{N: max(z.rooms, z.chatters, z.logins)}
	}
	s, err := k.start(p)
	if err != nil {
		return column{}, err
	}
	c := column{name: k.name, cells: map[string]cell{}}
	c.title = s.Kind + " " + s.Version + ", "
	if s.Archive == "" {
		c.title += "no archive"
	} else {
		c.title += "archive in " + s.Archive
	}
	t := trial{lab: l, s: s, c: &c}
	for _, part := range []struct {
		name string
		do   func(sizes)
	}{{"idle", t.idle}, // first: nothing before has grown the server
		{"chat", t.chat}, {"login", t.login}, {"room", t.room}, {"presence", t.presence}, {"archive", t.page}} {
		if l.wants(part.name, "") && (part.name != "archive" || s.Archive != "") {
			part.do(z)
		}
	}
	c.cells["faults"] = cell{text: fmt.Sprintf("%d / %d / %d", t.lost, t.doubled, t.reordered)}
	return c, s.Stop()
}

// trial is one server under way.
type trial struct {
	lab                      *lab
	s                        *Server
	c                        *column
	lost, doubled, reordered int64
}

// run measures a workload; nil if it failed, and then the cells say why.
func (t *trial) run(work string, o bench.Options, keys ...string) *bench.Result {
	ctx, cancel := context.WithTimeout(t.lab.ctx, 5*time.Minute)
	defer cancel()
	part := *t.lab
	part.ctx = ctx
	fmt.Fprintf(os.Stderr, "%s: %s\n", t.c.name, work)
	r, err := part.run(work, merge(t.s.options(t.lab.progress), o))
	if err == nil {
		t.lost, t.doubled, t.reordered = t.lost+r.Lost, t.doubled+r.Doubled, t.reordered+r.Reordered
		_ = r.Table(os.Stderr) // for whoever watches
		return r
	}
	why := "failed: " + strings.SplitN(err.Error(), "\n", 2)[0]
	if bench.NotOffered(err) {
		why = "not offered"
	}
	fmt.Fprintln(os.Stderr, err)
	for _, k := range keys {
		t.c.cells[k] = cell{text: why}
	}
	return nil
}

func (t *trial) set(key string, value float64, format string, args ...any) {
	t.c.cells[key] = cell{fmt.Sprintf(format, args...), value}
}

func (t *trial) chat(z sizes) {
	if r := t.run("chat", bench.Options{Sessions: z.chatters, Rate: z.rate, Length: t.length(10)}, "chat", "chat-latency"); r != nil {
		t.set("chat", r.CPUms, "%.0f µs", r.CPUms)
		if r.Latency != nil {
			t.set("chat-latency", r.Latency.P50, "%.1f / %.1f ms", r.Latency.P50, r.Latency.P99)
		}
	}
	if r := t.run("chat", bench.Options{Sessions: z.chatters, Window: window, Count: 100_000, Length: t.length(10)}, "closed", "closed-cpu"); r != nil {
		t.set("closed", r.PerSecond, "%.0f/s", r.PerSecond)
		t.set("closed-cpu", r.CPUms, "%.0f µs", r.CPUms)
	}
}

func (t *trial) login(z sizes) {
	if r := t.run("login", bench.Options{Sessions: min(100, z.logins), Mechanism: "SCRAM-SHA-1", Count: z.logins, Length: 20 * time.Second}, "login", "login-cpu"); r != nil {
		t.set("login", r.PerSecond, "%.0f/s", r.PerSecond)
		t.set("login-cpu", r.CPUms, "%.2f ms", r.CPUms/1000)
	}
}

func (t *trial) room(z sizes) {
	if r := t.run("room", bench.Options{Sessions: z.rooms, Rate: roomRate, Length: t.length(20)}, "room", "join"); r != nil {
		t.set("room", r.CPUms, "%.0f µs", r.CPUms)
		presences := float64(z.rooms) * float64(z.rooms) // each sees those before them, and is seen by them
		t.set("join", r.Steps[0].CPUms*float64(r.Steps[0].Units)/presences, "%.1f µs", r.Steps[0].CPUms*float64(r.Steps[0].Units)/presences)
	}
}

// length is so many seconds, fewer when all is scaled down.
func (t *trial) length(seconds int) time.Duration {
	return time.Duration(max(.1, min(1, t.lab.scale)) * float64(seconds) * float64(time.Second))
}

func (t *trial) presence(z sizes) {
	r := t.run("presence", bench.Options{Sessions: z.storm, Workers: 32}, "come", "go")
	if r == nil {
		return
	}
	for _, st := range r.Steps {
		if st.Name == "come" || st.Name == "go" {
			t.set(st.Name, st.CPUms, "%.0f µs", st.CPUms)
		}
	}
	// Who goes at the same moment as a contact, or comes, may be told twice or not: no fault.
	t.lost, t.doubled = t.lost-r.Lost, t.doubled-r.Doubled
}

func (t *trial) idle(z sizes) {
	if r := t.run("idle", bench.Options{Sessions: z.idle, Length: t.length(5)}, "idle"); r != nil {
		t.set("idle", r.RSSSession, "%.1f KB", r.RSSSession/1000)
	}
}

func (t *trial) page(z sizes) {
	if r := t.run("archive", bench.Options{Sessions: 4, Fill: z.fill, Window: 16, Pages: z.pages, Length: 2 * time.Minute}, "page", "page-latency"); r != nil {
		t.set("page", r.CPUms, "%.0f µs", r.CPUms)
		t.set("page-latency", r.Latency.P50, "%.1f / %.1f ms", r.Latency.P50, r.Latency.P99)
	}
}

// peerPage is PEERS.md: a line per figure, a column per server, each figure with
// its ratio to the first column.
func peerPage(cols []column, z sizes, note string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Beside other servers\n\nWritten by `make bench-peers` (%s, %s, %d cores, client and servers on the same machine, one server after the other).\n",
		time.Now().UTC().Format("2006-01-02"), runtime.Version(), runtime.NumCPU())
	if note != "" {
		b.WriteString("**" + note + ".** ")
	}
	b.WriteString("The others are Debian's packages, configured alike: TLS 1.3 on connect, XEP-0198 on, no limits, the same accounts (SCRAM-SHA-1 keys with 4096\n" +
		"rounds) and rosters; ejabberd's accounts and rosters are in the database of its archive (in SQLite where it has none). Their configurations are the\n" +
		"templates in `rig/template`. In brackets: the ratio to the first column. RSS is what the sessions added to a server just started.\n\n| |")
	for _, c := range cols {
		b.WriteString(" " + c.title + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(cols)) + "\n")
	for _, r := range z.rows() {
		b.WriteString("| " + r.what + " |")
		for i, c := range cols {
			b.WriteString(" " + c.cells[r.key].against(cols[0].cells[r.key], i, r.more) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// against is the figure with its ratio to the first column's.
func (c cell) against(first cell, column int, more bool) string {
	switch {
	case c.text == "":
		return "—"
	case column == 0 || c.value == 0 || first.value == 0:
		return c.text
	case more:
		return fmt.Sprintf("%s (1/%s)", c.text, ratio(first.value/c.value))
	}
	return fmt.Sprintf("%s (%s×)", c.text, ratio(c.value/first.value))
}

func ratio(x float64) string {
	if x < 10 {
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}
