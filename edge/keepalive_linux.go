package edge

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// inheritKeepAlive sets KeepAlive on a listening socket. Linux gives its options to the
// connections it accepts, which saves four system calls for each.
func inheritKeepAlive(_, _ string, c syscall.RawConn) error {
	k, set := KeepAlive(), error(nil)
	err := c.Control(func(fd uintptr) {
		for _, o := range [][3]int{
			{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, int(k.Idle / time.Second)},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, int(k.Interval / time.Second)},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, k.Count},
		} {
			set = errors.Join(set, syscall.SetsockoptInt(int(fd), o[0], o[1], o[2]))
		}
	})
	return errors.Join(err, set)
}

// keepAlive makes a listener's connections be probed.
func keepAlive(lc *net.ListenConfig) { lc.KeepAlive, lc.Control = -1, inheritKeepAlive }
