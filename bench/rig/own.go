package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/parlance-im/parlance/bench"
)

// own measures this product against its bars and writes README.md.
func (l *lab) own() error {
	if l.out != "" && (l.only != "" || l.scale != 1) {
		return errors.New("a part of the measurements makes no table: leave out -out, or -only and -scale")
	}
	l.figures = map[string]*bench.Result{}
	for _, m := range []struct {
		name string
		run  func() error
	}{
		{"start", l.start},
		{"chat", l.chats},
		{"login", l.logins},
		{"presence", l.storm},
		{"room", l.room},
		{"archive", l.archive},
		{"idle", l.idles},
	} {
		if l.only != "" && !strings.Contains(","+l.only, ","+m.name) {
			continue
		}
		if err := m.run(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if l.out == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(l.out, "README.md"), []byte(l.page()), 0o644); err != nil {
		return err
	}
	return l.store()
}

// with starts a server with people and stops it after f.
func (l *lab) with(p People, f func(s *Server) error) error {
	s, err := parlance(l.ctx, l.bin, p)
	if err != nil {
		return err
	}
	err = f(s)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, s.output())
	}
	if stopErr := s.Stop(); err == nil {
		err = stopErr
	}
	return err
}

// keep remembers a result for sizing.
func (l *lab) keep(name string, r *bench.Result) { l.figures[name] = r }

func (l *lab) start() error {
	info, err := os.Stat(l.bin)
	if err != nil {
		return err
	}
	l.row("binary", "45 MB", "%.1f MB", float64(info.Size())/1e6)
	s, err := prepareParlance(l.ctx, l.bin, People{})
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.Dir)
	for _, what := range []string{"start with an empty folder", "start with a data set"} {
		if err := s.startParlance(l.ctx, l.bin); err != nil {
			return err
		}
		l.row(what, "300 ms", "%d ms", s.Ready.Milliseconds())
		if err := s.stops[len(s.stops)-1](); err != nil {
			return err
		}
	}
	return nil
}

// wants says whether one of a group's measurements is asked for, by its own name or with the group.
func (l *lab) wants(group, name string) bool {
	only := strings.Split(l.only, ",")
	return l.only == "" || slices.Contains(only, group) || slices.Contains(only, name)
}

func (l *lab) chats() error {
	for _, c := range []struct {
		name           string
		sessions, rate int
		bar, cpu, ack  string
	}{{"chat-2500", 200, 2500, "", "", ""}, {"chat-5000", 1000, 5000, "p99 25, p99.9 60 ms", "85 µs, aim 60", "p99 25 ms"}} {
		if !l.wants("chat", c.name) {
			continue
		}
		o := bench.Options{Sessions: l.size(c.sessions, 4), Rate: l.size(c.rate, 10), Length: time.Duration(float64(20*time.Second) * min(1, max(.1, l.scale)))}
		if err := l.chat(c.name, o, c.bar, c.cpu, c.ack); err != nil {
			return err
		}
	}
	if !l.wants("chat", "chat-closed") {
		return nil
	}
	return l.chat("chat-closed", bench.Options{Sessions: l.size(200, 4), Window: 16, Count: l.size(200_000, 1000), Length: time.Minute}, "", "", "")
}

func (l *lab) chat(name string, o bench.Options, bar, cpu, ack string) error {
	return l.with(People{N: o.Sessions}, func(s *Server) error {
		opt := merge(s.options(l.progress), o)
		r, err := l.run("chat", opt)
		if err != nil {
			return err
		}
		l.keep(name, r)
		pace := fmt.Sprintf("%d/s, %d sessions, %s", o.Rate, r.Sessions, o.Length)
		if o.Rate == 0 {
			pace = fmt.Sprintf("closed loop, %d sessions, %d under way in each pair", r.Sessions, o.Window)
		}
		l.row("chat: "+pace, "0 lost, doubled, reordered", "%.0f/s, %d of %d; lost %d, doubled %d, reordered %d", r.PerSecond, r.Units, r.Due, r.Lost, r.Doubled, r.Reordered)
		l.row("— due → received, p50 / p90 / p99 / p99.9 / max", bar, "%s", r.Latency)
		l.row("— due → acknowledged (on disk)", ack, "%s", r.Ack)
		l.row("— server CPU per message", cpu, "%.1f µs", r.CPUms)
		return nil
	})
}

// merge puts a workload's own options into a server's.
func merge(s, o bench.Options) bench.Options {
	o.Addr, o.Domain, o.TLS, o.Users, o.Password, o.PIDs, o.Progress = s.Addr, s.Domain, s.TLS, s.Users, s.Password, s.PIDs, s.Progress
	return o
}

func (l *lab) logins() error {
	n := l.size(200, 4)
	return l.with(People{N: n}, func(s *Server) error {
		for _, mech := range []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "FAST"} {
			if !l.wants("login", "login-"+mech) {
				continue
			}
			r, err := l.run("login", merge(s.options(l.progress), bench.Options{Sessions: n, Mechanism: mech, Count: l.size(3000, 20)}))
			if bench.NotOffered(err) {
				l.row("login: "+mech, "", "not offered")
				continue
			}
			if err != nil {
				return err
			}
			l.keep("login-"+mech, r)
			l.row(fmt.Sprintf("login: %s (%d rounds), TLS handshake, resource, stream management", mech, rounds), "", "%.0f/s, server CPU %.2f ms each; %s", r.PerSecond, r.CPUms/1000, r.Latency)
		}
		return nil
	})
}

func (l *lab) storm() error {
	p := People{N: l.size(2000, 12), Contacts: l.size(20, 4) / 2 * 2}
	return l.with(p, func(s *Server) error {
		r, err := l.run("presence", merge(s.options(l.progress), bench.Options{Sessions: p.N, Workers: 64}))
		if err != nil {
			return err
		}
		l.keep("presence", r)
		l.row(fmt.Sprintf("presence: storm %d × %d", p.N, p.Contacts), "≥ 10× less CPU than ejabberd", "%.0f/s, %d of %d; server CPU %.1f µs per presence received", r.PerSecond, r.Units, r.Due, r.CPUms)
		for _, st := range r.Steps {
			if st.Latency != nil {
				l.row("— "+st.Name, "", "%d in %.1f s, CPU %.1f µs each; %s", st.Units, st.Seconds, st.CPUms, st.Latency)
			}
		}
		return nil
	})
}

func (l *lab) room() error {
	n := l.size(500, 4)
	return l.with(People{N: n}, func(s *Server) error {
		o := bench.Options{Sessions: n, Rate: roomRate, Length: time.Duration(float64(30*time.Second) * min(1, max(.1, l.scale)))}
		r, err := l.run("room", merge(s.options(l.progress), o))
		if err != nil {
			return err
		}
		l.keep("room", r)
		join := r.Steps[0]
		l.row(fmt.Sprintf("room: %d occupants, %d messages/s", n, roomRate), "0 lost, doubled, reordered", "%.0f deliveries/s, %d of %d; lost %d, doubled %d, reordered %d", r.PerSecond, r.Units, r.Due, r.Lost, r.Doubled, r.Reordered)
		l.row("— due → received, p50 / p90 / p99 / p99.9 / max", "", "%s", r.Latency)
		l.row("— server CPU per delivery", "21 µs", "%.1f µs", r.CPUms)
		l.row("— server CPU per presence while they join", "20 µs", "%.1f µs", join.CPUms/float64(n))
		return nil
	})
}

func (l *lab) archive() error {
	const people = 16
	return l.with(People{N: people}, func(s *Server) error {
		have := 0
		empty, err := s.disk()
		if err != nil {
			return err
		}
		for _, n := range []int{l.size(10_000, 500), l.size(100_000, 1000), l.size(1_000_000, 2000)} {
			o := bench.Options{Sessions: people, Fill: n - have, Window: 64, Pages: l.size(4000, 20)}
			r, err := l.run("archive", merge(s.options(l.progress), o))
			if err != nil {
				return err
			}
			full, err := s.disk()
			if err != nil {
				return err
			}
			have = n
			r.Disk = float64(full-empty) / float64(n)
			l.keep(fmt.Sprintf("archive-%d", n), r)
			fill := r.Steps[0]
			l.row(fmt.Sprintf("archive: %d messages, pages of 50, 4 readers", n), "p99 20 ms", "%.0f pages/s; %s", r.PerSecond, r.Latency)
			l.row("— server CPU per page; the deepest pages", "does not grow", "%.0f µs; %s", r.CPUms, r.Steps[len(r.Steps)-1].Latency)
			l.row("— filled with; disk per message", "", "%.0f messages/s, CPU %.1f µs each; %.0f bytes", float64(fill.Units)/fill.Seconds, fill.CPUms, r.Disk)
		}
		return nil
	})
}

func (l *lab) idles() error {
	var xs, ys []float64
	for _, n := range []int{l.size(5000, 10), l.size(10_000, 20), l.size(18_000, 30)} {
		err := l.with(People{N: n, Contacts: 4}, func(s *Server) error {
			hold := 10 * time.Second
			if l.scale < .1 {
				hold = time.Second
			}
			r, err := l.run("idle", merge(s.options(l.progress), bench.Options{Sessions: n, Length: hold}))
			if err != nil {
				return err
			}
			l.keep(fmt.Sprintf("idle-%d", n), r)
			l.row(fmt.Sprintf("idle: %d TLS sessions with roster (4 contacts) and presence", n), "12 KB", "%.1f KB a session; server RSS %.1f → %.1f MB; CPU %.3f ms per session and hour of doing nothing", r.RSSSession/1000, float64(r.RSSBefore)/1e6, float64(r.RSS)/1e6, r.CPUms*3600/1000)
			xs, ys = append(xs, float64(n)), append(ys, float64(r.RSS))
			return nil
		})
		if err != nil {
			return err
		}
	}
	a, b := fit(xs, ys)
	l.row("— fitted: RSS = base + sessions × slope", "", "%.1f MB + n × %.2f KB", a/1e6, b/1000)
	l.row("— extrapolated to 1,000,000 sessions", "24 GiB", "%.1f GiB", (a+b*1e6)/(1<<30))
	return nil
}

// fit is the line y = a + bx of least squares.
func fit(xs, ys []float64) (a, b float64) {
	var sx, sy, sxx, sxy float64
	for i, x := range xs {
		sx, sy, sxx, sxy = sx+x, sy+ys[i], sxx+x*x, sxy+x*ys[i]
	}
	n := float64(len(xs))
	b = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	return (sy - b*sx) / n, b
}

// page is bench/README.md.
func (l *lab) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Measured\n\nWritten by `make bench` (%s, %s, %d cores, client and server on the same machine). ", time.Now().UTC().Format("2006-01-02"), runtime.Version(), runtime.NumCPU())
	if l.note != "" {
		b.WriteString("**" + l.note + ".** ")
	}
	b.WriteString("TLS 1.3, stream management and the archive on SQLite are on, every commit is flushed.\n" +
		"Repeat a part with `go run ./bench/rig own -only chat` (start, chat, login, presence, room, archive, idle), or measure any server with\n" +
		"`parlance bench` (its own help lists the workloads). Latency counts from when a message was due, not from when the client came to send it.\n" +
		"CPU is the server process's user and system time. Other servers, measured the same way: [PEERS.md](PEERS.md).\n\n| what | bar | figure |\n|---|---|---|\n")
	for _, r := range l.rows {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.what, r.bar, r.figure)
	}
	return b.String()
}

// store writes what was measured for parlance sizing.
func (l *lab) store() error {
	version, err := parlanceVersion(l.ctx, l.bin)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(map[string]any{
		"date": time.Now().UTC().Format("2006-01-02"), "go": runtime.Version(), "cores": runtime.NumCPU(), "version": version, "note": l.note, "figures": l.figures,
	}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.out, "sizing", "figures.json"), append(b, '\n'), 0o644)
}
