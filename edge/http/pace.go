package http

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parlance-im/parlance/edge"
)

// Pace bounds how many requests to the API, and upgrades to WebSocket, one address (IPv6: one /64) may make: Burst at once, then so
// many in a second. It is for who asks without end; an office behind one address that starts its day stays below it. Wrong
// passwords are counted apart, and far tighter (HARDENING A8).
type Pace struct{ Burst, PerSecond int }

// DefaultPace allows 600 people behind one address to open the web client within ten seconds: three requests each.
func DefaultPace() Pace { return Pace{Burst: 1000, PerSecond: 100} }

// pacedSources bounds the table: when it is full, who is within the limit anyway is forgotten first.
const pacedSources = 1 << 14

// pacer counts requests by address: for each, when its bucket will be empty again.
type pacer struct {
	step  time.Duration // in which one request drains
	depth time.Duration // of the bucket

	mu   sync.Mutex
	full map[netip.Prefix]time.Time // owner: mu
}

func newPacer(p Pace) *pacer {
	step := time.Second / time.Duration(max(p.PerSecond, 1))
	return &pacer{step: step, depth: step * time.Duration(max(p.Burst, 1)), full: make(map[netip.Prefix]time.Time)}
}

// take counts a request; 0, or in how long there is room for it.
func (p *pacer) take(now time.Time, key netip.Prefix) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	empty := p.full[key]
	if empty.Before(now) {
		empty = now
	}
	if over := empty.Add(p.step).Sub(now) - p.depth; over > 0 {
		return over
	}
	p.room(now)
	p.full[key] = empty.Add(p.step)
	return 0
}

// room makes room for one more; mu is held.
func (p *pacer) room(now time.Time) {
	if len(p.full) < pacedSources {
		return
	}
	for k, t := range p.full {
		if t.Before(now) {
			delete(p.full, k)
		}
	}
	for k := range p.full {
		if len(p.full) < pacedSources*7/8 {
			return
		}
		delete(p.full, k)
	}
}

// paced says whether a request may go on; if not it has been answered (HARDENING A15).
func (s *Server) paced(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/ws" && !strings.HasPrefix(r.URL.Path, "/api/") {
		return true
	}
	wait := s.pace.take(time.Now(), edge.SourceKey(source(r)))
	if wait == 0 {
		return true
	}
	w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	fail(w, problem{Status: http.StatusTooManyRequests, Code: "slow-down", Detail: "Too many requests from your address. Please try again in a moment."})
	return false
}
