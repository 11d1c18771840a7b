//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// lockFile keeps a second server away from a data set. It is a file of its own: closing any
// descriptor of the database file would drop SQLite's POSIX locks.
type lockFile struct{ f *os.File }

func takeLock(name string) (*lockFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			pid, _ := io.ReadAll(io.LimitReader(f, 20)) // told if known
			err = fmt.Errorf("the data set is in use by process %s (%s)", strings.TrimSpace(string(pid)), name)
		}
		return nil, errors.Join(err, f.Close())
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &lockFile{f}, nil
}

// release lets go of the lock; the file stays, for removing it would let two servers lock two files of one name.
func (l *lockFile) release() error { return l.f.Close() }
