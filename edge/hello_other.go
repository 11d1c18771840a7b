//go:build !linux

package edge

// awaitHello does not wait here.
func (c *Conn) awaitHello() error { return nil }
