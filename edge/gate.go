package edge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ErrCrowded says that an address, or the server, has too many connections
// that are not logged in.
var ErrCrowded = errors.New("edge: too many connections that are not logged in")

// GateLimits bound connections that are not logged in (HARDENING §0, A15).
type GateLimits struct {
	PerSource int           // of one address (IPv6: of one /64)
	Total     int           // of all, waiting ones included
	Wait      time.Duration // how long one over PerSource waits for its turn
	Memory    int64         // bytes of all of them together
	Turns     int           // logins under way at a time, from the TLS handshake on; 0: as many as there are
}

// DefaultGate is HARDENING §0.
func DefaultGate() GateLimits {
	return GateLimits{PerSource: 50, Total: 20000, Wait: 10 * time.Second, Memory: 64 << 20, Turns: defaultTurns()}
}

// Gate counts connections that are not logged in. All listeners of a server share one.
type Gate struct {
	// OnCrowd, if set before anybody enters, is told when more want to log in than may
	// at a time, and when that is over. One call at a time.
	OnCrowd func(bool)

	lim GateLimits

	mu     sync.Mutex
	total  int   // mu
	memory int64 // mu
	source map[netip.Prefix]*source
	turns  turns // mu
}

type source struct {
	inside  int
	waiting []chan struct{} // first come first served
}

// NewGate makes a gate.
func NewGate(lim GateLimits) *Gate {
	return &Gate{lim: lim, source: make(map[netip.Prefix]*source)}
}

// Pass is one connection's place inside the gate.
type Pass struct {
	gate   *Gate
	key    netip.Prefix
	memory int64 // owned by the connection's reading goroutine
	done   bool

	in             *row // Gate.mu: where it stands, nil: nowhere
	before, behind *Pass
	conn           *Conn         // Gate.mu: to be closed if it keeps others out
	cut            bool          // Gate.mu: it is being closed
	turn           time.Time     // Gate.mu: when it began
	called         chan struct{} // Gate.mu: closed when its turn has come; nil if it does not wait
}

// Enter waits for a place and takes it. The error is ErrCrowded or ctx's.
func (g *Gate) Enter(ctx context.Context, addr netip.Addr) (*Pass, error) {
	key := SourceKey(addr)
	g.mu.Lock()
	if g.total >= g.lim.Total {
		g.mu.Unlock()
		return nil, ErrCrowded
	}
	g.total++
	s := g.source[key]
	if s == nil {
		s = &source{}
		g.source[key] = s
	}
	if s.inside < g.lim.PerSource {
		s.inside++
		g.mu.Unlock()
		return &Pass{gate: g, key: key}, nil
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
	g.mu.Unlock()
	return g.wait(ctx, key, s, turn)
}

func (g *Gate) wait(ctx context.Context, key netip.Prefix, s *source, turn chan struct{}) (*Pass, error) {
	t := time.NewTimer(g.lim.Wait)
	defer t.Stop()
	err := ErrCrowded
	select {
	case <-turn:
		return &Pass{gate: g, key: key}, nil
	case <-t.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range s.waiting {
		if w == turn {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			g.total--
			return nil, err
		}
	}
	return &Pass{gate: g, key: key}, nil // its turn came at the same moment
}

// Leave gives the place back; once is enough, more do nothing. It is called
// when the connection has logged in or has ended. It says whether the connection
// may go on: not if it is being cut off, for what a client was told must hold.
func (p *Pass) Leave() bool {
	if p == nil || p.done {
		return true
	}
	p.done = true
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	g.memory -= p.memory
	g.endTurn(p)
	s := g.source[p.key]
	if len(s.waiting) > 0 {
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
		return !p.cut // the place goes to who waited longest
	}
	if s.inside--; s.inside == 0 {
		delete(g.source, p.key)
	}
	return !p.cut
}

// Hold notes that the connection now holds n bytes of buffer, and says whether
// all connections together stay within the limit.
func (p *Pass) Hold(n int) bool {
	if p == nil || p.done || int64(n) == p.memory {
		return true
	}
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.memory += int64(n) - p.memory
	p.memory = int64(n)
	return g.lim.Memory <= 0 || g.memory <= g.lim.Memory
}

// Inside is how many connections are not logged in, waiting ones included.
func (g *Gate) Inside() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total
}

// SourceKey is what counts as one source: an IPv4 address, an IPv6 /64.
func SourceKey(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no IP at all (tests, unix sockets): one source
	}
	return p
}

// Source is the address a connection comes from; invalid if it has none.
func Source(c net.Conn) netip.Addr {
	if t, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
