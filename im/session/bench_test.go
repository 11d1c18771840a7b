package session

import (
	"testing"

	"github.com/parlance-im/parlance/xmpp/stanza"
)

// BenchmarkQueue is the way of a message through a connected session's queue: pushed,
// taken, written, and acknowledged after ten (XEP-0198 §4).
func BenchmarkQueue(b *testing.B) {
	for name, managed := range map[string]bool{"written_is_confirmed": false, "acknowledged": true} {
		b.Run(name, func(b *testing.B) {
			s, w, _ := fresh(DefaultLimits)
			s.Refer(&shelf{})
			if managed {
				s.EnableSM("id", true)
			}
			var room [32]*Frame
			f := &Frame{Bytes: make([]byte, 600), Kind: stanza.Message, Pos: 1, Form: Itself, Urgent: true}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if s.Push(f) != Queued {
					b.Fatal("full")
				}
				s.Take(w, room[:0])
				s.Wrote(w)
				if managed && i%10 == 9 {
					if err := s.Ack(uint32(i + 1)); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
