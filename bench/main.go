package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	bin := flag.String("bin", "bin/parlance", "binary under test")
	users := flag.Int("idle", 2000, "idle sessions")
	contacts := flag.Int("contacts", 2, "half the number of contacts of each idle user")
	chatters := flag.Int("chatters", 1000, "sessions in the chat")
	rate := flag.Int("rate", 5000, "messages a second")
	length := flag.Duration("length", 20*time.Second, "how long to chat")
	only := flag.String("only", "", "start, chat, relay or idle")
	out := flag.String("out", "", "write the table into this file too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := raiseFiles(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	for _, w := range []struct {
		name string
		run  func() error
	}{
		{"start", func() error { return start(ctx, *bin) }},
		{"relay", func() error { return chat(ctx, *bin, 200, *rate/2, *length) }},
		{"chat", func() error { return chat(ctx, *bin, *chatters, *rate, *length) }},
		{"idle", func() error { return idle(ctx, *bin, *users, *contacts) }},
	} {
		if *only != "" && *only != w.name {
			continue
		}
		if err := w.run(); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", w.name, err)
			os.Exit(1)
		}
	}
	if *out != "" {
		if err := os.WriteFile(*out, []byte(page()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
}

var table strings.Builder // what row printed; owner: main's goroutine

// row prints one line of the table and keeps it for the page.
func row(what, format string, args ...any) {
	line := "| " + what + " | " + fmt.Sprintf(format, args...) + " |\n"
	fmt.Print(line)
	table.WriteString(line)
}

// page is bench/README.md.
func page() string {
	return "# Measured\n\nWritten by `make bench` (" + time.Now().UTC().Format("2006-01-02") + ", " + runtime.Version() +
		fmt.Sprintf(", %d cores, client and server on the same machine). ", runtime.NumCPU()) +
		"TLS 1.3, stream management and the archive on SQLite are on, every commit is flushed.\n" +
		"Repeat one line with `go run ./bench -bin bin/parlance -only chat -rate 5000 -chatters 1000 -length 20s`,\n" +
		"`-only relay`, `-only start` or `-only idle -idle 18000`. Latency counts from when a message was due, not from when\n" +
		"the client came to send it. CPU is the server process's user and system time.\n\n| what | figure |\n|---|---|\n" + table.String()
}

// raiseFiles lifts the soft limit of open files to the hard one, for us and for
// the servers we start.
func raiseFiles() error {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return err
	}
	r.Cur = r.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r)
}

// with starts a server with n accounts and stops it after f.
func with(ctx context.Context, bin string, n int, f func(*Server) error) error {
	dir, err := os.MkdirTemp("", "parlance-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := Prepare(bin, dir, n)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	err = f(s)
	if stopErr := s.Stop(); err == nil {
		err = stopErr
	}
	return err
}

func start(ctx context.Context, bin string) error {
	info, err := os.Stat(bin)
	if err != nil {
		return err
	}
	row("binary", "%.1f MB (bar 45)", float64(info.Size())/1e6)
	var first, second time.Duration
	dir, err := os.MkdirTemp("", "parlance-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for i, d := range []*time.Duration{&first, &second} {
		s, err := Prepare(bin, dir, 0)
		if err != nil {
			return err
		}
		if err := s.Start(ctx); err != nil {
			return fmt.Errorf("start %d: %w", i, err)
		}
		*d = s.Started
		if err := s.Stop(); err != nil {
			return err
		}
	}
	row("start with an empty folder", "%d ms (bar 300)", first.Milliseconds())
	row("start with a data set", "%d ms (bar 300)", second.Milliseconds())
	return nil
}

func chat(ctx context.Context, bin string, n, rate int, length time.Duration) error {
	return with(ctx, bin, n, func(s *Server) error {
		d := &Dial{Addr: s.TLS, Domain: Domain, Password: Password, Sources: 250}
		cs, err := OpenAll(ctx, d, 0, n, 16, func(_ int, c *Client) error { return c.Send("<presence/>", 1, false) })
		defer CloseAll(cs)
		if err != nil {
			return err
		}
		for _, c := range cs {
			if err := c.Settle(ctx); err != nil {
				return err
			}
		}
		r, err := Chat(ctx, s.PID(), cs, rate, length)
		if err != nil {
			return err
		}
		row("chat: messages/s asked, sessions, length", "%d, %d, %s", rate, n, length)
		row("— delivered", "%.0f/s, %d of %d; doubled %d, reordered %d", r.PerSecond, r.Received, r.Sent, r.Doubled, r.Reordered)
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		row("— due → received, p50 / p90 / p99 / p99.9 / max", "%.1f / %.1f / %.1f / %.1f / %.1f ms (bar: p99 25 at 5000/s)",
			ms(r.P50), ms(r.P90), ms(r.P99), ms(r.P999), ms(r.Max))
		row("— server CPU per message", "%.1f µs (bar 100)", float64(r.CPU.Nanoseconds())/1000)
		return nil
	})
}

func idle(ctx context.Context, bin string, n, contacts int) error {
	return with(ctx, bin, n, func(s *Server) error {
		d := &Dial{Addr: s.TLS, Domain: Domain, Password: Password, Sources: 250}
		before, err := RSS(s.PID())
		if err != nil {
			return err
		}
		cpu0, err := CPU(s.PID())
		if err != nil {
			return err
		}
		began := time.Now()
		cs, err := OpenAll(ctx, d, 0, n, 16, func(_ int, c *Client) error {
			return c.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>", 2, false)
		})
		defer CloseAll(cs)
		if err != nil {
			return err
		}
		took := time.Since(began)
		cpu1, err := CPU(s.PID())
		if err != nil {
			return err
		}
		if err := Befriend(ctx, cs, contacts); err != nil {
			return err
		}
		rss, err := steady(ctx, s.PID())
		if err != nil {
			return err
		}
		row("idle TLS sessions, contacts each", "%d, %d", n, 2*contacts)
		row("— logins (PLAIN, 1,000 rounds)", "%.0f/s, server CPU %.2f ms each", float64(n)/took.Seconds(), float64((cpu1-cpu0).Microseconds())/1000/float64(n))
		row("— server RSS before / with them", "%.1f / %.1f MB", float64(before)/1e6, float64(rss)/1e6)
		row("— RSS per session", "%.1f KB (bar 24)", float64(rss-before)/1000/float64(n))
		return nil
	})
}

// steady waits until the server's memory has stopped falling: the garbage of
// the logins goes back to the system in the background.
func steady(ctx context.Context, pid int) (int64, error) {
	last, same := int64(1<<62), 0
	for range 60 {
		rss, err := RSS(pid)
		if err != nil {
			return 0, err
		}
		if same++; rss < last-last/500 {
			same = 0
		}
		if same == 6 { // half a minute
			return rss, nil
		}
		last = rss
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return last, nil
}
