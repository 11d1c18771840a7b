package session

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// wire is a connection that only counts.
type wire struct {
	wakes  int
	kicked []*stream.Error
}

func (w *wire) Wake()                  { w.wakes++ }
func (w *wire) Kick(r *stream.Error)   { w.kicked = append(w.kicked, r) }
func (w *wire) take(s *Session) string { return names(s.Take(w, make([]*Frame, 0, 100))) }

type ledger struct{ taken []Pos }

func (l *ledger) Taken(_ jid.JID, p Pos) { l.taken = append(l.taken, p) }

func names(fs []*Frame) (out string) {
	for _, f := range fs {
		out += string(f.Bytes)
	}
	return out
}

func frame(name string) *Frame {
	return &Frame{Bytes: []byte(name), Kind: stanza.Message, Urgent: true}
}

func fresh(lim Limits) (*Session, *wire, *ledger) {
	w, l := &wire{}, &ledger{}
	return New(jid.MustParse("a@x.test/r"), lim, l, w, time.Unix(0, 0)), w, l
}

func TestQueue_withoutStreamManagementWrittenIsConfirmed(t *testing.T) {
	s, w, _ := fresh(DefaultLimits)
	s.Push(frame("1"))
	s.Push(frame("2"))
	if got := w.take(s); got != "12" {
		t.Fatalf("took %q", got)
	}
	s.Wrote(w)
	s.Push(frame("3"))
	left, _, first := s.End()
	if got := names(left); got != "3" || !first {
		t.Errorf("left %q, first %v; want only what was not written", got, first)
	}
	if s.Push(frame("4")) != Ended {
		t.Error("an ended session took a frame")
	}
}

// XEP-0198 §4: h confirms a prefix; §5: the rest is sent again on resumption.
func TestQueue_resumptionSendsUnacknowledgedAgain(t *testing.T) {
	s, w, _ := fresh(DefaultLimits)
	s.Push(frame("0"))
	w.take(s)
	s.Wrote(w)
	s.EnableSM("id", true)
	for i := 1; i <= 4; i++ {
		s.Push(frame(fmt.Sprint(i)))
	}
	if got := w.take(s); got != "1234" {
		t.Fatalf("took %q", got)
	}
	s.Wrote(w)
	if err := s.Ack(1); err != nil {
		t.Fatal(err)
	}
	if !s.Detach(w, time.Unix(1, 0)) {
		t.Fatal("not detached")
	}
	s.Push(frame("5"))
	again := &wire{}
	if err := s.Attach(again, 2); err != nil {
		t.Fatal(err)
	}
	if got := w.take(s); got != "" {
		t.Errorf("the old connection took %q", got)
	}
	if got := again.take(s); got != "345" {
		t.Errorf("after resumption took %q, want what h=2 did not cover", got)
	}
	if got := s.Sent(); got != 5 {
		t.Errorf("sent %d, want 5", got)
	}
}

// XEP-0198 §4: more acknowledged than sent is an error.
func TestAck_tooHigh(t *testing.T) {
	s, w, _ := fresh(DefaultLimits)
	s.EnableSM("id", true)
	s.Push(frame("1"))
	w.take(s)
	for _, h := range []uint32{2, 1 << 31, 1<<32 - 1} {
		if err := s.Ack(h); !errors.Is(err, ErrHandledCount) {
			t.Errorf("h=%d: %v", h, err)
		}
	}
	if err := s.Ack(1); err != nil {
		t.Error(err)
	}
	if err := s.Ack(0); !errors.Is(err, ErrHandledCount) {
		t.Errorf("h going back: %v", err)
	}
	if err := s.Attach(&wire{}, 0); !errors.Is(err, ErrEnded) {
		t.Errorf("a session that is connected took another connection: %v", err)
	}
	s.Detach(w, time.Unix(1, 0))
	if err := s.Attach(&wire{}, 7); !errors.Is(err, ErrHandledCount) {
		t.Errorf("resume with h=7: %v", err)
	}
}

// XEP-0198 §4: counters wrap at 2^32.
func TestAck_wrapsAround(t *testing.T) {
	s, w, _ := fresh(DefaultLimits)
	s.EnableSM("id", true)
	s.sm.Acked = 1<<32 - 2
	for i := range 4 {
		s.Push(frame(fmt.Sprint(i)))
	}
	w.take(s)
	if err := s.Ack(1); err != nil {
		t.Fatal(err)
	}
	if sent, _ := s.Unacked(); sent != 1 {
		t.Errorf("%d unacknowledged, want 1", sent)
	}
}

func TestPush_fullQueue(t *testing.T) {
	s, _, _ := fresh(Limits{Frames: 2, Bytes: 100, Held: 10})
	s.Push(frame("1"))
	s.Push(frame("2"))
	if got := s.Push(frame("3")); got != Full {
		t.Errorf("third of two: %v", got)
	}
	b, _, _ := fresh(Limits{Frames: 10, Bytes: 3, Held: 10})
	if got := b.Push(frame("1234")); got != Full {
		t.Errorf("four bytes of three: %v", got)
	}
}

// XEP-0352 §5: presence of one sender is replaced, a message lets all through in order.
func TestInactive_holdsAndCoalesces(t *testing.T) {
	s, w, _ := fresh(DefaultLimits)
	s.Switch(func(f *Flags) { f.Inactive = true })
	p := func(name, who string) *Frame {
		return &Frame{Bytes: []byte(name), Kind: stanza.Presence, Replaces: who}
	}
	s.Push(p("a1", "a"))
	s.Push(p("b1", "b"))
	s.Push(p("a2", "a"))
	if got := w.take(s); got != "" || w.wakes != 0 {
		t.Fatalf("an inactive client got %q", got)
	}
	s.Push(frame("M"))
	if got := w.take(s); got != "b1a2M" {
		t.Errorf("took %q", got)
	}
	s.Push(p("c1", "c"))
	s.Switch(func(f *Flags) { f.Inactive = false })
	if got := w.take(s); got != "c1" {
		t.Errorf("active again, took %q", got)
	}
}

func TestParked_takenIsStruckOut(t *testing.T) {
	s, w, l := fresh(DefaultLimits)
	f := &Frame{Bytes: []byte("m"), Kind: stanza.Message, Pos: 7, Offline: true, Urgent: true}
	s.Push(f)
	if !f.Held() {
		t.Error("a queued frame is not held")
	}
	f.Park()
	w.take(s)
	s.Wrote(w)
	if !f.Taken() || f.Held() || len(l.taken) != 1 || l.taken[0] != 7 {
		t.Errorf("taken %v, held %v, struck out %v", f.Taken(), f.Held(), l.taken)
	}
}

func TestHeld_onlyWhileConnected(t *testing.T) {
	s, w, _ := fresh(DefaultLimits)
	s.EnableSM("id", true)
	f := &Frame{Bytes: []byte("m"), Kind: stanza.Message, Pos: 7, Offline: true, Urgent: true}
	s.Push(f)
	s.Detach(w, time.Unix(1, 0))
	if f.Held() {
		t.Error("held by a session without a connection")
	}
	w2 := &wire{}
	if err := s.Attach(w2, 0); err != nil || !f.Held() {
		t.Errorf("after resumption: %v, held %v", err, f.Held())
	}
	s.End()
	if f.Held() || f.Taken() {
		t.Error("an ended session still holds or has taken the frame")
	}
}

func TestPos_roundTrip(t *testing.T) {
	for _, p := range []Pos{1, 42, At(3, 9), At(1<<20-1, 1<<43-1)} {
		got, ok := ParsePos(p.String())
		if !ok || got != p {
			t.Errorf("%s: %v %v", p, got, ok)
		}
	}
	for _, bad := range []string{"", "0", "01", "-1", "+1", "1a", "18446744073709551616", "9223372036854775808", "1'--"} {
		if p, ok := ParsePos(bad); ok {
			t.Errorf("%q read as %s", bad, p)
		}
	}
}

// XEP-0198 §4, HARDENING §8: what was refused counts as handled only if the refusal found room.
func TestCountIn_notAfterAnOverflow(t *testing.T) {
	s, _, _ := fresh(Limits{Frames: 1, Bytes: 100, Held: 10})
	s.EnableSM("id", true)
	s.Push(passing("error for 1"))
	s.CountIn(1)
	if s.Push(passing("error for 2")) != Full {
		t.Fatal("there was room")
	}
	s.CountIn(1)
	if h := s.Handled(); h != 1 {
		t.Errorf("h is %d, want 1: the second refusal never reaches the client", h)
	}
}
