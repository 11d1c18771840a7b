package store_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

func TestMigrate_onceAndInOrder(t *testing.T) {
	storetest.RunDSN(t, func(t *testing.T, dsn string) {
		db := storetest.Open(t, dsn)
		b := set("20261125_0100_more.sql", "ALTER TABLE item ADD COLUMN extra TEXT NOT NULL DEFAULT 'BYTES AUTOID';\n-- BYTES\nUPDATE item SET note = 'it''s; BYTES';\n")
		a := set("20261123_0100_item.sql", schema)
		for range 2 {
			if err := db.Migrate(t.Context(), []store.Migrations{b, a}); err != nil {
				t.Fatal(err)
			}
		}
		// A package that comes later brings an older file.
		c := set("20261124_0100_between.sql", "CREATE TABLE between_ (b BYTES);")
		if err := db.Migrate(t.Context(), []store.Migrations{c, b, a}); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = storetest.Open(t, dsn) // a restart
		if err := db.Migrate(t.Context(), []store.Migrations{a, b, c}); err != nil {
			t.Fatal(err)
		}
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			if err := put(tx, "x", 1); err != nil {
				return err
			}
			var extra string
			if err := tx.Row(`SELECT extra FROM item`).Scan(&extra); err != nil || extra != "BYTES AUTOID" {
				t.Errorf("%q, %v", extra, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestMigrate_failureNamesTheFileAndLeavesNothing(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		good, bad := set("20261123_0100_item.sql", schema), set("20261123_0200_bad.sql", "CREATE TABLE half (a TEXT);\nCREATE TABLE item (a TEXT);")
		err := db.Migrate(t.Context(), []store.Migrations{good, bad})
		if err == nil || !strings.Contains(err.Error(), "bad.sql") {
			t.Fatalf("got %v", err)
		}
		count(t, db) // the good one has run
		if err := db.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.Query("SELECT a FROM half"); return err }); err == nil {
			t.Error("half a migration was kept")
		}
		fixed := set("20261123_0200_bad.sql", "CREATE TABLE half (a TEXT);")
		if err := db.Migrate(t.Context(), []store.Migrations{good, fixed}); err != nil {
			t.Error(err)
		}
	})
}

func TestMigrate_oneEngineOnly(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		files := fstest.MapFS{
			"20261123_0100_fts.sqlite.sql":     {Data: []byte("CREATE VIRTUAL TABLE words USING fts5(body);")},
			"20261123_0101_fts.postgresql.sql": {Data: []byte("CREATE TABLE words (body tsvector);")},
		}
		if err := db.Migrate(t.Context(), []store.Migrations{{Name: "search", FS: files}}); err != nil {
			t.Fatal(err)
		}
		if err := db.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.Query("SELECT body FROM words"); return err }); err != nil {
			t.Error(err)
		}
	})
}

func TestMigrate_badNames(t *testing.T) {
	db := storetest.SQLite(t)
	one := set("20261123_0100_one.sql", "CREATE TABLE one (a TEXT);")
	two := store.Migrations{Name: "other", FS: fstest.MapFS{"20261123_0100_two.sql": {Data: []byte("CREATE TABLE two (a TEXT);")}}}
	err := db.Migrate(t.Context(), []store.Migrations{one, two})
	if err == nil || !strings.Contains(err.Error(), "test/20261123_0100_one.sql") || !strings.Contains(err.Error(), "other/20261123_0100_two.sql") {
		t.Errorf("the same version twice: %v", err)
	}
	for _, name := range []string{"1_x.sql", "20261123_x.sql", "20261123_0100.sql", "20261123_0100_X.sql"} {
		if err := db.Migrate(t.Context(), []store.Migrations{set(name, "SELECT 1;")}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := db.Migrate(t.Context(), nil); err != nil {
		t.Errorf("nothing to do: %v", err)
	}
}
