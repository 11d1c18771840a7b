package server

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	tidyEvery = 10 * time.Second
	// quiet is how much may be allocated between two looks at a server at rest,
	// worth is how much must have been since the last tidying.
	quiet = 8 << 20
	worth = 64 << 20
	// gone is how many connections must have ended since then to be worth it, too.
	gone = 256
)

// tidyMemory gives memory back to the system when the server has become quiet
// after work, until ctx ends. A burst of logins leaves garbage as large as the
// sessions themselves, and a crowd that has left leaves what it held (HARDENING
// X8); the collector would keep room for it for minutes. open is how many
// connections there are.
func tidyMemory(ctx context.Context, open func() int) {
	t := time.NewTicker(tidyEvery)
	defer t.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	allocated := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	l := litter{before: allocated()}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if l.due(allocated(), open()) {
			runtime.GC() // the first of two takes from a pool, the second frees what was in it
			debug.FreeOSMemory()
			l.tidied = allocated()
		}
	}
}

// litter is what tidyMemory knows of the garbage, in bytes allocated since the
// start and in connections.
type litter struct {
	before uint64 // at the last look
	tidied uint64 // at the last tidying
	most   int    // connections at most since then
}

// due says whether it is time to tidy: the server is quiet, and enough was
// allocated or enough connections have ended. Tidying costs time in proportion
// to what is live, so few of many are not enough.
func (l *litter) due(now uint64, open int) bool {
	rest := now-l.before < quiet
	l.before, l.most = now, max(l.most, open)
	if !rest || now-l.tidied <= worth && l.most-open < max(gone, open/16) {
		return false
	}
	l.most = open
	return true
}

// stormGC is how much garbage is let lie while a crowd logs in, in percent of what lives;
// stormSlack is how much memory beside that is held, in bytes: for what is no heap, and
// for what was freed and will be wanted again.
const (
	stormGC    = 30
	stormSlack = 24 << 20
	stormLook  = 250 * time.Millisecond
	stormAfter = 40 // looks after its end: those who had their turn last are still logging in
)

// storm keeps memory tight while a crowd logs in (HARDENING F13): a login makes more
// garbage than anything else, and as much of it as lives is what memory would rise by.
// The limit makes the runtime give back what is freed at once: those who come and those
// who went leave holes of each other's sizes, which would be held for minutes. An
// operator's own stricter settings stay.
type storm struct {
	mu    sync.Mutex
	crowd bool
	tight bool
	rest  int   // looks until memory need be tight no more
	gc    int   // the usual percentage
	limit int64 // the usual limit, in bytes
	timer *time.Timer
}

// tell says that a crowd has come, or that it is gone.
func (s *storm) tell(crowd bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crowd, s.rest = crowd, stormAfter
	if !crowd || s.tight {
		return
	}
	s.tight = true
	if s.gc = debug.SetGCPercent(stormGC); s.gc < stormGC {
		debug.SetGCPercent(s.gc)
	}
	s.limit = debug.SetMemoryLimit(-1)
	s.hold()
	s.timer = time.AfterFunc(stormLook, s.look)
}

// look follows what lives, for those who have come stay.
func (s *storm) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.crowd {
		if s.rest--; s.rest <= 0 {
			s.tight = false
			debug.SetGCPercent(s.gc)
			debug.SetMemoryLimit(s.limit)
			return
		}
	}
	s.hold()
	s.timer.Reset(stormLook)
}

// hold sets the limit to what the collector lets the heap grow to, and little more: the
// limit alone would have it collect without end. s.mu is held.
func (s *storm) hold() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(sample)
	live := sample[0].Value.Uint64()
	want := int64(live+live*stormGC/100+sample[1].Value.Uint64()) + stormSlack
	debug.SetMemoryLimit(min(want, s.limit))
}
