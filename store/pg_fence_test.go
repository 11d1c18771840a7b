package store_test

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

// HARDENING F6: PostgreSQL does not notice that a client is gone while it works on its COMMIT, and
// commits. Whoever looks for the outcome on the next connection must not be too early.
func TestPG_lostCommitIsFinalWhenLookedFor(t *testing.T) {
	onPG(t, func(t *testing.T, dsn string) {
		c, cut := newCutter(t, dsn)
		db := storetest.Open(t, cut)
		migrate(t, db)
		watch := storetest.Open(t, dsn+"&application_name=watch", storetest.Aside)
		slow := []string{
			`CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); RETURN NULL; END'`,
			`CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()`,
		}
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			for _, q := range slow {
				if _, err := tx.Exec(q); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var session int
		ask := func(q string) (n int) {
			err := watch.Read(t.Context(), func(tx *store.Tx) error { return tx.Row(q, session).Scan(&n) })
			if err != nil {
				t.Error(err)
			}
			return n
		}
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return tx.Row(`SELECT pg_backend_pid()`).Scan(&session) }); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- add(db, t, "late") }()
		for ask(`SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid = $1`) == 0 {
			select {
			case err := <-done:
				t.Fatalf("the write ended before its COMMIT was seen: %v", err)
			default:
			}
		}
		c.cutAll()
		if err := <-done; !store.IsAmbiguous(err) {
			t.Fatalf("got %v", err)
		}
		looked := -1
		if err := db.Write(t.Context(), func(tx *store.Tx) error {
			return tx.Row(`SELECT count(*) FROM item`).Scan(&looked)
		}); err != nil {
			t.Fatal(err)
		}
		for ask(`SELECT count(*) FROM pg_stat_activity WHERE pid = $1`) > 0 { // it may go on to commit after all
		}
		if n := count(t, db); n != looked {
			t.Errorf("%d rows when it was looked for, %d afterwards", looked, n)
		}
	})
}

// A second server on one database would give its records the same positions.
func TestPG_secondWriterIsRefused(t *testing.T) {
	onPG(t, func(t *testing.T, dsn string) {
		db := storetest.Open(t, dsn)
		migrate(t, db)
		second, err := store.Open(t.Context(), store.Options{DSN: dsn})
		if err == nil {
			t.Fatalf("two writers: %v", second.Close())
		}
		if !strings.Contains(err.Error(), "another server writes to this database") {
			t.Errorf("got %v", err)
		}
		aside := storetest.Open(t, dsn, storetest.Aside)
		if n := count(t, aside); n != 0 {
			t.Errorf("%d rows", n)
		}
		if err := add(aside, t, "x"); err == nil {
			t.Error("whoever stands aside wrote")
		}
		if err := add(db, t, "y"); err != nil {
			t.Error(err)
		}
	})
}
