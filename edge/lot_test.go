package edge_test

import (
	"io"
	"testing"
	"time"

	"github.com/parlance-im/parlance/edge"
)

// sleeper tells what it was roused by.
type sleeper chan bool

func (s sleeper) Rouse(overdue bool) { s <- overdue }

func roused(t *testing.T, s sleeper, overdue bool) {
	t.Helper()
	select {
	case got := <-s:
		if got != overdue {
			t.Fatalf("roused with overdue %v", got)
		}
	case <-time.After(patience):
		t.Fatal("never roused")
	}
}

func TestLot_rousesForWhateverHappens(t *testing.T) {
	lot := &edge.Lot{Tick: 10 * time.Millisecond}
	defer lot.Close()
	s, c := pair(t)
	owner := make(sleeper, 1)
	late := time.Now().Add(time.Hour)
	park := func(until time.Time) {
		t.Helper()
		if !lot.Park(s, owner, until) {
			t.Fatal("not taken")
		}
	}
	say := func() {
		t.Helper()
		if _, err := io.WriteString(c, "x"); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 8)

	park(late)
	if lot.Parked() != 1 {
		t.Errorf("%d parked", lot.Parked())
	}
	say() // bytes that come while it is parked
	roused(t, owner, false)
	if lot.Parked() != 0 {
		t.Errorf("%d parked", lot.Parked())
	}
	park(late) // bytes that are there already
	roused(t, owner, false)
	if _, err := s.Read(buf); err != nil {
		t.Fatal(err)
	}
	park(time.Now().Add(30 * time.Millisecond)) // its time
	roused(t, owner, true)
	park(late) // somebody calls
	lot.Rouse(s)
	lot.Rouse(s)
	roused(t, owner, false)
	say() // an event for one who is not parked is nobody's
	if _, err := s.Read(buf); err != nil {
		t.Fatal(err)
	}
	park(late)
	c.Close() // the end
	roused(t, owner, false)
	lot.Leave(s)
	lot.Leave(s)
	s.Close()
	lot.Rouse(s)
	if len(owner) > 0 {
		t.Error("roused more often than parked")
	}
	if lot.Park(s, owner, late) {
		t.Error("a closed connection was taken")
	}
	lot.Leave(s)
}

func TestLot_placesAreUsedAgain(t *testing.T) {
	lot := &edge.Lot{Tick: 10 * time.Millisecond}
	defer lot.Close()
	late := time.Now().Add(time.Hour)
	for range 20 {
		s, c := pair(t)
		owner := make(sleeper, 1)
		if !lot.Park(s, owner, late) {
			t.Fatal("not taken")
		}
		if _, err := io.WriteString(c, "x"); err != nil {
			t.Fatal(err)
		}
		roused(t, owner, false)
		lot.Leave(s)
		s.Close()
		c.Close()
	}
}

func TestLot_closeRousesAll(t *testing.T) {
	lot := &edge.Lot{}
	s, _ := pair(t)
	owner := make(sleeper, 1)
	if !lot.Park(s, owner, time.Now().Add(time.Hour)) {
		t.Fatal("not taken")
	}
	lot.Close()
	lot.Close()
	roused(t, owner, false)
	if lot.Park(s, owner, time.Now()) {
		t.Error("taken after the end")
	}
}

func TestLot_takesSocketsAlone(t *testing.T) {
	var lot edge.Lot
	defer lot.Close()
	a, b := io.Pipe()
	defer a.Close()
	defer b.Close()
	if lot.Park(edge.NewConn(nil), make(sleeper), time.Now()) {
		t.Error("taken")
	}
}
