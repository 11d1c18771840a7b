package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
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
