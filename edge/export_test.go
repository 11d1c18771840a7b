package edge

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"time"
	"unsafe"
)

// Held is how much room a TLS connection's own buffers have.
func Held(c *tls.Conn) int {
	at := func(off uintptr) int { return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), off)).Cap() }
	return at(slimmable.raw) + at(slimmable.hand)
}

// Slimmable says whether Slim knows the fields of a type.
func Slimmable(t reflect.Type) bool { return findBuffers(t).known }

// Turning is how many connections have a turn.
func (g *Gate) Turning() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.turns.held.n
}

// AwaitTurning returns when n connections have a turn, or says false after d.
func (g *Gate) AwaitTurning(n int, d time.Duration) bool {
	tick := time.NewTicker(time.Millisecond) // nobody tells
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		if g.Turning() == n {
			return true
		}
	}
	return false
}
