package edge

import (
	"os"
	"syscall"
)

// Later makes the writes that follow return at once: what the network does not take
// stays with the Conn (Owes) and is sent in front of the next write that may wait, or
// by Settle. So whoever serves many connections in turn is kept up by none, and TLS
// above, for which every failed write is the last, sees none that fails. It says
// false where that is not possible. Whoever switches it on writes no more once it
// owes something: what stays is bounded by what is written in one go.
func (c *Conn) Later(on bool) bool {
	c.now.Store(on && c.raw != nil)
	return c.raw != nil
}

// Owes says that something that was written has not gone out.
func (c *Conn) Owes() bool { return c.owes.Load() }

// Settle sends what is owed, and waits for that.
func (c *Conn) Settle() error {
	_, err := c.writeBehind(nil)
	return err
}

// writeBehind writes p behind what is owed.
func (c *Conn) writeBehind(p []byte) (int, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	now := c.now.Load()
	switch {
	case len(c.rest) > 0 && now:
		c.rest = append(c.rest, p...)
		return len(p), nil
	case len(c.rest) > 0:
		n, err := c.writeAll(c.rest)
		if c.rest = c.rest[n:]; err != nil {
			return 0, err
		}
		c.rest = nil
		c.owes.Store(false)
	case now:
		return c.writeNow(p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	return c.writeAll(p)
}

// writeNow is one attempt; wmu is held.
func (c *Conn) writeNow(p []byte) (int, error) {
	c.src, c.took, c.werr = p, 0, nil
	err := c.raw.Write(c.put)
	c.src = nil
	if err == nil {
		err = c.werr
	}
	if c.traffic != nil {
		c.traffic.Out.Add(c.took)
	}
	if err != nil {
		return c.took, err
	}
	if c.took < len(p) {
		c.rest = append([]byte(nil), p[c.took:]...)
		c.owes.Store(true)
	}
	return len(p), nil
}

// write is one attempt at the descriptor; it never asks to be called again.
func (c *Conn) write(fd uintptr) bool {
	var n int
	for {
		n, c.werr = sendNow(fd, c.src)
		if c.werr != syscall.EINTR {
			break
		}
	}
	c.took = max(n, 0)
	switch {
	case c.werr == syscall.EAGAIN:
		c.werr = nil
	case c.werr != nil:
		c.werr = os.NewSyscallError("write", c.werr)
	}
	return true
}
