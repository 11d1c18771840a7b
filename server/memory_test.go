package server

import (
	"runtime"
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

func TestStorm_whileACrowdLogsIn(t *testing.T) {
	first, most := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	defer func() { debug.SetGCPercent(first); debug.SetMemoryLimit(most) }()
	gc := func() int {
		n := debug.SetGCPercent(100)
		debug.SetGCPercent(n)
		return n
	}
	limit := func() int64 { return debug.SetMemoryLimit(-1) }
	for _, c := range []struct{ usual, crowd int }{{100, stormGC}, {200, stormGC}, {30, 30}, {-1, -1}} {
		debug.SetGCPercent(c.usual)
		s := new(storm)
		s.tell(false) // it never began
		if gc() != c.usual {
			t.Errorf("%d: %d before a crowd", c.usual, gc())
		}
		s.tell(true)
		if gc() != c.crowd {
			t.Errorf("%d: %d in a crowd, want %d", c.usual, gc(), c.crowd)
		}
		if got := limit(); got >= most || got < stormSlack {
			t.Errorf("%d: limit %d in a crowd", c.usual, got)
		}
		calm(s)
		if gc() != c.usual || limit() != most {
			t.Errorf("%d: %d and limit %d after it", c.usual, gc(), limit())
		}
	}
}

// Those who have come stay: the limit follows, and never goes below what lives.
func TestStorm_limitFollowsWhatLives(t *testing.T) {
	most := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(most)
	s := new(storm)
	s.tell(true)
	defer calm(s)
	people := make([]byte, 64<<20)
	runtime.GC()
	s.look()
	least := int64(len(people))*(100+stormGC)/100 + stormSlack
	if limit := debug.SetMemoryLimit(-1); limit < least || limit > 2*least {
		t.Errorf("limit %d while 64 MiB live, want %d or a little more", limit, least)
	}
	runtime.KeepAlive(people)
}

// An operator's own limit stays when it is the stricter.
func TestStorm_stricterLimitStays(t *testing.T) {
	most := debug.SetMemoryLimit(1 << 20)
	defer debug.SetMemoryLimit(most)
	s := new(storm)
	s.tell(true)
	if got := debug.SetMemoryLimit(-1); got != 1<<20 {
		t.Errorf("limit %d in a crowd", got)
	}
	calm(s)
}

// calm ends a storm, and the time after it.
func calm(s *storm) {
	s.tell(false)
	s.timer.Stop()
	for range stormAfter {
		s.look()
	}
	s.timer.Stop()
}
