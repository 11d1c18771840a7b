package server

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
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

// stormGC is how much garbage is let lie while a crowd logs in, in percent of what lives.
const stormGC = 50

// tightMemory is told when a crowd logs in (HARDENING F13): a login makes more garbage
// than anything else, and as much of it as lives is what memory would rise by. An
// operator's own stricter setting stays.
func tightMemory() func(crowd bool) {
	usual := 0
	return func(crowd bool) {
		if !crowd {
			debug.SetGCPercent(usual)
			return
		}
		if usual = debug.SetGCPercent(stormGC); usual < stormGC {
			debug.SetGCPercent(usual)
		}
	}
}
