package session

import (
	"fmt"
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// HARDENING §0: presence of a room costs places of its own, up to a bound; the
// limits of everything else stand, and hold again when it was confirmed.
func TestCrowd_countsApart(t *testing.T) {
	s, w, _ := fresh(Limits{Frames: 5, Bytes: 1000, Held: 100})
	s.EnableSM("id", true)
	room := func(i int) *Frame {
		return &Frame{Bytes: []byte(fmt.Sprintf("<presence from='r@c/%d'/>", i)), NameEnd: 9, Kind: stanza.Presence, Addressed: true}
	}
	const many = 2000
	for i := range many {
		if s.Push(room(i)) != Queued {
			t.Fatalf("no room for presence %d", i)
		}
	}
	for i := range 5 {
		if s.Push(frame(fmt.Sprint(i))) != Queued {
			t.Fatalf("message %d found no room behind a crowd", i)
		}
	}
	for taken := 0; taken < many+5; {
		fs := s.Take(w, make([]*Frame, 0, 100))
		taken += len(fs)
		s.Wrote(w)
	}
	if err := s.Ack(many); err != nil {
		t.Fatal(err)
	}
	if frames, _, _ := s.Room(); frames != 0 {
		t.Errorf("room for %d frames, want none: five wait", frames)
	}
	if err := s.Ack(many + 5); err != nil {
		t.Fatal(err)
	}
	if frames, bytes, _ := s.Room(); frames != 5 || bytes != 1000 {
		t.Errorf("room for %d frames and %d bytes when all is confirmed", frames, bytes)
	}
	for i := range crowdMost {
		if s.Push(room(i)) != Queued {
			t.Fatalf("no room for presence %d", i)
		}
	}
	if s.Push(room(0)) != Full {
		t.Error("a crowd has no bound")
	}
}

// HARDENING §0: a crowd of few, whose presence is as long as a stanza may be, is no way
// around the bytes a session may have waiting. Presence of contacts is none at all.
func TestCrowd_bytesAreBounded(t *testing.T) {
	long := make([]byte, 256<<10)
	for bare, most := range map[bool]int{false: crowdBytes, true: 1 << 20} {
		s, _, _ := fresh(DefaultLimits)
		s.EnableSM("id", true)
		n := 0
		for s.Push(&Frame{Bytes: long, NameEnd: 9, Kind: stanza.Presence, Addressed: true, Bare: bare}) == Queued {
			if n++; n*len(long) > most {
				t.Fatalf("%d bytes wait, at most %d (a contact's: %v)", n*len(long), most, bare)
			}
		}
		if n*len(long) < most/2 {
			t.Errorf("%d bytes found room, %d are granted (a contact's: %v)", n*len(long), most, bare)
		}
	}
}

// RFC 6120 §8.1.1.1: each recipient's own address goes into what is shared.
func TestFrame_addressed(t *testing.T) {
	f := &Frame{Bytes: []byte("<message from='r@c/a'><body/></message>"), NameEnd: 8, Kind: stanza.Message, Addressed: true}
	got := string(f.AppendTo(nil, jid.MustParse("o@x.test/it's")))
	if want := `<message to="o@x.test/it's" from='r@c/a'><body/></message>`; got != want && got != "<message to='o@x.test/it&apos;s' from='r@c/a'><body/></message>" {
		t.Errorf("%s, want %s", got, want)
	}
	// RFC 6121 §4.2.2: presence of a contact goes to the account.
	f = &Frame{Bytes: []byte("<presence from='a@x.test/1'/>"), NameEnd: 9, Kind: stanza.Presence, Addressed: true, Bare: true}
	if got := string(f.AppendTo(nil, jid.MustParse("o@x.test/r"))); got != `<presence to="o@x.test" from='a@x.test/1'/>` && got != "<presence to='o@x.test' from='a@x.test/1'/>" {
		t.Errorf("%s", got)
	}
}
