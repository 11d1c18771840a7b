package edge_test

import (
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/parlance-im/parlance/edge"
)

// HARDENING F14: the kernel finds dead peers, whoever set its options.
func TestListen_connectionsAreProbed(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // elsewhere package net does it
	}
	ln, err := edge.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	k := edge.KeepAlive()
	err = raw.Control(func(fd uintptr) {
		for _, o := range []struct{ level, name, want int }{
			{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
			{syscall.IPPROTO_TCP, 4 /* TCP_KEEPIDLE */, int(k.Idle / time.Second)},
			{syscall.IPPROTO_TCP, 5 /* TCP_KEEPINTVL */, int(k.Interval / time.Second)},
			{syscall.IPPROTO_TCP, 6 /* TCP_KEEPCNT */, k.Count},
			{syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
		} {
			if v, err := syscall.GetsockoptInt(int(fd), o.level, o.name); v != o.want || err != nil {
				t.Errorf("option %d of level %d is %d, want %d (%v)", o.name, o.level, v, o.want, err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConn_heldWritesGoOutWithTheEnd(t *testing.T) {
	s, peer := pair(t)
	if _, err := io.WriteString(s, "a"); err != nil {
		t.Fatal(err)
	}
	s.Hold()
	for _, text := range []string{"b", "c"} {
		if _, err := io.WriteString(s, text); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.SetWriteDeadline(time.Now())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_ = peer.SetDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(peer); string(got) != "abc" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}
