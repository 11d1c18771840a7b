package server

import (
	"context"
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
)

// tidyMemory gives memory back to the system when the server has become quiet
// after work, until ctx ends. A burst of logins leaves garbage as large as the
// sessions themselves; the collector would keep room for it for minutes.
func tidyMemory(ctx context.Context) {
	t := time.NewTicker(tidyEvery)
	defer t.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	allocated := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before, tidied := allocated(), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := allocated()
		if now-before < quiet && now-tidied > worth {
			debug.FreeOSMemory()
			tidied = allocated()
		}
		before = now
	}
}
