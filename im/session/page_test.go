package session

import "testing"

func TestPushAll_wakesOnce(t *testing.T) {
	s, w, _ := fresh(Limits{Frames: 5, Bytes: 1000, Held: 10})
	s.flags.Inactive = true
	calm := frame("a")
	calm.Urgent = false
	s.Push(calm) // held: the client is inactive
	if n, o := s.PushAll([]*Frame{frame("1"), frame("2"), frame("3")}); n != 3 || o != Queued || w.wakes != 1 {
		t.Errorf("%d taken, %v, %d wakes", n, o, w.wakes)
	}
	if got := w.take(s); got != "a123" {
		t.Errorf("took %q: what was held goes first", got)
	}
	if n, o := s.PushAll(nil); n != 0 || o != Queued || w.wakes != 1 {
		t.Errorf("nothing: %d taken, %v, %d wakes", n, o, w.wakes)
	}
}

func TestPushAll_stopsWhereThereIsNoRoom(t *testing.T) {
	s, w, _ := fresh(Limits{Frames: 2, Bytes: 1000, Held: 10})
	if n, o := s.PushAll([]*Frame{frame("1"), frame("2"), frame("3"), frame("4")}); n != 2 || o != Full || w.wakes != 1 {
		t.Errorf("%d taken, %v, %d wakes", n, o, w.wakes)
	}
	s.End()
	if n, o := s.PushAll([]*Frame{frame("5")}); n != 0 || o != Ended {
		t.Errorf("an ended session: %d taken, %v", n, o)
	}
}
