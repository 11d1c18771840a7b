package edge

import (
	"bytes"
	"crypto/tls"
	"net"
	"reflect"
	"unsafe"
)

// Slim gives back the buffers that a TLS connection keeps though they are empty:
// the one for handshake messages and the one for records, as large as the largest
// there was (golang/go#43563). At rest they are a quarter of what a connection
// takes (bench/README.md). It belongs to the reading goroutine, between two reads.
//
// crypto/tls has no call for it. Where its fields are not what this knows, nothing
// is given back; a test tells.
func Slim(c net.Conn) {
	t, ok := c.(*tls.Conn)
	if !ok || !slimmable.known {
		return
	}
	in := (*bytes.Reader)(unsafe.Add(unsafe.Pointer(t), slimmable.input))
	if in.Len() != 0 {
		return
	}
	in.Reset(nil) // it still points to what was read
	for _, at := range [2]uintptr{slimmable.raw, slimmable.hand} {
		b := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(t), at))
		if b.Len() == 0 {
			*b = bytes.Buffer{}
		}
	}
}

// slimmable is where a tls.Conn has them.
var slimmable = findBuffers(reflect.TypeFor[tls.Conn]())

type buffers struct {
	raw, hand, input uintptr
	known            bool
}

func findBuffers(t reflect.Type) (b buffers) {
	b.known = true
	for _, f := range []struct {
		name string
		typ  reflect.Type
		at   *uintptr
	}{
		{"rawInput", reflect.TypeFor[bytes.Buffer](), &b.raw},
		{"hand", reflect.TypeFor[bytes.Buffer](), &b.hand},
		{"input", reflect.TypeFor[bytes.Reader](), &b.input},
	} {
		is, ok := t.FieldByName(f.name)
		b.known = b.known && ok && is.Type == f.typ
		*f.at = is.Offset
	}
	return b
}
