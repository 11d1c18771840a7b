package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// shelf is an archive whose message at a position is the position's name.
type shelf struct {
	reads int
	fails int // so many readings fail
}

var errShelf = errors.New("the disk is slow today")

func (r *shelf) Again(_ context.Context, _ jid.JID, refs []Ref) (out []*Frame, err error) {
	if r.reads++; r.fails > 0 {
		r.fails--
		return nil, errShelf
	}
	for _, ref := range refs {
		out = append(out, &Frame{Bytes: []byte(text(ref.Pos, ref.Form)), Pos: ref.Pos, Form: ref.Form, Kind: stanza.Message, Urgent: true})
	}
	return out, nil
}

// text is long enough to be worth giving back.
func text(pos Pos, form Form) string {
	return fmt.Sprintf("[%d.%d%s]", pos, form, strings.Repeat(" ", 200))
}

// archived is a message that the archive can give again; the odd ones are kept for the account.
func archived(pos Pos) *Frame {
	form := Itself | WithID
	if pos%2 == 0 {
		form = Sent | Chat
	}
	return &Frame{Bytes: []byte(text(pos, form)), Pos: pos, Form: form, Offline: pos%2 == 1, Kind: stanza.Message, Urgent: true}
}

func managed(lim Limits) (*Session, *wire, *ledger, *shelf) {
	s, w, l := fresh(lim)
	r := &shelf{}
	s.Refer(r)
	s.EnableSM("id", true)
	return s, w, l, r
}

// write takes and writes until there is nothing, reading back as an edge does.
func (w *wire) write(t *testing.T, s *Session, batch int) (out string) {
	t.Helper()
	for {
		fs := s.Take(w, make([]*Frame, 0, batch))
		if len(fs) == 0 {
			more, err := s.Reload(t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				return out
			}
			continue
		}
		out += names(fs)
		s.Wrote(w)
	}
}

// HARDENING F10: what a client was sent and does not acknowledge goes back to the archive; XEP-0198 §5: on resumption
// it comes once more, the same, in order.
func TestQueue_givesBackWhatIsNotAcknowledged(t *testing.T) {
	s, w, l, r := managed(DefaultLimits)
	var all string
	for pos := Pos(1); pos <= 450; pos++ {
		f := archived(pos)
		if pos%50 == 0 { // what can't be had again keeps its place
			f = passing(fmt.Sprintf("[typing %d]", pos))
		}
		all += string(f.Bytes)
		if s.Push(f) != Queued {
			t.Fatalf("no room for %d", pos)
		}
		w.write(t, s, 8)
		if f.Offline && pos > spareFrames+8 && (!f.Given() || f.Held()) {
			t.Fatalf("%d: given %v, held %v: the ledger never writes it down", pos, f.Given(), f.Held())
		}
	}
	if _, room, _ := s.Room(); DefaultLimits.Bytes-room > 16<<10 {
		t.Errorf("%d bytes are counted for 450 references", DefaultLimits.Bytes-room)
	}
	if sent, waiting := s.Unacked(); sent != 450 || waiting != 0 {
		t.Errorf("%d sent, %d wait", sent, waiting)
	}
	if got := len(s.Unconfirmed()); got != 225 {
		t.Errorf("%d kept messages are not confirmed, want 225", got)
	}
	if err := s.Ack(100); err != nil {
		t.Fatal(err)
	}
	if len(l.taken) == 0 || !slices.IsSorted(l.taken) {
		t.Errorf("struck out %v", l.taken)
	}
	s.Detach(w, time.Unix(1, 0))
	w2 := &wire{}
	if err := s.Attach(w2, 120); err != nil {
		t.Fatal(err)
	}
	if got := w2.take(s); got != "" {
		t.Errorf("took %q before it was read back", got)
	}
	from := strings.Index(all, "[121.")
	if got := w2.write(t, s, 32); got != all[from:] {
		t.Errorf("after resumption %d bytes came, want %d, the same", len(got), len(all)-from)
	}
	if r.reads < 10 {
		t.Errorf("read in %d pages", r.reads)
	}
	if err := s.Ack(450); err != nil {
		t.Fatal(err)
	}
	if got := len(l.taken); got != 225 {
		t.Errorf("%d struck out", got)
	}
	if _, room, _ := s.Room(); room != DefaultLimits.Bytes || s.line.places != nil {
		t.Errorf("%d bytes are still counted", DefaultLimits.Bytes-room)
	}
}

// HARDENING F10: 64 KiB a session, of which the collector may double what is live.
func TestQueue_memoryOfWhoNeverAcknowledges(t *testing.T) {
	const sessions, each = 100, 450
	live := func() int {
		runtime.GC()
		runtime.GC() // the second frees what the first found in pools
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := live()
	var all []*Session
	for i := range sessions {
		s, w, _, _ := managed(DefaultLimits)
		for pos := Pos(1); pos <= each; pos++ {
			if f := archived(pos); s.Push(&Frame{Bytes: append(make([]byte, 0, 700), f.Bytes...), Pos: pos, Form: f.Form, Offline: f.Offline, Urgent: true}) != Queued {
				t.Fatal("no room")
			}
			if i%2 == 0 {
				w.write(t, s, 32)
			} else if pos == 1 {
				s.Detach(w, time.Unix(1, 0)) // hibernates from the start
			}
		}
		all = append(all, s)
	}
	per := (live() - before) / sessions
	t.Logf("%d bytes a session", per)
	if per > 32<<10 {
		t.Errorf("%d bytes are live for a session that acknowledges nothing, at most 32 KiB are allowed", per)
	}
	runtime.KeepAlive(all)
}

// A client that acknowledges as it is asked to never comes to this.
func TestQueue_givesNothingBackToWhoAcknowledges(t *testing.T) {
	s, w, _, r := managed(DefaultLimits)
	for pos := Pos(1); pos <= 1000; pos++ {
		s.Push(archived(pos))
		w.write(t, s, 32)
		if pos%20 == 0 {
			if s.line.places != nil {
				t.Fatalf("%d were given back", len(s.line.places))
			}
			if err := s.Ack(uint32(pos)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r.reads > 0 {
		t.Errorf("%d readings", r.reads)
	}
}

// HARDENING F10: what comes to a session without a connection is not kept in memory either.
func TestQueue_hibernatingGivesBackWhatWasNeverWritten(t *testing.T) {
	s, w, _, _ := managed(DefaultLimits)
	s.Push(archived(1))
	w.write(t, s, 8)
	s.Detach(w, time.Unix(1, 0))
	want := text(1, Itself|WithID)
	for pos := Pos(2); pos <= 400; pos++ {
		f := archived(pos)
		want += string(f.Bytes)
		s.Push(f)
	}
	if n := len(s.line.places); n != 400 {
		t.Errorf("%d of 400 were given back", n)
	}
	w2 := &wire{}
	if err := s.Attach(w2, 0); err != nil {
		t.Fatal(err)
	}
	s.Push(archived(401))
	want += text(401, Itself|WithID)
	if got := w2.write(t, s, 32); got != want {
		t.Errorf("after resumption %d bytes came, want %d, the same", len(got), len(want))
	}
}

// HARDENING §8: when the archive can't be read nothing is skipped; a session that fails twice is to end, and what waits is written down.
func TestReload_failure(t *testing.T) {
	s, w, _, r := managed(DefaultLimits)
	for pos := Pos(1); pos <= 100; pos++ {
		s.Push(archived(pos))
	}
	w.write(t, s, 32)
	for try := range 3 {
		s.Detach(w, time.Unix(1, 0))
		w = &wire{}
		if err := s.Attach(w, 0); err != nil {
			t.Fatalf("try %d: %v", try, err)
		}
		if try == 1 {
			if got := w.write(t, s, 32); !strings.HasPrefix(got, text(1, Itself|WithID)) || len(s.line.places) != 100 {
				t.Errorf("the second time %.20q came", got)
			}
			continue
		}
		r.fails = 1
		if got := w.take(s); got != "" {
			t.Errorf("took %.20q", got)
		}
		if more, err := s.Reload(t.Context(), w); more || !errors.Is(err, errShelf) || s.Overflowed() {
			t.Errorf("try %d: more %v, %v, overflowed %v", try, more, err, s.Overflowed())
		}
	}
	r.fails = 1
	if _, err := s.Reload(t.Context(), w); err == nil || !s.Overflowed() {
		t.Errorf("after two failures on end: %v, overflowed %v", err, s.Overflowed())
	}
	if left, _, _ := s.End(); len(left) != 0 {
		t.Errorf("%d frames were left of what the archive has", len(left))
	}
}

// Whatever a client does, it sees what was pushed, in order; after a resumption from what it had not handled, and
// the ledger hears of each kept message that was confirmed.
func TestQueue_atRandomLikeAPlainOne(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 10 {
		s, w, l, _ := managed(Limits{Frames: 5000, Bytes: 10 << 20, Held: 10})
		var pushed []string // all ever, in order
		var kept []Pos      // of them, those that a ledger follows and that were confirmed
		var offline []Pos   // by their place; 0: none
		handled, next := 0, Pos(0)
		acked := 0
		confirm := func(upto int) {
			for ; acked < upto; acked++ {
				if offline[acked] != 0 {
					kept = append(kept, offline[acked])
				}
			}
		}
		read := func(most int) {
			for n := 0; n < most; {
				fs := s.Take(w, make([]*Frame, 0, 1+rng.IntN(32)))
				if len(fs) == 0 {
					if more, err := s.Reload(t.Context(), w); err != nil {
						t.Fatal(err)
					} else if !more {
						return
					}
					continue
				}
				for _, f := range fs {
					if got := string(f.Bytes); got != pushed[handled] {
						t.Fatalf("seed %d: stanza %d is %.20q, want %.20q", seed, handled, got, pushed[handled])
					}
					handled++
				}
				n += len(fs)
				if rng.IntN(8) > 0 { // else the connection is lost before
					s.Wrote(w)
				}
			}
		}
		for range 300 {
			switch rng.IntN(7) {
			case 0, 1, 2:
				for range rng.IntN(60) {
					next++
					f := archived(next)
					if rng.IntN(10) == 0 {
						f = passing(fmt.Sprint("p", next))
					}
					f.Park() // so that the ledger hears of it however it is confirmed
					pushed = append(pushed, string(f.Bytes))
					pos := Pos(0)
					if f.Offline {
						pos = f.Pos
					}
					offline = append(offline, pos)
					if s.Push(f) != Queued {
						t.Fatal("no room")
					}
				}
			case 3, 4:
				read(rng.IntN(200))
			case 5:
				h := acked + rng.IntN(handled-acked+1)
				if err := s.Ack(uint32(h)); err != nil {
					t.Fatalf("seed %d: h=%d: %v", seed, h, err)
				}
				confirm(h)
			default:
				s.Detach(w, time.Unix(1, 0))
				handled = acked + rng.IntN(handled-acked+1) // the rest was lost on the way
				w = &wire{}
				if rng.IntN(2) == 0 {
					next++
					pushed, offline = append(pushed, string(archived(next).Bytes)), append(offline, 0)
					f := archived(next)
					f.Offline = false
					s.Push(f)
				}
				if err := s.Attach(w, uint32(handled)); err != nil {
					t.Fatal(err)
				}
				confirm(handled)
			}
		}
		read(len(pushed) + 1)
		if handled != len(pushed) {
			t.Fatalf("seed %d: %d of %d came", seed, handled, len(pushed))
		}
		if err := s.Ack(uint32(handled)); err != nil {
			t.Fatal(err)
		}
		confirm(handled)
		if !slices.Equal(kept, l.taken) {
			t.Fatalf("seed %d: %d struck out, want %d", seed, len(l.taken), len(kept))
		}
		if _, room, _ := s.Room(); room != 10<<20 || s.line.spare != 0 || s.line.spareSize != 0 {
			t.Fatalf("seed %d: counts %d bytes, %d frames of %d bytes in an empty queue", seed, 10<<20-room, s.line.spare, s.line.spareSize)
		}
	}
}
