package deliver

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// said are n messages of the server's with one id, to u0 …
func said(n int, id string) iter.Seq[*stanza.Stanza] {
	return func(yield func(*stanza.Stanza) bool) {
		for i := range n {
			st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.Normal, From: jid.MustParse("x.test"), To: jid.MustParse(fmt.Sprintf("u%d@x.test", i))}
			st.Add(elem.New(stanza.Space, "body").SetText("all hands")).Add(elem.New("urn:xmpp:sid:0", "origin-id", "id", id))
			if !yield(st) {
				return
			}
		}
	}
}

// Many recipients share transactions; each message is archived for its recipient
// and waits or is delivered; the same announcement again reaches nobody twice.
func TestAnnounce_isArchivedThenDelivered(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, session.DefaultLimits)
		there := w.bind("u3@x.test/desk")
		there.available()
		before := w.arch.Last()
		const n = 600
		for range 2 {
			sent, err := w.path.Announce(t.Context(), said(n, "one"))
			if err != nil || sent != n {
				t.Fatalf("%d %v", sent, err)
			}
		}
		if got := int(w.arch.Last() - before); got != n {
			t.Errorf("%d records, want %d", got, n)
		}
		there.until(1)
		if n := there.bodyCount(); n != 1 {
			t.Errorf("delivered %d times", n)
		}
		for who, want := range map[string]int64{"u3@x.test": 1, "u599@x.test": 1, "x.test": 0} {
			if got, err := w.arch.Count(t.Context(), archive.Query{Owner: jid.MustParse(who)}); err != nil || got != want {
				t.Errorf("archive of %s: %d %v, want %d", who, got, err, want)
			}
		}
		if got, err := w.arch.WaitingCount(t.Context(), jid.MustParse("u599@x.test")); err != nil || got != 1 {
			t.Errorf("u599 has %d waiting, %v", got, err)
		}
	})
}

func TestAnnounce_endsWithItsContext(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.DefaultLimits)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := w.path.Announce(ctx, said(3, "x")); err == nil || n != 0 {
		t.Errorf("%d %v", n, err)
	}
}

func TestEvict_oneOrAll(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.DefaultLimits)
	w.bind("u@x.test/a")
	w.bind("u@x.test/b")
	w.bind("u@x.test/c")
	w.bind("v@x.test/a")
	for _, c := range []struct {
		who       string
		ended, in int
	}{{"u@x.test/b", 1, 2}, {"u@x.test/b", 0, 2}, {"u@x.test", 2, 0}, {"nobody@x.test", 0, 0}} {
		if got := w.path.Evict(t.Context(), jid.MustParse(c.who), "why"); got != c.ended {
			t.Errorf("%s: %d ended, want %d", c.who, got, c.ended)
		}
		if got := len(w.rt.Sessions(jid.MustParse("u@x.test"))); got != c.in {
			t.Errorf("%s: %d sessions left, want %d", c.who, got, c.in)
		}
	}
	if w.rt.Session(jid.MustParse("v@x.test/a")) == nil {
		t.Error("another's session ended")
	}
}
