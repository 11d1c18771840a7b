package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo answers every byte, until the client has no more to say.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return ln.Addr().String()
}

func open(t *testing.T) (*Proxy, net.Conn) {
	t.Helper()
	p, err := Listen("tcp", "127.0.0.1:0", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return p, c
}

// said sends a word and reads it back.
func said(c net.Conn, word string, within time.Duration) (time.Duration, error) {
	began := time.Now()
	_ = c.SetDeadline(began.Add(within))
	if _, err := io.WriteString(c, word); err != nil {
		return 0, err
	}
	got := make([]byte, len(word))
	if _, err := io.ReadFull(c, got); err != nil {
		return 0, err
	}
	if string(got) != word {
		return 0, errors.New("other bytes: " + string(got))
	}
	return time.Since(began), nil
}

func TestProxy_weather(t *testing.T) {
	p, c := open(t)
	if _, err := said(c, "hello", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	p.Set(Weather{Latency: 100 * time.Millisecond, Slice: 1})
	if d, err := said(c, "in slices", 20*time.Second); err != nil || d < 200*time.Millisecond {
		t.Errorf("there and back in %v (%v), due: 200 ms at least", d, err)
	}
	p.Set(Weather{Hole: true})
	if _, err := said(c, "held", 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("through the hole: %v", err)
	}
	p.Set(Weather{})
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "held" {
		t.Errorf("after the hole: %q, %v", got, err)
	}
}

func TestProxy_breaks(t *testing.T) {
	p, c := open(t)
	if _, err := said(c, "hello", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if !p.HalfClose(0) {
		t.Error("no link")
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) { // the echo had no more to say
		t.Errorf("after the half close: %v", err)
	}
	_ = c.Close()

	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := said(c, "hello", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	p.Forget()
	if _, err := said(c, "?", 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("on a forgotten link: %v", err)
	}
	p.ResetAll()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the reset: %v", err)
	}
}
