package edge

import (
	"syscall"
	"unsafe"
)

// awaitHello returns when a whole TLS record is there to read, which a ClientHello
// is, or when it is no use to wait for one: TLS says then what is wrong. Nothing is
// read. The error is that of the deadline, or of a closed connection.
func (c *Conn) awaitHello() error {
	if c.raw == nil {
		return nil
	}
	return c.raw.Read(helloCame)
}

// helloCame looks at what a socket has received.
func helloCame(fd uintptr) bool {
	var head [5]byte // RFC 8446 §5.1: type, version, length
	n, _, err := syscall.Recvfrom(int(fd), head[:], syscall.MSG_PEEK)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return false
	case err != nil || n == 0 || head[0] != recordHandshake:
		return true
	}
	most := 1 << 14 // RFC 8446 §5.1
	if want := int(head[3])<<8 | int(head[4]); n == len(head) && (want > most || received(fd) >= len(head)+want) {
		return true
	}
	return ended(fd)
}

const recordHandshake = 22 // RFC 8446 §5.1

// received is how many bytes there are to read.
func received(fd uintptr) int {
	var n int32
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCINQ, uintptr(unsafe.Pointer(&n))); e != 0 {
		return 1 << 20 // it can't tell: no use to wait
	}
	return int(n)
}

// ended says that the peer sends no more.
func ended(fd uintptr) bool {
	const established = 1 // TCP_ESTABLISHED, first octet of TCP_INFO
	v, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
	return err != nil || v&0xff != established
}
