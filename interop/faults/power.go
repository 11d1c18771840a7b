package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"
)

// disk is an ext4 file system of its own, in an image on a loop device, whose
// power can be cut: what was not flushed is gone, in the file system's journal too.
type disk struct {
	home string // of image and mount point
	Dir  string // the mount point
}

// newDisk makes and mounts one. It needs root and a loop device.
func newDisk(mib int) (*disk, error) {
	home, err := os.MkdirTemp("", "interop-disk-")
	if err != nil {
		return nil, err
	}
	d := &disk{home: home, Dir: filepath.Join(home, "mnt")}
	err = errors.Join(os.Mkdir(d.Dir, 0o700), os.WriteFile(d.image(), nil, 0o600), os.Truncate(d.image(), int64(mib)<<20))
	if err == nil {
		err = tool("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image())
	}
	if err == nil {
		err = d.mount()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("faults: a disk of one's own needs root and a loop device: %w", err), os.RemoveAll(home))
	}
	return d, nil
}

func (d *disk) image() string { return filepath.Join(d.home, "image") }

// mount has the journal replayed if it must be. Nothing is written back by itself
// within five minutes: what is not flushed stays unflushed.
func (d *disk) mount() error {
	return tool("mount", "-o", "loop,noatime,commit=300", d.image(), d.Dir)
}

// goingDown is FS_IOC_SHUTDOWN (X in ext4's and XFS's own headers): _IOR('X', 125, __u32);
// noLogFlush says that not even the journal is written out.
const (
	goingDown  = 0x8004587d
	noLogFlush = 2
)

// cut ends the power: from now on every write and flush of the file system fails,
// and what was not on the disk never will be.
func (d *disk) cut() error {
	f, err := os.Open(d.Dir)
	if err != nil {
		return err
	}
	how := uint32(noLogFlush)
	_, _, no := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), goingDown, uintptr(unsafe.Pointer(&how)))
	err = f.Close()
	if no != 0 {
		return fmt.Errorf("faults: power cut: %w", no)
	}
	return err
}

// restore mounts the disk as it was when the power went. Nobody may be using it.
func (d *disk) restore() error {
	return errors.Join(tool("umount", d.Dir), d.mount())
}

// remove unmounts and deletes it.
func (d *disk) remove() error {
	return errors.Join(tool("umount", d.Dir), os.RemoveAll(d.home))
}

func tool(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
