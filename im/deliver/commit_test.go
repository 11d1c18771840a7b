package deliver

import (
	"errors"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// group is n senders' messages, as the log writer gathers them.
func group(n int) (out []*submission) {
	to := jid.MustParse("b@x.test")
	for range n {
		from := jid.MustParse("a@x.test/1")
		out = append(out, &submission{done: make(chan error, 1), began: time.Now(), msgs: []*planned{{entry: &archive.Entry{
			Conversation: archive.Pair(from, to), Sender: from, Recipient: to, Stanza: []byte("<message></message>"),
			Views: []archive.View{{Owner: to, Flags: archive.Shown}}}}}})
	}
	return out
}

// HARDENING F6: while the database is locked a group fails once, and not each sender of it in turn, for each waits as long
// as the database is waited for. Who may have been kept before is not refused.
func TestCommit_databaseLocked(t *testing.T) {
	dsn := storetest.PostgreSQL(t)
	db := storetest.Open(t, dsn+"&lock_timeout=200")
	w := newWorld(t, db, session.DefaultLimits)
	w.stop() // this test is the log writer
	w.path.meter = new(meter.Meter)
	first := group(1)
	first[0].msgs[0].entry.Dedup = archive.Sending{1}
	first[0].msgs[0].mute = true
	w.path.fan = make(chan []*submission, 1)
	w.path.keep(first)
	if len(w.path.fan) != 1 {
		t.Fatalf("the first was not kept: %v", <-first[0].done)
	}

	other := storetest.Open(t, dsn+"&search_path=pg_catalog,public") // one server writes in a schema: this stands for somebody else
	held, release, free := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		free <- other.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec("LOCK TABLE public.record IN ACCESS EXCLUSIVE MODE")
			close(held)
			<-release
			return err
		})
	}()
	<-held
	const n = 8
	all := group(n)
	all[3].msgs[0].entry.Dedup = archive.Sending{1}
	w.path.keep(all)
	close(release)
	if err := <-free; err != nil {
		t.Fatal(err)
	}
	if tried := w.path.meter.Unkept.Count(); tried != n {
		t.Errorf("%d messages were tried, want %d: the group once", tried, n)
	}
	for i, sub := range all {
		err := <-sub.done
		var refused *stanza.Error
		var ended *stream.Error
		switch {
		case i == 3 && !errors.As(err, &ended):
			t.Errorf("what was kept before: %v, want the end of the stream", err)
		case i != 3 && (!errors.As(err, &refused) || refused.Type != "wait"):
			t.Errorf("sender %d: %v", i, err)
		}
	}
}

// What one sender wrote does not fail another.
func TestCommit_oneSendersMessageFails(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.DefaultLimits)
	w.stop()
	w.path.fan = make(chan []*submission, 3)
	all := group(3)
	all[1].msgs[0].entry.Stanza = nil
	all[1].msgs[0].entry.Conversation = "" // refused by the rule below
	if err := w.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("CREATE TRIGGER no BEFORE INSERT ON conversation WHEN NEW.key = '' BEGIN SELECT RAISE(ABORT, 'no'); END")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.path.keep(all)
	if len(w.path.fan) != 2 {
		t.Errorf("%d senders' messages were kept, want 2", len(w.path.fan))
	}
	var refused *stanza.Error
	if err := <-all[1].done; !errors.As(err, &refused) {
		t.Errorf("the bad one: %v", err)
	}
}
