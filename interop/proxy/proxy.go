package proxy

import (
	"net"
	"sync"
	"time"
)

// Weather is what the network does to everything that passes.
type Weather struct {
	Latency time.Duration // each way
	Slice   int           // bytes of one write at most; 0: as they come
	Hole    bool          // nothing passes and nothing closes
}

// Proxy listens and carries what comes to its target.
type Proxy struct {
	ln              net.Listener
	network, target string
	wg              sync.WaitGroup

	mu      sync.Mutex
	links   []*link       // owner: mu; oldest first
	weather Weather       // owner: mu
	change  chan struct{} // owner: mu; closed when the weather changes
	closed  bool          // owner: mu
	made    int           // owner: mu
}

// link is one client's connection and the one to the server that goes with it.
type link struct {
	p              *Proxy
	client, server net.Conn
	once           sync.Once
	ended          chan struct{}

	forgotten chan struct{} // closed: nothing passes any more
	deaf      chan struct{} // closed: what the server says is lost
	muted     sync.Once
	lost      sync.Once
}

// Listen opens a proxy: network is tcp or unix for both sides.
func Listen(network, addr, target string) (*Proxy, error) {
	ln, err := net.Listen(network, addr)
	if err != nil {
		return nil, err
	}
	p := &Proxy{ln: ln, network: network, target: target, change: make(chan struct{})}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where clients connect to.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.open(c) })
	}
}

func (p *Proxy) open(c net.Conn) {
	s, err := net.DialTimeout(p.network, p.target, 10*time.Second)
	if err != nil {
		_ = c.Close()
		return
	}
	l := &link{p: p, client: c, server: s, ended: make(chan struct{}), forgotten: make(chan struct{}), deaf: make(chan struct{})}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		l.reset()
		return
	}
	p.links = append(p.links, l)
	p.made++
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { l.carry(c, s, false) })
	both.Go(func() { l.carry(s, c, true) })
	both.Wait()
	l.reset()
	p.mu.Lock()
	for i, x := range p.links {
		if x == l {
			p.links = append(p.links[:i], p.links[i+1:]...)
			break
		}
	}
	p.mu.Unlock()
}

// Set changes the weather for all links, new and old.
func (p *Proxy) Set(w Weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weather = w
	close(p.change)
	p.change = make(chan struct{})
}

func (p *Proxy) now() (Weather, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.weather, p.change
}

func (p *Proxy) all() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*link(nil), p.links...)
}

// Links is how many there are now, and how many there were.
func (p *Proxy) Links() (now, made int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links), p.made
}

// pick is the nth link, counted round; nil if there is none.
func (p *Proxy) pick(n int) *link {
	all := p.all()
	if len(all) == 0 {
		return nil
	}
	return all[n%len(all)]
}

// Reset breaks the nth link on both sides (TCP: RST) and says whether there was one.
func (p *Proxy) Reset(n int) bool {
	l := p.pick(n)
	if l != nil {
		l.reset()
	}
	return l != nil
}

// ResetAll breaks every link.
func (p *Proxy) ResetAll() (n int) {
	for _, l := range p.all() {
		l.reset()
		n++
	}
	return n
}

// HalfClose ends the nth link's way to the server; the way back stays open.
func (p *Proxy) HalfClose(n int) bool {
	l := p.pick(n)
	if l == nil {
		return false
	}
	if w, ok := l.server.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
	return true
}

// Forget makes every present link silent for ever: neither side hears of it.
func (p *Proxy) Forget() (n int) {
	for _, l := range p.all() {
		l.lost.Do(func() { close(l.forgotten) })
		n++
	}
	return n
}

// Deafen loses what the server says from now on, on every present link; what
// the client says still arrives. The link breaks after a while.
func (p *Proxy) Deafen(then time.Duration) (n int) {
	for _, l := range p.all() {
		l.muted.Do(func() { close(l.deaf) })
		time.AfterFunc(then, l.reset)
		n++
	}
	return n
}

// Close ends everything and waits for it.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.ln.Close()
	p.ResetAll()
	p.wg.Wait()
}
