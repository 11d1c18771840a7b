package server

import (
	"runtime/debug"
	"testing"
)

func TestTidy_whenItIsDue(t *testing.T) {
	const mib = 1 << 20
	type look struct {
		allocated uint64 // in MiB since the start
		open      int
		due       bool
	}
	for name, looks := range map[string][]look{
		"at rest":                         {{1, 0, false}, {2, 0, false}, {3, 0, false}},
		"work, then rest":                 {{100, 500, false}, {101, 500, true}, {102, 500, false}},
		"little work":                     {{30, 10, false}, {31, 10, false}},
		"a crowd has left":                {{40, 3000, false}, {41, 3000, false}, {42, 10, true}, {43, 10, false}},
		"tidied while the crowd is there": {{100, 3000, false}, {101, 3000, true}, {102, 3000, false}, {103, 10, true}, {104, 10, false}},
		"it leaves in small groups":       {{40, 400, false}, {41, 300, false}, {42, 200, false}, {43, 100, true}, {44, 0, false}},
		"few of many":                     {{40, 18000, false}, {41, 17000, false}, {42, 16000, true}},
		"not while there is work":         {{40, 3000, false}, {80, 10, false}, {120, 10, false}, {121, 10, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var l litter
			for i, k := range looks {
				if due := l.due(k.allocated*mib, k.open); due != k.due {
					t.Errorf("look %d: %v", i, due)
				}
				if k.due {
					l.tidied = k.allocated * mib
				}
			}
		})
	}
}

func TestTightMemory_whileACrowdLogsIn(t *testing.T) {
	first := debug.SetGCPercent(100)
	defer debug.SetGCPercent(first)
	now := func() int {
		n := debug.SetGCPercent(100)
		debug.SetGCPercent(n)
		return n
	}
	for _, c := range []struct{ usual, crowd int }{{100, stormGC}, {200, stormGC}, {30, 30}, {-1, -1}} {
		debug.SetGCPercent(c.usual)
		tell := tightMemory()
		if tell(true); now() != c.crowd {
			t.Errorf("%d: %d in a crowd, want %d", c.usual, now(), c.crowd)
		}
		if tell(false); now() != c.usual {
			t.Errorf("%d: %d after it", c.usual, now())
		}
	}
}
