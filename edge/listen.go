package edge

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parlance-im/parlance/im/meter"
)

// KeepAlive finds dead peers in the kernel: 45 s of silence, then 4 probes 10 s
// apart (HARDENING F14: within 90 s).
func KeepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 45 * time.Second, Interval: 10 * time.Second, Count: 4}
}

// Listen opens a TCP listener whose connections are probed as KeepAlive says.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	keepAlive(&lc)
	return lc.Listen(ctx, "tcp", addr)
}

// metered is a listener whose connections' bytes are counted.
type metered struct {
	net.Listener
	traffic *meter.Traffic
}

// Metered makes Serve count the bytes of a listener's connections.
func Metered(ln net.Listener, t *meter.Traffic) net.Listener { return metered{ln, t} }

// Files keeps descriptors in reserve, so that the store, the log and the admin
// socket go on working when connections have taken the rest (HARDENING F7).
// All listeners of a server share one.
type Files struct {
	max  int64
	open atomic.Int64
	free chan struct{} // a token when one was closed
}

// NewFiles reads the process's limit and keeps reserve of it back.
func NewFiles(reserve int) *Files {
	f := &Files{max: 1 << 20, free: make(chan struct{}, 1)}
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) == nil && r.Cur < 1<<30 {
		f.max = max(int64(r.Cur)-int64(reserve), 8)
	}
	return f
}

// Open is how many connections are open.
func (f *Files) Open() int { return int(f.open.Load()) }

func (f *Files) done() {
	f.open.Add(-1)
	select {
	case f.free <- struct{}{}:
	default:
	}
}

// wait returns when there is room for a connection, or ctx has ended.
func (f *Files) wait(ctx context.Context) bool {
	for f.open.Load() >= f.max {
		select {
		case <-f.free:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// Serve accepts until ln is closed or ctx ends, and calls handle for each
// connection in a goroutine of its own. handle owns the connection; its place
// among the descriptors is free again when it is closed.
func Serve(ctx context.Context, ln net.Listener, files *Files, log *slog.Logger, handle func(*Conn)) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	var pause time.Duration
	for files.wait(ctx) {
		c, err := ln.Accept()
		switch {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case temporary(err):
			// Out of descriptors or memory: wait, don't spin (HARDENING F7).
			pause = min(max(2*pause, 10*time.Millisecond), time.Second)
			log.Warn("accept paused", "listener", ln.Addr().String(), "error", err, "pause", pause)
			if !sleep(ctx, pause) {
				return nil
			}
			continue
		default:
			return err
		}
		pause = 0
		files.open.Add(1)
		k := NewConn(c)
		k.files = files
		if m, ok := ln.(metered); ok {
			k.traffic = m.traffic
		}
		go handle(k)
	}
	return nil
}

func temporary(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
