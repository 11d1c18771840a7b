package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var alice = jid.MustParse("alice@acme.test")

func user(i int) jid.JID { return jid.MustParse(fmt.Sprintf("user%d@acme.test", i)) }

type value struct{ n int }

func TestCache_loadsOnceAndKeeps(t *testing.T) {
	var loads atomic.Int32
	c := New(Config[value]{Max: 1000, Weight: func(*value) int { return 1 },
		Load: func(context.Context, jid.JID) (*value, error) { loads.Add(1); return &value{1}, nil }})
	if c.Peek(alice) != nil {
		t.Fatal("something in memory before it was loaded")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if v, err := c.Get(t.Context(), alice); err != nil || v.n != 1 {
				t.Errorf("Get = %v, %v", v, err)
			}
		})
	}
	wg.Wait()
	if v, err := c.Get(t.Context(), alice); err != nil || v != c.Peek(alice) {
		t.Errorf("Get = %v, %v; want what Peek has", v, err)
	}
	if n := loads.Load(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

// A value read before a change was published must not stay.
func TestCache_changeDuringLoadIsNotLost(t *testing.T) {
	stored := &value{1}
	begun, goOn := make(chan struct{}), make(chan struct{})
	first := true
	c := New(Config[value]{Max: 1000, Weight: func(*value) int { return 1 },
		Load: func(context.Context, jid.JID) (*value, error) {
			v := stored
			if first {
				first = false
				close(begun)
				<-goOn
			}
			return v, nil
		}})
	done := make(chan *value)
	go func() {
		v, err := c.Get(t.Context(), alice)
		if err != nil {
			t.Error(err)
		}
		done <- v
	}()
	<-begun
	stored = &value{2} // committed while the old one is being read
	c.Update(alice, func(*value) *value { t.Error("nothing in memory to change yet"); return nil })
	close(goOn)
	if v := <-done; v.n != 2 || c.Peek(alice).n != 2 {
		t.Errorf("got %d, kept %d; want 2", v.n, c.Peek(alice).n)
	}
}

func TestCache_failedLoadIsToldAndNotKept(t *testing.T) {
	bad := errors.New("disk")
	fail := true
	c := New(Config[value]{Max: 10, Weight: func(*value) int { return 1 },
		Load: func(context.Context, jid.JID) (*value, error) {
			if fail {
				return nil, bad
			}
			return &value{3}, nil
		}})
	if _, err := c.Get(t.Context(), alice); !errors.Is(err, bad) {
		t.Fatalf("err = %v", err)
	}
	fail = false
	if v, err := c.Get(t.Context(), alice); err != nil || v.n != 3 {
		t.Errorf("Get = %v, %v", v, err)
	}
}

// A caller that gives up does not take those with it who wait for the same load.
func TestCache_waiterOutlivesLoader(t *testing.T) {
	begun := make(chan struct{})
	var calls atomic.Int32
	c := New(Config[value]{Max: 10, Weight: func(*value) int { return 1 },
		Load: func(ctx context.Context, _ jid.JID) (*value, error) {
			if calls.Add(1) == 1 {
				close(begun)
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return &value{4}, nil
		}})
	ctx, cancel := context.WithCancel(t.Context())
	loader := make(chan error)
	go func() { _, err := c.Get(ctx, alice); loader <- err }()
	<-begun
	waiter := make(chan *value)
	go func() { v, _ := c.Get(t.Context(), alice); waiter <- v }()
	cancel()
	if err := <-loader; !errors.Is(err, context.Canceled) {
		t.Errorf("loader: %v", err)
	}
	if v := <-waiter; v == nil || v.n != 4 {
		t.Errorf("waiter got %v", v)
	}
}

func TestCache_isBoundedButKeepsWhatIsInUse(t *testing.T) {
	const maxWeight, all, busy = 640, 5000, 100
	used := map[jid.JID]bool{}
	for i := range busy {
		used[user(i)] = true
	}
	c := New(Config[value]{Max: maxWeight, Weight: func(*value) int { return 1 },
		InUse: func(j jid.JID) bool { return used[j] },
		Load:  func(context.Context, jid.JID) (*value, error) { return &value{}, nil }})
	for i := range all {
		if _, err := c.Get(t.Context(), user(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range busy {
		if c.Peek(user(i)) == nil {
			t.Fatalf("%s is in use and was thrown out", user(i))
		}
	}
	if n := c.Len(); n > maxWeight+busy {
		t.Errorf("%d values in memory, want at most %d", n, maxWeight+busy)
	}
	c.Drop(user(0))
	if c.Peek(user(0)) != nil {
		t.Error("Drop did not forget")
	}
}

func TestOrder_effectsRunInOrderOfJoining(t *testing.T) {
	var o Order
	const n = 200
	turns := make([]Turn, n)
	for i := range turns {
		o.Join(&turns[i])
		o.Join(&turns[i]) // again: keeps the place
	}
	var got []int // no lock: effects never run at the same time
	var wg sync.WaitGroup
	for i := n - 1; i >= 0; i-- {
		wg.Go(func() {
			if i%7 == 0 {
				o.Leave(&turns[i], nil) // its commit failed
				return
			}
			o.Leave(&turns[i], func() { got = append(got, i) })
		})
	}
	wg.Wait()
	last := -1
	for _, i := range got {
		if i <= last {
			t.Fatalf("effect %d ran after %d", i, last)
		}
		last = i
	}
	if want := n - (n+6)/7; len(got) != want {
		t.Errorf("%d effects ran, want %d", len(got), want)
	}
}

func TestOrder_leaveWithoutJoiningDoesNotWait(t *testing.T) {
	var o Order
	var first, never Turn
	o.Join(&first)
	o.Leave(&never, func() { t.Error("ran the effect of something not committed") })
	ran := false
	o.Leave(&first, func() { ran = true })
	if !ran {
		t.Error("Leave returned before the effect had run")
	}
}
