package main

import (
	"context"
	"math"
	"os"
	"testing"
	"time"

	"github.com/parlance-im/parlance/bench"
)

// Each workload runs briefly against the built binary: that everything comes,
// once and in order, not how fast.
func TestWorkloads_againstParlance(t *testing.T) {
	bin := os.Getenv("PARLANCE_BIN")
	if bin == "" {
		bin = "../../bin/parlance"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, err := parlance(ctx, bin, People{N: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	l := &lab{ctx: ctx}
	tests := []struct {
		name  string
		work  string
		o     bench.Options
		units int64
	}{
		{"chat at a rate", "chat", bench.Options{Sessions: 10, Rate: 200, Length: time.Second}, 200},
		{"chat in a closed loop", "chat", bench.Options{Sessions: 10, Window: 5, Count: 1003, Length: time.Minute}, 1003},
		{"login with PLAIN", "login", bench.Options{Sessions: 5, Mechanism: "PLAIN", Count: 12}, 12},
		{"login with SCRAM-SHA-1", "login", bench.Options{Sessions: 5, Mechanism: "SCRAM-SHA-1", Count: 12}, 12},
		{"login with SCRAM-SHA-256", "login", bench.Options{Sessions: 5, Mechanism: "SCRAM-SHA-256", Count: 12}, 12},
		{"idle", "idle", bench.Options{Sessions: 20, Length: 100 * time.Millisecond}, 20},
		{"archive", "archive", bench.Options{Sessions: 4, Fill: 600, Page: 50, Pages: 30}, 30},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := l.run(tt.work, merge(s.options(nil), tt.o))
			if err != nil {
				t.Fatal(err)
			}
			if r.Units != tt.units || r.Lost+r.Doubled+r.Reordered != 0 || r.Dropped != 0 {
				t.Errorf("%d units, want %d: %+v", r.Units, tt.units, r)
			}
			if r.RSS == 0 || r.Server == "" {
				t.Errorf("memory %d, server %q", r.RSS, r.Server)
			}
		})
	}
	t.Run("presence", func(t *testing.T) {
		r, err := l.run("presence", merge(s.options(nil), bench.Options{Sessions: 20, Contacts: 4, Befriend: true}))
		if err != nil {
			t.Fatal(err)
		}
		// 40 pairs: everybody sees their 4 contacts come, and of each pair one sees
		// the other go, or none if they go at the same time.
		if r.Due != 120 || r.Units < 80 || r.Units > 120 || r.Steps[1].Units != 80 {
			t.Errorf("%d of %d: %+v", r.Units, r.Due, r)
		}
	})
	t.Run("room", func(t *testing.T) {
		r, err := l.run("room", merge(s.options(nil), bench.Options{Sessions: 5, Rate: 20, Length: time.Second}))
		if err != nil || r.Units != 100 || r.Lost+r.Doubled+r.Reordered != 0 {
			t.Errorf("%v: %+v", err, r)
		}
	})
	t.Run("what is not offered", func(t *testing.T) {
		if _, err := l.run("login", merge(s.options(nil), bench.Options{Sessions: 5, Mechanism: "NOSUCH", Count: 1})); !bench.NotOffered(err) {
			t.Errorf("a mechanism that is not there: %v", err)
		}
	})
}

func TestFit_line(t *testing.T) {
	a, b := fit([]float64{1, 2, 4}, []float64{13, 16, 22})
	if math.Abs(a-10) > 1e-9 || math.Abs(b-3) > 1e-9 {
		t.Errorf("%v + %v x, want 10 + 3x", a, b)
	}
}

// Another server shows that the load generator asks for nothing of ours, and
// tries what this product does not offer.
func TestWorkloads_againstProsody(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, err := prosody(ctx, People{N: 12, Contacts: 4}, "internal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	l := &lab{ctx: ctx}
	for _, tt := range []struct {
		work  string
		o     bench.Options
		units int64
	}{
		{"chat", bench.Options{Sessions: 6, Rate: 60, Length: time.Second}, 60},
		{"login", bench.Options{Sessions: 5, Mechanism: "SCRAM-SHA-1", Count: 10}, 10},
		{"archive", bench.Options{Sessions: 2, Fill: 60, Page: 50, Pages: 4}, 4},
		{"room", bench.Options{Sessions: 5, Rate: 20, Length: time.Second}, 100},
	} {
		t.Run(tt.work, func(t *testing.T) {
			r, err := l.run(tt.work, merge(s.options(nil), tt.o))
			if err != nil {
				t.Fatal(err)
			}
			if r.Units != tt.units || r.Lost+r.Doubled+r.Reordered != 0 || r.Dropped != 0 {
				t.Errorf("%d units, want %d: %+v", r.Units, tt.units, r)
			}
		})
	}
	t.Run("presence with the rosters it was given", func(t *testing.T) {
		r, err := l.run("presence", merge(s.options(nil), bench.Options{Sessions: 12}))
		// 24 pairs; whether of two who go together one is told is the server's business.
		if err != nil || r.Due != 72 || r.Steps[1].Units != 48 {
			t.Errorf("%v: %+v", err, r)
		}
	})
}
