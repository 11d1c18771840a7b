// Package web holds the built web client for the binary to serve.
//
// The client itself (Svelte, TypeScript) lives in the folders beside this file
// and is built into dist by `npm run build`; the built files are not committed.
// Without them Assets serves one page that says how to build the client, so
// that `go build` works on a machine without Node.
//
// Everything under assets/ in Assets carries a content hash in its name and may
// be cached for ever; index.html may not be cached at all.
//
// Specifications: none; those of the client are in its own sources.
//
// The package owns no tables, starts no goroutines and takes no locks. It is
// called by server, which hands Assets to edge/http; it opens no socket, sets
// no header and knows nothing about the Content-Security-Policy.
package web
