package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
)

// blobs keeps contents by the hexadecimal SHA-256 of their bytes.
type blobs interface {
	// Put keeps the content durably, whole or not at all; again is no error.
	Put(ctx context.Context, hash string, sp *spooled) error
	Open(ctx context.Context, hash string, size int64) (io.ReadSeekCloser, error)
	// Remove makes sure that it is not there.
	Remove(ctx context.Context, hash string) error
}

const (
	tmp  = "tmp"  // uploads under way; whatever is there at the start is waste
	blob = "blob" // contents, in a folder for each first byte of the hash
)

// openRoot opens the folder, with tmp in it empty.
func openRoot(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(root.RemoveAll(tmp), root.Mkdir(tmp, 0o700)); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// disk keeps contents in files.
type disk struct{ root *os.Root }

const hexDigits = "0123456789abcdef"

func newDisk(root *os.Root) (*disk, error) {
	d := &disk{root}
	for _, a := range hexDigits {
		for _, b := range hexDigits {
			if err := root.MkdirAll(blob+"/"+string(a)+string(b), 0o700); err != nil {
				return nil, err
			}
		}
	}
	// The folders must be there after a power cut as well.
	return d, errors.Join(d.sync(blob), d.sync("."))
}

func place(hash string) (folder, path string) {
	folder = blob + "/" + hash[:2]
	return folder, folder + "/" + hash[2:]
}

// Put flushes the file, then gives it its name, then flushes the folder: a
// name stands for whole content at any moment.
func (d *disk) Put(_ context.Context, hash string, sp *spooled) error {
	if err := sp.f.Sync(); err != nil {
		return err
	}
	folder, path := place(hash)
	if err := d.root.Rename(sp.name, path); err != nil {
		return err
	}
	return d.sync(folder)
}

func (d *disk) sync(folder string) error {
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *disk) Open(_ context.Context, hash string, _ int64) (io.ReadSeekCloser, error) {
	_, path := place(hash)
	f, err := d.root.Open(path)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *disk) Remove(_ context.Context, hash string) error {
	_, path := place(hash)
	if err := d.root.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
