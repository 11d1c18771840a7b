package edge

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// Held is how much room a TLS connection's own buffers have.
func Held(c *tls.Conn) int {
	at := func(off uintptr) int { return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), off)).Cap() }
	return at(slimmable.raw) + at(slimmable.hand)
}

// Slimmable says whether Slim knows the fields of a type.
func Slimmable(t reflect.Type) bool { return findBuffers(t).known }
