//go:build !race

package store

import "testing"

// What one Write allocates on SQLite, its way through the writer and back included:
// the request itself is recycled.
func TestWrite_allocations(t *testing.T) {
	db := openTest(t, Options{})
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	body, ctx := make([]byte, 200), t.Context()
	nothing := func(*Tx) error { return nil }
	row := func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO t (id, n, b) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET n = excluded.n", "key", int64(7), body)
		return err
	}
	must(db.Write(ctx, row))
	// The Tx that is handed to the closure.
	if n := testing.AllocsPerRun(300, func() { must(db.Write(ctx, nothing)) }); n != 1 {
		t.Errorf("a write of nothing: %v allocations, want 1", n)
	}
	// And the arguments of Exec, which are this test's own: their list, and the blob as one of them.
	if n := testing.AllocsPerRun(300, func() { must(db.Write(ctx, row)) }); n != 3 {
		t.Errorf("a write of a row: %v allocations, want 3", n)
	}
}
