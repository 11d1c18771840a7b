package faults

import "io/fs"

// regular is a folder without what can't be copied: sockets.
type regular struct{ fs.FS }

// ReadDir leaves out everything but files and folders.
func (r regular) ReadDir(name string) (out []fs.DirEntry, err error) {
	all, err := fs.ReadDir(r.FS, name)
	for _, e := range all {
		if e.IsDir() || e.Type().IsRegular() {
			out = append(out, e)
		}
	}
	return out, err
}
