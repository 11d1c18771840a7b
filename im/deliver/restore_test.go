package deliver

import (
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// An import keeps times, and positions where the log is not beyond them; nobody
// is sent it but who had not got it; once more changes nothing.
func TestRestore_keepsTimesAndPositions(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, session.DefaultLimits)
		a, b := jid.MustParse("a@x.test"), jid.MustParse("b@x.test")
		there := w.bind("b@x.test/desk")
		there.available()
		at := time.Date(2020, 1, 2, 3, 4, 5, 678000, time.UTC)
		message := func(text string) *stanza.Stanza {
			st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.Chat, From: jid.MustParse("a@x.test/1"), To: b}
			return st.Add(elem.New(stanza.Space, "body").SetText(text))
		}
		list := []Restored{
			{Stanza: message("one"), At: at, Owners: []jid.JID{a, b}, Had: 100},
			{Stanza: message("two"), At: at.Add(time.Second), Owners: []jid.JID{b}, Had: 200},
			{Stanza: message("late"), At: at.Add(2 * time.Second), Owners: []jid.JID{b}, Waiting: a, Had: 7},
		}
		for range 2 {
			if err := w.path.Restore(t.Context(), list); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.path.Restore(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for who, want := range map[jid.JID][]session.Pos{a: {100}, b: {100, 200, 201}} {
			p, err := w.arch.Read(t.Context(), archive.Query{Owner: who, Max: 10})
			if err != nil || len(p.Messages) != len(want) {
				t.Fatalf("%s: %v %v", who, p.Messages, err)
			}
			for i, k := range p.Messages {
				if k.Pos != want[i] || k.At.Year() != 2020 {
					t.Errorf("%s: %d at %s, want %d", who, k.Pos, k.At, want[i])
				}
			}
		}
		if n, err := w.arch.WaitingCount(t.Context(), a); n != 1 || err != nil {
			t.Errorf("%d wait for a, %v", n, err)
		}
		if n := there.bodyCount(); n != 0 {
			t.Errorf("%d messages of the past were delivered", n)
		}
		// The log goes on behind them.
		sent, err := w.path.Announce(t.Context(), said(1, "next"))
		if err != nil || sent != 1 || w.arch.Last() != 202 {
			t.Errorf("%d %v, last %d", sent, err, w.arch.Last())
		}
	})
}
