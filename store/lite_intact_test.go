package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// written is a data set as a crash leaves it: ten transactions in the WAL, none copied back.
func written(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := Open(t.Context(), Options{DSN: path})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := db.Write(t.Context(), func(tx *Tx) error {
			if i == 0 {
				_, err := tx.Exec("CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB)")
				return err
			}
			_, err := tx.Exec("INSERT INTO t VALUES ($1, $2)", int64(i), make([]byte, 100))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(t.TempDir(), "x.db")
	for _, suffix := range []string{"", "-wal", inUse} {
		b, err := os.ReadFile(path + suffix)
		if err == nil {
			err = os.WriteFile(copied+suffix, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return copied
}

// change rewrites a file; nil removes it.
func change(t *testing.T, file string, how func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b = how(b); b == nil {
		err = os.Remove(file)
	} else {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// HARDENING F23: what can be seen of a damaged file is seen before SQLite takes it for something else.
func TestOpen_damagedFiles(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		how        func([]byte) []byte
		opens      bool
	}{
		{"nothing", "", func(b []byte) []byte { return b }, true},
		{"database emptied", "", func([]byte) []byte { return []byte{} }, false},
		{"database removed", "", func([]byte) []byte { return nil }, false},
		{"database without its head", "", func(b []byte) []byte { clear(b[:100]); return b }, false},
		{"log: a bit in the first frame", "-wal", func(b []byte) []byte { b[100] ^= 4; return b }, false},
		{"log: a bit in the middle", "-wal", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, false},
		{"log: zeros in the middle", "-wal", func(b []byte) []byte { clear(b[len(b)/3 : len(b)/2]); return b }, false},
		{"log: its head", "-wal", func(b []byte) []byte { clear(b[:32]); return b }, false},
		// A crash may leave these, and nothing in the files says that it did not.
		{"log: the last frame torn", "-wal", func(b []byte) []byte { clear(b[len(b)-2000:]); return b }, true},
		{"log: cut off in a frame", "-wal", func(b []byte) []byte { return b[:len(b)-2000] }, true},
		{"log: frames of an older log behind it", "-wal", func(b []byte) []byte {
			old := append([]byte(nil), b[32:]...)
			for at := 0; at+24 <= len(old); at += 24 + 4096 {
				old[at+8] ^= 0xff
			}
			return append(b, old...)
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := written(t)
			change(t, path+tt.file, tt.how)
			db, err := Open(t.Context(), Options{DSN: path})
			if err == nil {
				err = db.Close()
			}
			var d *DamagedError
			if tt.opens != (err == nil) || err != nil && !errors.As(err, &d) {
				t.Errorf("opened: %v, due: %v (%v)", err == nil, tt.opens, err)
			}
			if err != nil {
				t.Log(err)
			}
		})
	}
}
