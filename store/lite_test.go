package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

func testSets(text string) []Migrations {
	return []Migrations{{Name: "x", FS: fstest.MapFS{"20261123_0100_x.sql": {Data: []byte(text)}}}}
}

// openTest opens a SQLite data set with the table t.
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

func TestPlaceholders_rewritten(t *testing.T) {
	for q, want := range map[string]string{
		"":                                      "",
		"SELECT 1":                              "SELECT 1",
		"SELECT $1":                             "SELECT ?1",
		"VALUES ($2, $1, $10)":                  "VALUES (?2, ?1, ?10)",
		"a=$1||'$2'||$3":                        "a=?1||'$2'||?3",
		"'it''s $1' = $1":                       "'it''s $1' = ?1",
		`"col$1" = $1`:                          `"col$1" = ?1`,
		`"q""$1" = $1`:                          `"q""$1" = ?1`,
		"`a$1` = $1":                            "`a$1` = ?1",
		"[a$1] = $1":                            "[a$1] = ?1",
		"a$1 = $1":                              "a$1 = ?1",
		"ü$1 = $1":                              "ü$1 = ?1",
		"-- $1 isn't\n$1":                       "-- $1 isn't\n?1",
		"/* $1 ' */ $1":                         "/* $1 ' */ ?1",
		"$1 - $2 / $3":                          "?1 - ?2 / ?3",
		"$x, $, $1":                             "$x, $, ?1",
		"'open $1":                              "'open $1",
		"/* open $1":                            "/* open $1",
		"$1 -- open $1":                         "?1 -- open $1",
		"x IN ($1,$2)AND y>$3LIMIT $4":          "x IN (?1,?2)AND y>?3LIMIT ?4",
		"SELECT '\\' || $1 || '$2' /*'*/ || $3": "SELECT '\\' || ?1 || '$2' /*'*/ || ?3",
	} {
		if got := litePlaceholders(q); got != want {
			t.Errorf("%q: got %q, want %q", q, got, want)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	for v, ok := range map[string]bool{
		minSQLite: true, "3.51.4": true, "3.52.0": true, "4.0.0": true, "3.100.0": true,
		"3.51.2": false, "3.9.9": false, "2.99.99": false, "": false, "3.51": false, "x": false,
	} {
		if err := checkVersion(v); (err == nil) != ok {
			t.Errorf("%q: %v", v, err)
		}
	}
}

func TestOpen_secondServerIsToldThePid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := openTest(t, Options{DSN: path})
	_, err := Open(t.Context(), Options{DSN: "sqlite:" + path})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by process %d", os.Getpid())) {
		t.Errorf("got %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	openTest(t, Options{DSN: "sqlite:" + path})
}

func TestOpen_badName(t *testing.T) {
	dir := t.TempDir()
	for _, dsn := range []string{"", "sqlite:", ":memory:", "sqlite::memory:", "file:x", dir, "postgres://%zz"} {
		if db, err := Open(t.Context(), Options{DSN: dsn}); err == nil {
			t.Errorf("%q was opened: %v", dsn, db.Close())
		}
	}
}

func TestOpen_notADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err := Open(t.Context(), Options{DSN: path}); err == nil {
		t.Errorf("it was opened: %v", db.Close())
	}
}

func TestOpen_filesAreForTheOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "er", "db")
	db := openTest(t, Options{DSN: path})
	if err := addRow(db, "x"); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		if fi, err := os.Stat(path + suffix); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", suffix, fi.Mode(), err)
		}
	}
	if fi, err := os.Stat(filepath.Dir(path)); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", fi.Mode(), err)
	}
}

func TestClose_leavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := openTest(t, Options{DSN: path})
	if err := addRow(db, "x"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + suffix); !os.IsNotExist(err) {
			t.Errorf("%s: %v", suffix, err)
		}
	}
}

func TestWAL_staysShortUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	const pages = 32
	db := openTest(t, Options{DSN: path, walPages: pages})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 1000 { // 3 kB each: more than ten times the limit, and far more with the pages they change
				if err := addRow(db, fmt.Sprint(g, ".", i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	fi, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(20 * walFinish * pages * 4096); fi.Size() > limit {
		t.Errorf("the WAL has %d bytes, more than %d", fi.Size(), limit)
	}
	if n := rowCount(t, db); n != 4000 {
		t.Errorf("%d rows", n)
	}
}

// until polls cond: what the background does has no other event.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestQuiet_truncatesTheWALAndClosesReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := openTest(t, Options{DSN: path, idle: 20 * time.Millisecond})
	if err := addRow(db, "x"); err != nil {
		t.Fatal(err)
	}
	rowCount(t, db)
	e := db.eng.(*lite)
	until(t, "WAL empty", func() bool {
		fi, err := os.Stat(path + "-wal")
		return err == nil && fi.Size() == 0
	})
	until(t, "readers closed", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.idle) == 0
	})
	if n := rowCount(t, db); n != 1 {
		t.Errorf("%d rows", n)
	}
}

func TestStmts_cacheIsBounded(t *testing.T) {
	db := openTest(t, Options{})
	err := db.Read(t.Context(), func(tx *Tx) error {
		for i := range 3 * maxStmts {
			var n int
			if err := tx.Row(fmt.Sprintf("SELECT %d", i)).Scan(&n); err != nil || n != i {
				return fmt.Errorf("%d: %w", n, err)
			}
		}
		if n := len(tx.c.(*liteConn).stmts); n > maxStmts {
			t.Errorf("%d statements kept", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWrite_waitsForAnotherProgramsLock(t *testing.T) {
	db := openTest(t, Options{}) // HARDENING F6
	other, err := db.eng.(*lite).connect(64)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if err := other.begin(); err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	begun := make(chan struct{})
	go func() { close(begun); got <- addRow(db, "x") }()
	<-begun
	until(t, "the writer is at it", func() bool { return Queued(db) == 0 })
	if err := other.rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Errorf("got %v", err)
	}
}
