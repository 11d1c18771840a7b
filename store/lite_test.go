package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
)

func testSets(text string) []Migrations {
	return []Migrations{{Name: "x", FS: fstest.MapFS{"20261123_0100_x.sql": {Data: []byte(text)}}}}
}

func openTest(t *testing.T, o Options) *DB {
	t.Helper()
	if o.DSN == "" {
		o.DSN = filepath.Join(t.TempDir(), "a b?%.db")
	}
	db, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil && db.Err() == nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context(), testSets(`CREATE TABLE t (id TEXT NOT NULL, n BIGINT NOT NULL, b BYTES, PRIMARY KEY (id)) /*NOROWID*/;`)); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestOpen_writesReadBack(t *testing.T) {
	ctx := context.Background()
	db := openTest(t, Options{})
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			err := db.Write(ctx, func(tx *Tx) error {
				_, err := tx.Exec("INSERT INTO t (n, id, b) VALUES ($2, $1, $3)", fmt.Sprint("k", i%900), i, []byte("hello"))
				return err
			})
			if err != nil && !IsUnique(err) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	err := db.Read(ctx, func(tx *Tx) error {
		var n int
		if err := tx.Row("SELECT count(*) FROM t").Scan(&n); err != nil || n != 900 {
			return fmt.Errorf("%d rows, %w", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, Options{DSN: db.eng.(*lite).path}); err == nil {
		t.Error("a second Open of the same data set succeeded")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(ctx, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
}
