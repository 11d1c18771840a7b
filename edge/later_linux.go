package edge

import (
	"syscall"
	"unsafe"
)

// sendNow writes to a socket what it takes at once. The call can't wait, so the
// scheduler is not told of it: that would cost as much as a quarter of the call, and
// have the runtime's monitor take the processor away in the middle of a thousand of them.
func sendNow(fd uintptr, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
