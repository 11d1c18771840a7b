package proxy

import (
	"net"
	"time"
)

// reset breaks a link on both sides at once.
func (l *link) reset() {
	l.once.Do(func() {
		close(l.ended)
		for _, c := range []net.Conn{l.client, l.server} {
			if t, ok := c.(*net.TCPConn); ok {
				_ = t.SetLinger(0)
			}
			_ = c.Close()
		}
	})
}

// chunk is what was read at once, and when it may arrive.
type chunk struct {
	data []byte
	due  time.Time
}

// carry brings what one side says to the other, until either closes. A side that
// closes its way out has that passed on; the other way stays.
func (l *link) carry(from, to net.Conn, back bool) {
	queue := make(chan chunk, 64)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for c := range queue {
			if !l.deliver(to, c, back) {
				l.reset()
				for range queue {
				}
				return
			}
		}
		if w, ok := to.(interface{ CloseWrite() error }); ok {
			_ = w.CloseWrite()
		}
	}()
	for {
		buf := make([]byte, 16<<10)
		n, err := from.Read(buf)
		if n > 0 {
			w, _ := l.p.now()
			queue <- chunk{buf[:n], time.Now().Add(w.Latency)}
		}
		if err != nil {
			break
		}
	}
	close(queue)
	<-written
}

// deliver writes a chunk when it is due and the way is free; false: the link has ended.
func (l *link) deliver(to net.Conn, c chunk, back bool) bool {
	if d := time.Until(c.due); d > 0 && !l.pause(d) {
		return false
	}
	for len(c.data) > 0 {
		w, change := l.p.now()
		select {
		case <-l.forgotten:
			<-l.ended
			return false
		default:
		}
		if back {
			select {
			case <-l.deaf:
				return true // lost
			default:
			}
		}
		if w.Hole {
			select {
			case <-change:
				continue
			case <-l.forgotten:
				continue
			case <-l.ended:
				return false
			}
		}
		n := len(c.data)
		if w.Slice > 0 {
			n = min(n, w.Slice)
		}
		if _, err := to.Write(c.data[:n]); err != nil {
			return false
		}
		c.data = c.data[n:]
	}
	return true
}

// pause waits, unless the link ends first.
func (l *link) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.ended:
		return false
	}
}
