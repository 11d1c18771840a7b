package archive

import (
	"os"
	"syscall"
)

// fdatasync flushes the content: the file's length never changes, and its times are nobody's concern.
func fdatasync(f *os.File) error {
	return os.NewSyscallError("fdatasync", syscall.Fdatasync(int(f.Fd())))
}
