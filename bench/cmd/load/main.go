package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/parlance-im/parlance/bench"
)

func main() {
	bin := flag.String("bin", "bin/parlance", "binary under test")
	users := flag.Int("idle", 2000, "idle sessions")
	contacts := flag.Int("contacts", 2, "half the number of contacts of each idle user")
	chatters := flag.Int("chatters", 1000, "sessions in the chat")
	rate := flag.Int("rate", 5000, "messages a second")
	length := flag.Duration("length", 20*time.Second, "how long to chat")
	only := flag.String("only", "", "start, chat or idle")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := raiseFiles(); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
	}
	for _, w := range []struct {
		name string
		run  func() error
	}{
		{"start", func() error { return start(ctx, *bin) }},
		{"chat", func() error { return chat(ctx, *bin, *chatters, *rate, *length) }},
		{"idle", func() error { return idle(ctx, *bin, *users, *contacts) }},
	} {
		if *only != "" && *only != w.name {
			continue
		}
		if err := w.run(); err != nil {
			fmt.Fprintf(os.Stderr, "load: %s: %v\n", w.name, err)
			os.Exit(1)
		}
	}
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
func with(ctx context.Context, bin string, n int, f func(*bench.Server) error) error {
	dir, err := os.MkdirTemp("", "parlance-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := bench.Prepare(bin, dir, n)
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
	fmt.Printf("| binary | %.1f MB |\n", float64(info.Size())/1e6)
	var first, second time.Duration
	dir, err := os.MkdirTemp("", "parlance-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for i, d := range []*time.Duration{&first, &second} {
		s, err := bench.Prepare(bin, dir, 0)
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
	fmt.Printf("| start with an empty folder | %d ms |\n| start with a data set | %d ms |\n", first.Milliseconds(), second.Milliseconds())
	return nil
}

func chat(ctx context.Context, bin string, n, rate int, length time.Duration) error {
	return with(ctx, bin, n, func(s *bench.Server) error {
		d := &bench.Dial{Addr: s.TLS, Domain: bench.Domain, Password: bench.Password, Sources: 250}
		cs, err := bench.OpenAll(ctx, d, 0, n, 16, func(_ int, c *bench.Client) error { return c.Send("<presence/>", 1, false) })
		defer bench.CloseAll(cs)
		if err != nil {
			return err
		}
		for _, c := range cs {
			if err := c.Settle(ctx); err != nil {
				return err
			}
		}
		r, err := bench.Chat(ctx, s.PID(), cs, rate, length)
		if err != nil {
			return err
		}
		fmt.Printf("| chat: asked %d/s, sessions | %d, %s |\n| delivered | %.0f/s, %d of %d, doubled %d, reordered %d |\n",
			rate, n, length, r.PerSecond, r.Received, r.Sent, r.Doubled, r.Reordered)
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		fmt.Printf("| due → received p50 / p90 / p99 / p99.9 / max | %.1f / %.1f / %.1f / %.1f / %.1f ms |\n| server CPU per message | %.1f µs |\n",
			ms(r.P50), ms(r.P90), ms(r.P99), ms(r.P999), ms(r.Max), float64(r.CPU.Nanoseconds())/1000)
		return nil
	})
}

func idle(ctx context.Context, bin string, n, contacts int) error {
	return with(ctx, bin, n, func(s *bench.Server) error {
		d := &bench.Dial{Addr: s.TLS, Domain: bench.Domain, Password: bench.Password, Sources: 250}
		before, err := bench.RSS(s.PID())
		if err != nil {
			return err
		}
		cpu0, err := bench.CPU(s.PID())
		if err != nil {
			return err
		}
		began := time.Now()
		cs, err := bench.OpenAll(ctx, d, 0, n, 16, func(_ int, c *bench.Client) error {
			return c.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>", 2, false)
		})
		defer bench.CloseAll(cs)
		if err != nil {
			return err
		}
		took := time.Since(began)
		cpu1, err := bench.CPU(s.PID())
		if err != nil {
			return err
		}
		if err := bench.Befriend(ctx, cs, contacts); err != nil {
			return err
		}
		rss, err := steady(ctx, s.PID())
		if err != nil {
			return err
		}
		fmt.Printf("| idle TLS sessions, contacts each | %d, %d |\n| logins | %.0f/s, server CPU %.2f ms each |\n| server RSS before / with them | %.1f / %.1f MB |\n| RSS per idle session | %.1f KB |\n",
			n, 2*contacts, float64(n)/took.Seconds(), float64((cpu1-cpu0).Microseconds())/1000/float64(n), float64(before)/1e6, float64(rss)/1e6, float64(rss-before)/1000/float64(n))
		return nil
	})
}

// steady waits until the server's memory has stopped falling: the garbage of
// the logins goes back to the system in the background.
func steady(ctx context.Context, pid int) (int64, error) {
	last := int64(1 << 62)
	for range 60 {
		rss, err := bench.RSS(pid)
		if err != nil {
			return 0, err
		}
		if rss > last-last/500 {
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
