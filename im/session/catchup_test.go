package session

import (
	"testing"
	"time"

	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// passing is a message that is kept nowhere: typing, a carbon.
func passing(name string) *Frame { return &Frame{Bytes: []byte(name), Kind: stanza.Message} }

// keptAt is a message that waits for a session if none takes it.
func keptAt(name string, pos Pos) *Frame {
	return &Frame{Bytes: []byte(name), Kind: stanza.Message, Pos: pos, Offline: true, Urgent: true}
}

func comesOnline(t *testing.T) (*Session, *wire) {
	t.Helper()
	s, w, _ := fresh(DefaultLimits)
	if !s.BeginCatchUp() || s.BeginCatchUp() {
		t.Fatal("a catch-up is begun once")
	}
	s.SetPresence(Presence{Available: true})
	return s, w
}

// RFC 6120 §10.1: whatever came meanwhile follows in order; only the message that was read is left out.
func TestGoLive_whatCameMeanwhileFollows(t *testing.T) {
	for name, c := range map[string]struct {
		read Pos
		want string
	}{
		"nothing waited":              {0, "typing7carbon8"},
		"one was being handed out":    {7, "typingcarbon8"},
		"read what came before":       {6, "typing7carbon8"},
		"read behind, all were later": {9, "typing7carbon8"},
	} {
		s, w := comesOnline(t)
		for _, f := range []*Frame{passing("typing"), keptAt("7", 7), passing("carbon"), keptAt("8", 8)} {
			if s.Behind(f) != Queued {
				t.Fatal("no room")
			}
		}
		if got := w.take(s); got != "" {
			t.Errorf("%s: %q overtook", name, got)
		}
		s.GoLive(c.read)
		if got := w.take(s); got != c.want {
			t.Errorf("%s: took %q, want %q", name, got, c.want)
		}
		if !s.Standing().Live || s.Standing().Catching {
			t.Errorf("%s: not live", name)
		}
	}
}

// A message that is not kept has no position, so having read nothing does not hide it.
func TestPush_afterGoLiveLeavesOutOnlyWhatWasRead(t *testing.T) {
	s, w := comesOnline(t)
	s.GoLive(7)
	s.Push(keptAt("7", 7))
	s.Push(passing("p"))
	s.Push(&Frame{Bytes: []byte("headline"), Kind: stanza.Message, Pos: 7, Urgent: true})
	s.Push(keptAt("8", 8))
	if got := w.take(s); got != "pheadline8" {
		t.Errorf("took %q", got)
	}
}

// XEP-0160 §3: a session that left while it caught up is not live, so that its next presence catches up again.
func TestGoLive_sessionThatLeft(t *testing.T) {
	for name, p := range map[string]Presence{"unavailable": {}, "negative priority": {Available: true, Priority: -1}} {
		s, w := comesOnline(t)
		f := keptAt("7", 7)
		s.Behind(f)
		s.Behind(passing("carbon"))
		s.SetPresence(p)
		s.GoLive(0)
		if st := s.Standing(); st.Live || st.Catching {
			t.Errorf("%s: %+v", name, st)
		}
		if got := w.take(s); got != "carbon" || f.Held() {
			t.Errorf("%s: took %q, held %v; what is kept elsewhere is given up, the rest is not", name, got, f.Held())
		}
		if _, bytes, _ := s.Room(); bytes != DefaultLimits.Bytes-len("carbon") {
			t.Errorf("%s: %d bytes of room", name, bytes)
		}
		// RFC 6120 §10.1: one that comes just now does not overtake those that were given up.
		s.Behind(keptAt("8", 8))
		s.Behind(passing("typing"))
		if got := w.take(s); got != "typing" {
			t.Errorf("%s: then took %q", name, got)
		}
		if !s.BeginCatchUp() {
			t.Errorf("%s: the next presence can't catch up", name)
		}
	}
}

func TestAbortCatchUp_onlyIfNotWantedAgain(t *testing.T) {
	s, _ := comesOnline(t)
	if s.AbortCatchUp() {
		t.Error("ended though the session is there for messages")
	}
	s.SetPresence(Presence{})
	if !s.AbortCatchUp() || s.Standing().Catching {
		t.Error("not ended though the session left")
	}
	s.BeginCatchUp()
	s.SetPresence(Presence{Available: true})
	s.End()
	if !s.AbortCatchUp() {
		t.Error("not ended with the session")
	}
}

// RFC 6120 §10.1: frames held back from an inactive client go before those that came during the catch-up.
func TestGoLive_heldFramesFirst(t *testing.T) {
	s, w := comesOnline(t)
	s.Switch(func(f *Flags) { f.Inactive = true })
	s.Push(&Frame{Bytes: []byte("p"), Kind: stanza.Presence})
	s.Behind(keptAt("7", 7))
	s.GoLive(0)
	if got := w.take(s); got != "p7" {
		t.Errorf("took %q", got)
	}
}

// probing is a wire that looks at its session, as one that takes a lock of its own might wait for.
type probing struct{ s *Session }

func (p *probing) Wake()              { p.s.Flags() }
func (p *probing) Kick(*stream.Error) { p.s.Flags() }

// docs/locks.md: wires are called without the session's lock.
func TestWire_isCalledWithoutTheLock(t *testing.T) {
	s, w := comesOnline(t)
	s.Detach(w, time.Unix(1, 0))
	p := &probing{s}
	if err := s.Attach(p, 0); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Behind(keptAt("7", 7))
		s.GoLive(0)
		s.Push(passing("x"))
		s.SetPresence(Presence{})
		s.BeginCatchUp()
		s.AbortCatchUp()
		s.Switch(func(f *Flags) { f.Inactive = true })
		s.Push(passing("y"))
		s.Switch(func(f *Flags) { f.Inactive = false })
		s.Kick(nil)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("a wire was called under the session's lock")
	}
}

// HARDENING F9: after a frame that found no room no later one is taken in, even if there is room again; such a
// session is ended, not resumed: what it lost is in the archive.
func TestOverflow_leavesNoGap(t *testing.T) {
	s, w, _ := fresh(Limits{Frames: 2, Bytes: 100, Held: 10})
	s.EnableSM("id", true)
	s.Push(keptAt("1", 1))
	s.Push(keptAt("2", 2))
	if s.Push(keptAt("3", 3)) != Full || !s.Overflowed() {
		t.Fatal("there was room")
	}
	w.take(s)
	if err := s.Ack(2); err != nil {
		t.Fatal(err)
	}
	if got := s.Push(keptAt("4", 4)); got != Ended {
		t.Errorf("4 was taken in though 3 is missing: %v", got)
	}
	if _, _, ended := s.Room(); !ended {
		t.Error("somebody is still told to wait for room")
	}
	s.Detach(w, time.Unix(1, 0))
	if err := s.Attach(&wire{}, 2); err == nil {
		t.Error("resumed with a gap")
	}
}
