package edge_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/edgetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// pair is a TCP connection: the accepted end wrapped, and the other.
func pair(t *testing.T) (*edge.Conn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); c.Close() })
	for _, x := range []net.Conn{a, c} {
		_ = x.SetDeadline(time.Now().Add(patience))
	}
	return edge.NewConn(a), c
}

func TestNoWait_givesWhatIsThere(t *testing.T) {
	s, c := pair(t)
	buf := make([]byte, 16)
	s.NoWait(true)
	if n, err := s.Read(buf); n != 0 || !edge.Again(err) {
		t.Fatalf("%d %v", n, err)
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	s.NoWait(false)
	if n, err := s.Read(buf[:1]); n != 1 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	s.NoWait(true)
	if n, err := s.Read(buf); string(buf[:n]) != "ello" || err != nil {
		t.Fatalf("%q %v", buf[:n], err)
	}
	if _, err := s.Read(buf); !edge.Again(err) {
		t.Fatal(err)
	}
	c.Close()
	s.NoWait(false)
	for range 2 {
		if _, err := s.Read(buf); err != io.EOF {
			t.Fatal(err)
		}
	}
	s.NoWait(true)
	s.Close()
	if n, err := s.Read(buf); n != 0 || err == nil {
		t.Fatal(n, err)
	}
}

// Idle connections stand on this: crypto/tls must not hold a temporary error
// of the inner Read against the connection, not even in the middle of a record.
func TestNoWait_isNotStickyUnderTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s, c := pair(t)
		keys := edgetest.Keys(t)
		type done struct {
			t   *tls.Conn
			err error
		}
		ch := make(chan done, 1)
		go func() {
			x, err := edge.Handshake(context.Background(), s, nil, keys.Config(0), patience)
			ch <- done{x, err}
		}()
		cut := &cutter{Conn: c}
		client := tls.Client(cut, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		d := <-ch
		if d.err != nil {
			t.Fatal(d.err)
		}
		_ = s.SetDeadline(time.Now().Add(patience))
		buf := make([]byte, 64)
		s.NoWait(true)
		for range 3 {
			if _, err := d.t.Read(buf); !edge.Again(err) {
				t.Fatal(err)
			}
		}
		// A record in pieces: each piece but the last gives nothing, none breaks it.
		cut.hold = true
		if _, err := io.WriteString(client, "hello"); err != nil {
			t.Fatal(err)
		}
		for i := range cut.kept {
			if _, err := c.Write(cut.kept[i : i+1]); err != nil {
				t.Fatal(err)
			}
			if i < len(cut.kept)-1 {
				s.NoWait(true)
				if n, err := d.t.Read(buf); n != 0 || !edge.Again(err) {
					t.Fatalf("piece %d: %d %v", i, n, err)
				}
			}
		}
		s.NoWait(false)
		if n, err := d.t.Read(buf); string(buf[:n]) != "hello" || err != nil {
			t.Fatalf("%q %v", buf[:n], err)
		}
		// A read past its deadline is no end either.
		_ = s.SetReadDeadline(time.Now())
		if _, err := d.t.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		_ = s.SetReadDeadline(time.Now().Add(patience))
		cut.hold = false
		if _, err := io.WriteString(client, "again"); err != nil {
			t.Fatal(err)
		}
		if n, err := d.t.Read(buf); string(buf[:n]) != "again" || err != nil {
			t.Fatalf("%q %v", buf[:n], err)
		}
		if edge.Base(d.t) != s || keys.Shown(s) != keys.Leaf() {
			t.Error("what is beneath is not found")
		}
	}
}

// cutter keeps what is written.
type cutter struct {
	net.Conn
	hold bool
	kept []byte
}

func (c *cutter) Write(p []byte) (int, error) {
	if c.hold {
		c.kept = append(c.kept, p...)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func TestKeys_shownIsWhatTheHandshakeUsed(t *testing.T) {
	keys := edgetest.Keys(t)
	first := keys.Leaf()
	s, c := pair(t)
	var wg sync.WaitGroup
	wg.Go(func() { _ = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake() })
	if _, err := edge.Handshake(t.Context(), s, nil, keys.Config(0), patience); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := keys.Set(edgetest.Cert(t, "acme.test")); err != nil {
		t.Fatal(err)
	}
	if keys.Shown(s) != first || keys.Leaf() == first {
		t.Error("the certificate changed under an open connection")
	}
	unknown, _ := pair(t)
	if keys.Shown(unknown) != nil {
		t.Error("after a change nobody knows what a resumed session was shown")
	}
	if err := keys.Set(tls.Certificate{}); err == nil {
		t.Error("an empty certificate was taken")
	}
}

func TestHandshake_deadline(t *testing.T) {
	s, _ := pair(t)
	if _, err := edge.Handshake(t.Context(), s, nil, edgetest.Keys(t).Config(0), 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// stubborn fails Accept as a process without descriptors does.
type stubborn struct {
	net.Listener
	fails int
}

func (l *stubborn) Accept() (net.Conn, error) {
	if l.fails > 0 {
		l.fails--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// HARDENING F7.
func TestServe_goesOnAfterDescriptorsRanOut(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ln, err := edge.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	files := edge.NewFiles(0)
	done, got := make(chan error, 1), make(chan struct{})
	began := time.Now()
	go func() {
		done <- edge.Serve(ctx, &stubborn{ln, 3}, files, slog.New(slog.DiscardHandler), func(c *edge.Conn) {
			c.Close()
			c.Close()
			close(got)
		})
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-got
	if d := time.Since(began); d < 70*time.Millisecond {
		t.Errorf("three failures took %v: it spins", d)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if files.Open() != 0 {
		t.Errorf("%d counted as open", files.Open())
	}
}

func TestServe_leavesDescriptorsForOthers(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ln, err := edge.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	files := edge.NewFiles(int(lim.Cur)) // everything is kept back: 8 are the least
	done, in := make(chan error, 1), make(chan *edge.Conn, 16)
	go func() {
		done <- edge.Serve(ctx, ln, files, slog.New(slog.DiscardHandler), func(c *edge.Conn) { in <- c })
	}()
	for range 9 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	var open []*edge.Conn
	for range 8 {
		open = append(open, <-in)
	}
	if files.Open() != 8 || len(in) != 0 {
		t.Errorf("%d open", files.Open())
	}
	open[0].Close()
	(<-in).Close() // the ninth
	for _, c := range open[1:] {
		c.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBuffers_sizes(t *testing.T) {
	var b edge.Buffers
	for _, n := range []int{0, 1, 4096, 4097, 16384, 16385, 1 << 20} {
		p := b.Get(n)
		if len(p) < max(n, 1) {
			t.Errorf("Get(%d) gives %d", n, len(p))
		}
		b.Put(p[:0])
		b.Put(make([]byte, n))
	}
}
