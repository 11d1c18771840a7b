package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

//go:embed all:placeholder
var placeholder embed.FS

// Built reports whether the client was built into this binary. A release in
// which it was not must not be made.
func Built() bool {
	_, err := fs.Stat(dist, "dist/index.html")
	return err == nil
}

// Assets returns the files to serve, index.html at its root: the built client,
// or the placeholder page.
func Assets() fs.FS {
	if Built() {
		return sub(dist, "dist")
	}
	return sub(placeholder, "placeholder")
}

// sub can't fail: both folders are embedded, or this package does not compile.
func sub(f embed.FS, dir string) fs.FS {
	s, err := fs.Sub(f, dir)
	if err != nil {
		return f
	}
	return s
}
