package archive

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// noShelf is an archive that is never asked.
type noShelf struct{}

func (noShelf) Again(context.Context, jid.JID, []session.Ref) ([]*session.Frame, error) {
	return nil, session.ErrGap
}

// HARDENING F10: what a session has given back to the archive is written down as waiting at the next sweep, and what
// it confirms afterwards is struck out; what was confirmed before is never written.
func TestLedger_givenBackWaitsAtOnce(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, c := open(t, db)
		var fanned session.Pos
		l := NewLedger(a, func() session.Pos { return fanned }, slog.New(slog.DiscardHandler))
		w := nobody{}
		s := session.New(jid.MustParse("bob@x.test/r"), session.DefaultLimits, l, w, c.t)
		s.Refer(noShelf{})
		s.EnableSM("id", true)
		const n = 100
		for range n {
			e := entry(alice, bob, "x")
			add(t, a, e)
			f := &session.Frame{Bytes: []byte("x"), Pos: e.Pos, Form: session.Itself, Offline: true, Urgent: true}
			l.Track(bob, f)
			fanned = e.Pos
			s.Push(f)
			s.Take(w, make([]*session.Frame, 0, 1))
			s.Wrote(w)
		}
		sweep := func(want int64) {
			t.Helper()
			if err := l.settle(t.Context(), func(tracked) bool { return false }, true); err != nil {
				t.Fatal(err)
			}
			if got, err := a.WaitingCount(t.Context(), bob); got != want || err != nil {
				t.Errorf("%d wait, want %d (%v)", got, want, err)
			}
		}
		ack := func(h uint32) {
			t.Helper()
			if err := s.Ack(h); err != nil {
				t.Fatal(err)
			}
		}
		ack(30)
		sweep(n - 30)
		if open, parked, struck := l.Counts(); open != 0 || parked != n-30 || struck != 0 {
			t.Errorf("%d open, %d written down, %d struck out", open, parked, struck)
		}
		ack(90)
		sweep(10)
		if left, _, _ := s.End(); len(left) != 0 {
			t.Errorf("%d frames were held still", len(left))
		}
		sweep(10)
	})
}

func TestStanzas_oneForEachInTheirOrder(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		var at []session.Pos
		for i := range 70 { // more than one statement asks for
			e := entry(alice, bob, fmt.Sprint("n", i))
			add(t, a, e)
			at = append([]session.Pos{e.Pos, e.Pos}, at...)
		}
		got, err := a.Stanzas(t.Context(), at)
		if err != nil || len(got) != len(at) {
			t.Fatal(len(got), err)
		}
		for i, k := range got {
			e := entry(alice, bob, fmt.Sprint("n", 69-i/2))
			if string(k.Stanza) != string(e.Stanza) || k.At.IsZero() {
				t.Errorf("%d: %s at %v, want %s", i, k.Stanza, k.At, e.Stanza)
			}
		}
		if _, err := a.Stanzas(t.Context(), []session.Pos{at[0], at[0] + 1}); err == nil {
			t.Error("a position without a record was passed over")
		}
		if got, err := a.Stanzas(t.Context(), nil); err != nil || len(got) != 0 {
			t.Error(got, err)
		}
		var _ route.Record = a
	})
}
