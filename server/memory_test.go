package server

import "testing"

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
