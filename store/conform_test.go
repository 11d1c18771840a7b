package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

const schema = `CREATE TABLE item (id TEXT NOT NULL, n BIGINT, b BYTES, note TEXT, PRIMARY KEY (id)) /*NOROWID*/;
CREATE TABLE entry (seq AUTOID, what TEXT NOT NULL UNIQUE);
`

const (
	addItem = `INSERT INTO item (id, n, b, note) VALUES ($1, $2, $3, $4)`
	getItem = `SELECT n, b, note FROM item WHERE id = $1`
	counted = `SELECT count(*) FROM item`
)

func set(name, text string) store.Migrations {
	return store.Migrations{Name: "test", FS: fstest.MapFS{name: {Data: []byte(text)}}}
}

func migrate(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.Migrate(t.Context(), []store.Migrations{set("20261123_0100_item.sql", schema)}); err != nil {
		t.Fatal(err)
	}
}

func both(t *testing.T, fn func(t *testing.T, db *store.DB)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		migrate(t, db)
		fn(t, db)
	})
}

func put(tx *store.Tx, id string, n any) error {
	_, err := tx.Exec(addItem, id, n, nil, nil)
	return err
}

func count(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	err := db.Read(context.Background(), func(tx *store.Tx) error { return tx.Row(counted).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTx_valuesComeBack(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		long := strings.Repeat("ü", 40_000)
		for i, v := range []struct {
			n    any
			b    []byte
			note any
			// what is read
			num  int64
			text string
		}{
			{int64(math.MinInt64), []byte{0, 1, 255}, "", math.MinInt64, ""},
			{uint64(math.MaxInt64), []byte{}, "a'b\"c$1?2", math.MaxInt64, "a'b\"c$1?2"},
			{true, []byte(long), long, 1, long},
			{false, []byte("x"), "é", 0, "é"},
			{42, []byte("x"), sql.NullString{String: "s", Valid: true}, 42, "s"},
			{uint32(7), []byte("x"), "x", 7, "x"},
			{int32(-7), []byte("x"), "x", -7, "x"},
		} {
			id := fmt.Sprint(i)
			if err := db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(addItem, id, v.n, v.b, v.note); return err }); err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			var n int64
			var b []byte
			var s string
			if err := db.Read(t.Context(), func(tx *store.Tx) error { return tx.Row(getItem, id).Scan(&n, &b, &s) }); err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			if n != v.num || b == nil || string(b) != string(v.b) || s != v.text {
				t.Errorf("%d: got %d %q %q", i, n, b, s)
			}
		}
	})
}

func TestTx_nullComesBack(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(addItem, "null", nil, []byte(nil), sql.NullString{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Read(t.Context(), func(tx *store.Tx) error {
			b := []byte("old")
			n, s := sql.NullInt64{Int64: 1, Valid: true}, sql.NullString{String: "old", Valid: true}
			if err := tx.Row(getItem, "null").Scan(&n, &b, &s); err != nil {
				return err
			}
			if n.Valid || b != nil || s.Valid {
				t.Errorf("got %v %q %v", n, b, s)
			}
			var plain string
			if err := tx.Row(getItem, "null").Scan(&n, &b, &plain); err == nil {
				t.Error("NULL was scanned into a string")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestTx_wrongUseIsAnError(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		var n int64
		var small int32
		var s string
		for name, fn := range map[string]func(tx *store.Tx) error{
			"too few arguments":  func(tx *store.Tx) error { _, err := tx.Exec(addItem, "x"); return err },
			"too many arguments": func(tx *store.Tx) error { return tx.Row(counted, 1).Scan(&n) },
			"unknown type":       func(tx *store.Tx) error { return put(tx, "x", struct{}{}) },
			"uint64 past int64":  func(tx *store.Tx) error { return put(tx, "x", uint64(math.MaxUint64)) },
			"two statements": func(tx *store.Tx) error {
				_, err := tx.Exec("DELETE FROM item WHERE n = $1; DELETE FROM entry", 1)
				return err
			},
			"no such table":        func(tx *store.Tx) error { _, err := tx.Query("SELECT 1 FROM nothing"); return err },
			"too few destinations": func(tx *store.Tx) error { return tx.Row("SELECT 1, 2").Scan(&n) },
			"number into string":   func(tx *store.Tx) error { return tx.Row(counted).Scan(&s) },
			"text into number":     func(tx *store.Tx) error { return tx.Row("SELECT 'x'").Scan(&n) },
			"number too large":     func(tx *store.Tx) error { return tx.Row("SELECT 5000000000").Scan(&small) },
			"statement in Rows": func(tx *store.Tx) error {
				rows, err := tx.Query(counted)
				if err != nil || !rows.Next() {
					return nil
				}
				return put(tx, "x", 1)
			},
		} {
			if err := db.Write(t.Context(), fn); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if n := count(t, db); n != 0 {
			t.Errorf("%d rows were written", n)
		}
	})
}

func TestTx_placeholdersByNumber(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO item (note, n, id) VALUES ($2, $3, $1)`, "id", "note", 3)
			if err != nil {
				return err
			}
			var s string
			const many = `SELECT CAST($11 AS TEXT) || CAST($1 AS TEXT) || '$2' || CAST($2 AS TEXT) || CAST($10 AS TEXT) || CAST($3 AS TEXT) || CAST($4 AS TEXT) ||
CAST($5 AS TEXT) || CAST($6 AS TEXT) || CAST($7 AS TEXT) || CAST($8 AS TEXT) || CAST($9 AS TEXT) -- $12`
			if err := tx.Row(many, "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B").Scan(&s); err != nil {
				return err
			}
			if s != "B1$22A3456789" {
				t.Errorf("got %q", s)
			}
			var id string
			return tx.Row(`SELECT id FROM item WHERE note = $2 AND id = $1 AND n = $3`, "id", "note", 3).Scan(&id)
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestTx_returningAndConflict(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		const upsert = `INSERT INTO item (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = item.n + excluded.n RETURNING n`
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			var n, seq int64
			for _, want := range []int64{5, 10} {
				if err := tx.Row(upsert, "a", 5).Scan(&n); err != nil || n != want {
					return fmt.Errorf("n = %d, want %d: %w", n, want, err)
				}
			}
			if err := tx.Row(`INSERT INTO entry (what) VALUES ($1) RETURNING seq`, "x").Scan(&seq); err != nil || seq != 1 {
				return fmt.Errorf("seq = %d: %w", seq, err)
			}
			rows, err := tx.Exec(`INSERT INTO item (id, n) VALUES ($1, $2) ON CONFLICT DO NOTHING`, "a", 1)
			if err != nil || rows != 0 {
				return fmt.Errorf("%d rows: %w", rows, err)
			}
			if rows, err = tx.Exec(`UPDATE item SET n = $1 WHERE id = $2`, 1, "a"); err != nil || rows != 1 {
				return fmt.Errorf("%d rows: %w", rows, err)
			}
			if rows, err = tx.Exec(`SELECT 1`); err != nil || rows != 0 {
				return fmt.Errorf("%d rows of a SELECT: %w", rows, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestTx_noRows(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			var id string
			if err := tx.Row(`SELECT id FROM item WHERE n = $1`, 1).Scan(&id); !errors.Is(err, store.ErrNoRows) {
				t.Errorf("got %v", err)
			}
			return put(tx, "after", 1) // no row is no failure
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestTx_sumOfBigints(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) { // PostgreSQL gives a NUMERIC
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			var n int64
			if err := errors.Join(put(tx, "a", 1000), put(tx, "b", 2000)); err != nil {
				return err
			}
			if err := tx.Row(`SELECT sum(n) FROM item`).Scan(&n); err != nil || n != 3000 {
				return fmt.Errorf("%d: %w", n, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestWrite_uniqueIsTold(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		add := func(tx *store.Tx) error { return put(tx, "same", 1) }
		if err := db.Write(t.Context(), add); err != nil {
			t.Fatal(err)
		}
		err := db.Write(t.Context(), add)
		if !store.IsUnique(err) || store.IsFull(err) || store.IsBusy(err) || store.IsAmbiguous(err) {
			t.Errorf("primary key: %v", err)
		}
		entry := func(tx *store.Tx) error { _, err := tx.Exec(`INSERT INTO entry (what) VALUES ('x')`); return err }
		_ = db.Write(t.Context(), entry)
		if err := db.Write(t.Context(), entry); !store.IsUnique(err) {
			t.Errorf("unique column: %v", err)
		}
	})
}

func TestWrite_passedOverFailureFailsTheClosure(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			if err := put(tx, "a", 1); err != nil {
				return err
			}
			_ = put(tx, "a", 1)
			if err := put(tx, "b", 1); err == nil {
				t.Error("a statement after a failed one succeeded")
			}
			return nil
		})
		if !store.IsUnique(err) {
			t.Errorf("got %v", err)
		}
		if n := count(t, db); n != 0 {
			t.Errorf("%d rows kept", n)
		}
	})
}

func TestWrite_oneFailureLeavesTheOthers(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		boom := errors.New("boom")
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				err := db.Write(t.Context(), func(tx *store.Tx) error {
					if err := put(tx, fmt.Sprint("row", i), i); err != nil {
						return err
					}
					switch i % 3 {
					case 1:
						return boom
					case 2:
						return put(tx, fmt.Sprint("row", i), i) // the same key
					}
					return nil
				})
				if i%3 == 0 && err != nil || i%3 == 1 && !errors.Is(err, boom) || i%3 == 2 && !store.IsUnique(err) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if n := count(t, db); n != 100 {
			t.Errorf("%d rows, want 100", n)
		}
	})
}

func TestWrite_panicGoesToTheCaller(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				defer func() {
					if p := recover(); (p != nil) != (i%2 == 0) {
						t.Errorf("%d: recovered %v", i, p)
					}
				}()
				err := db.Write(t.Context(), func(tx *store.Tx) error {
					if err := put(tx, fmt.Sprint(i), i); err != nil {
						return err
					}
					if i%2 == 0 {
						panic("poison message") // HARDENING F12
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := count(t, db); n != 10 {
			t.Errorf("%d rows, want 10", n)
		}
	})
}

func TestWrite_keepsTheOrder(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		// Writes queue while the first holds the writer; they must run in the order of their queueing.
		hold, held := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = db.Write(t.Context(), func(*store.Tx) error { close(held); <-hold; return nil })
		})
		<-held
		var order []int
		queued := store.Queued(db)
		for i := range 50 {
			wg.Go(func() {
				_ = db.Write(t.Context(), func(tx *store.Tx) error { order = append(order, i); return nil })
			})
			for store.Queued(db) != queued+i+1 { // the queue's length is the event
			}
		}
		close(hold)
		wg.Wait()
		for i, n := range order {
			if i != n {
				t.Fatalf("order %v", order)
			}
		}
	})
}

func TestWrite_cancelledBeforeItBegins(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		hold, held := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := db.Write(t.Context(), func(tx *store.Tx) error { close(held); <-hold; return put(tx, "first", 1) }); err != nil {
				t.Error(err)
			}
		})
		<-held
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error)
		go func() {
			got <- db.Write(ctx, func(tx *store.Tx) error { t.Error("a cancelled closure ran"); return nil })
		}()
		for store.Queued(db) == 0 {
		}
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(hold)
		wg.Wait()
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return put(tx, "second", 1) }); err != nil {
			t.Error(err)
		}
		if n := count(t, db); n != 2 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestWrite_cancelledAfterItBeganTellsTheOutcome(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Write(ctx, func(tx *store.Tx) error { cancel(); return put(tx, "x", 1) })
		if err != nil {
			t.Errorf("got %v", err)
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows", n)
		}
		if err := db.Write(ctx, func(*store.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("Write with a dead context: %v", err)
		}
	})
}

func TestRead_isOneSnapshot(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		err := db.Read(t.Context(), func(tx *store.Tx) error {
			var before, after int
			if err := tx.Row(counted).Scan(&before); err != nil {
				return err
			}
			if err := db.Write(t.Context(), func(tx *store.Tx) error { return put(tx, "x", 1) }); err != nil {
				return err
			}
			if err := tx.Row(counted).Scan(&after); err != nil {
				return err
			}
			if before != 0 || after != 0 {
				t.Errorf("%d rows, then %d", before, after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestRead_refusesToWrite(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		if err := db.Read(t.Context(), func(tx *store.Tx) error { return put(tx, "x", 1) }); err == nil {
			t.Error("no error")
		}
		if n := count(t, db); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestRead_leftOpenRowsAndPanics(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		for range 10 { // more than there are connections
			err := db.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.Query("SELECT 1 UNION SELECT 2"); return err })
			if err != nil {
				t.Fatal(err)
			}
			func() {
				defer func() { _ = recover() }()
				_ = db.Read(t.Context(), func(tx *store.Tx) error {
					if _, err := tx.Query("SELECT 1 UNION SELECT 2"); err != nil {
						t.Error(err)
					}
					panic("x")
				})
			}()
		}
		if n := count(t, db); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestRead_endsWithItsContext(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Read(ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c LIMIT 1000000000`)
			if err != nil {
				return err
			}
			for i := 0; rows.Next(); i++ {
				if i == 10 {
					cancel()
				}
			}
			return rows.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if n := count(t, db); n != 0 { // the connection is still good
			t.Errorf("%d rows", n)
		}
	})
}

func TestTx_deadAfterItsClosure(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		var kept *store.Tx
		if err := db.Write(t.Context(), func(tx *store.Tx) error { kept = tx; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := put(kept, "x", 1); err == nil {
			t.Error("no error")
		}
	})
}

func TestClose_carriesOutWhatIsQueued(t *testing.T) {
	storetest.RunDSN(t, func(t *testing.T, dsn string) {
		db := storetest.Open(t, dsn)
		migrate(t, db)
		hold, held := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = db.Write(t.Context(), func(tx *store.Tx) error { close(held); <-hold; return put(tx, "first", 1) })
		})
		<-held
		for i := range 20 {
			wg.Go(func() {
				if err := db.Write(t.Context(), func(tx *store.Tx) error { return put(tx, fmt.Sprint(i), i) }); err != nil {
					t.Error(err)
				}
			})
		}
		for store.Queued(db) < 20 {
		}
		wg.Go(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		for !store.Closing(db) {
		}
		if err := db.Write(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Write while closing: %v", err)
		}
		close(hold)
		wg.Wait()
		if err := db.Read(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Read after Close: %v", err)
		}
		if n := count(t, storetest.Open(t, dsn)); n != 21 {
			t.Errorf("%d rows, want 21", n)
		}
	})
}

func TestDB_toldForDoctor(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		if n, err := db.Size(t.Context()); err != nil || n <= 0 {
			t.Errorf("size %d, %v", n, err)
		}
		if v := db.Version(); !strings.HasPrefix(strings.ToLower(v), db.Engine().String()+" ") {
			t.Errorf("version %q of %v", v, db.Engine())
		}
	})
}
