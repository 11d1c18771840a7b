package visit

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	alice = jid.MustParse("alice@acme.test")
	bob   = jid.MustParse("bob@acme.test")
)

func open(t *testing.T, db *store.DB) *Store {
	t.Helper()
	if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
		t.Fatal(err)
	}
	return New(db, slog.New(slog.DiscardHandler))
}

func (s *Store) wants(t *testing.T, who jid.JID, want Visits) {
	t.Helper()
	got, err := s.Get(t.Context(), who)
	if err != nil || got != want {
		t.Errorf("%s: %v %v, want %v", who, got, err, want)
	}
}

// What was noted is found at once, and after it was written, and both together.
func TestVisits_inMemoryAndOnDisk(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		s, at := open(t, db), time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
		s.wants(t, alice, Visits{})
		s.Note(alice, at)
		s.wants(t, alice, Visits{at, at, 1})
		for range 2 { // the second has nothing to do
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.wants(t, alice, Visits{at, at, 1})
		s.Note(alice, at.Add(time.Hour))
		s.Note(alice, at.Add(2*time.Hour))
		s.wants(t, alice, Visits{at, at.Add(2 * time.Hour), 3})
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		New(db, nil).wants(t, alice, Visits{at, at.Add(2 * time.Hour), 3})
		s.wants(t, bob, Visits{})
	})
}

func TestVisits_aFailedWriteLosesNothing(t *testing.T) {
	db := storetest.SQLite(t)
	s, at := open(t, db), time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	s.Note(alice, at)
	if err := db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(`ALTER TABLE visit RENAME TO away`); return err }); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err == nil {
		t.Fatal("a write without its table succeeds")
	}
	s.Note(alice, at.Add(time.Hour))
	if err := db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(`ALTER TABLE away RENAME TO visit`); return err }); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	New(db, nil).wants(t, alice, Visits{at, at.Add(time.Hour), 2})
}

func TestVisits_goWithTheAccount(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		s, at := open(t, db), time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
		s.Note(alice, at)
		s.Note(bob, at)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Note(alice, at.Add(time.Hour))
		undone := errors.New("undone")
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return s.Forget(tx, alice) }); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return errors.Join(s.Forget(tx, bob), undone) }); !errors.Is(err, undone) {
			t.Fatal(err)
		}
		s.wants(t, alice, Visits{})
		s.wants(t, bob, Visits{at, at, 1})
	})
}

// Joining what came before and what came later keeps the ends and the count.
func TestAdd_table(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		a, b := Visits{now, now.Add(1), 2}, Visits{now.Add(2), now.Add(3), 4}
		for _, c := range []struct{ a, b, want Visits }{
			{Visits{}, Visits{}, Visits{}}, {a, Visits{}, a}, {Visits{}, b, b}, {a, b, Visits{now, now.Add(3), 6}},
		} {
			if got := add(c.a, c.b); got != c.want {
				t.Errorf("%v and %v: %v", c.a, c.b, got)
			}
		}
	})
}
