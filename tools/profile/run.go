package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// measured is what one run gave.
type measured struct {
	cpu, allocs []sample
	seconds     float64 // CPU of the process while the units were counted
	units       float64 // messages, or logins
	bench       string  // what the bench printed
}

// counted is the line of the metrics page that counts a workload's units, and how many
// between two looks tell that it has begun.
type counted struct {
	line  string
	begun float64
}

func messages() counted { return counted{`parlance_stanzas_total{kind="message",verb="accept"}`, 200} }

func loginsDone() counted {
	return counted{`parlance_logins_total{mechanism="SCRAM-SHA-256",result="success"}`, 10}
}

// measure runs the bench and profiles the server for a while in the middle of it.
func measure(ctx context.Context, bin string, bench []string, what counted, watch time.Duration) (m measured, err error) {
	dir, err := os.MkdirTemp("", "profile")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, bench[0], bench[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "TMPDIR="+dir), &out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its server then
	cmd.WaitDelay = time.Minute
	if err := cmd.Start(); err != nil {
		return m, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err = m.profile(ctx, bin, dir, what, watch, ended); err != nil {
		cancel()
		return m, err
	}
	err = <-ended
	m.bench = out.String()
	return m, err
}

// profile waits until units flow and takes both profiles then.
func (m *measured) profile(ctx context.Context, bin, dir string, what counted, watch time.Duration, ended <-chan error) error {
	var sock string
	var before counters
	tick := time.NewTicker(200 * time.Millisecond) // nobody tells when the bench begins to write
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("profile: the bench ended before anything flowed: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if sock == "" {
			sock = find(dir)
			continue
		}
		now, err := scrape(ctx, sock, what)
		if err != nil {
			continue // the server is starting or stopping
		}
		if before.units > 0 && now.units-before.units >= what.begun {
			before = now
			break
		}
		before = now
	}
	errs := make(chan error, 2)
	take := func(kind, index string, to *[]sample) {
		file := filepath.Join(dir, kind+".pprof")
		err := command(ctx, io.Discard, bin, "profile", kind, "--seconds", strconv.Itoa(int(watch.Seconds())), "--data", filepath.Dir(sock), "--out", file)
		var text bytes.Buffer
		if err == nil {
			err = command(ctx, &text, "go", "tool", "pprof", "-traces", "-sample_index="+index, file)
		}
		if err == nil {
			*to, err = parseTraces(&text)
		}
		errs <- err
	}
	go take("cpu", "cpu", &m.cpu)
	go take("allocs", "alloc_objects", &m.allocs)
	timer := time.NewTimer(watch)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	after, err := scrape(ctx, sock, what)
	m.units, m.seconds = after.units-before.units, after.cpu-before.cpu
	return errors.Join(err, <-errs, <-errs)
}

func command(ctx context.Context, out io.Writer, name string, args ...string) error {
	var bad bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = out, &bad
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, &bad)
	}
	return nil
}

// find looks for the admin socket; "" if there is none yet.
func find(dir string) (sock string) {
	// What can't be read is being made or removed: the next look sees.
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "admin.sock" {
			sock = p
		}
		return nil
	})
	return sock
}

// counters are the two numbers of the metrics page that are needed.
type counters struct{ units, cpu float64 }

func scrape(ctx context.Context, sock string, what counted) (c counters, err error) {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", sock)
	}}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/metrics", nil)
	if err != nil {
		return c, err
	}
	res, err := tr.RoundTrip(r)
	if err != nil {
		return c, err
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		return c, err
	}
	for to, name := range map[*float64]string{&c.units: what.line, &c.cpu: "process_cpu_seconds_total"} {
		m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(page)
		if m == nil {
			return c, fmt.Errorf("profile: no %s in the metrics", name)
		}
		if *to, err = strconv.ParseFloat(string(m[1]), 64); err != nil {
			return c, err
		}
	}
	return c, nil
}
