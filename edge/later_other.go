//go:build !linux

package edge

import "syscall"

// sendNow writes to a socket what it takes at once.
func sendNow(fd uintptr, p []byte) (int, error) { return syscall.Write(int(fd), p) }
