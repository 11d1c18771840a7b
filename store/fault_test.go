package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// faultVFS is SQLite's own VFS with writes and flushes that fail when told to.
const faultVFS = "parlance-fault"

// The codes that the next calls return, 0 for none. They are the process's, for C calls back without a receiver.
var faults struct {
	walWrite, walSync, dbWrite, dbSync, dbRead atomic.Int32
	syncs                                      atomic.Int32 // flushes of a WAL that were asked for
}

// original holds what the faults stand before. SQLite's tables differ: a WAL is not locked.
var original struct {
	open    uintptr
	wal, db faultTable
}

type faultTable struct {
	once     sync.Once
	original sqlite3.Tsqlite3_io_methods
	changed  uintptr
}

type (
	openFunc = func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32
	rwFunc   = func(*libc.TLS, uintptr, uintptr, int32, int64) int32
	syncFunc = func(*libc.TLS, uintptr, int32) int32
)

func callable[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ p uintptr }{p})) }

func faultyOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	rc := callable[openFunc](original.open)(tls, vfs, name, file, flags, out)
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	f := (*sqlite3.Tsqlite3_file)(address(file))
	switch {
	case flags&sqlite3.SQLITE_OPEN_WAL != 0:
		original.wal.put(tls, f, faultyWALWrite, faultyWALSync, nil)
	case flags&sqlite3.SQLITE_OPEN_MAIN_DB != 0:
		original.db.put(tls, f, faultyDBWrite, faultyDBSync, faultyDBRead)
	}
	return rc
}

func (k *faultTable) put(tls *libc.TLS, f *sqlite3.Tsqlite3_file, write rwFunc, sync syncFunc, read rwFunc) {
	k.once.Do(func() {
		k.original = *(*sqlite3.Tsqlite3_io_methods)(address(f.FpMethods))
		k.changed = libc.Xmalloc(tls, libcSize(unsafe.Sizeof(k.original)))
		m := (*sqlite3.Tsqlite3_io_methods)(address(k.changed))
		*m = k.original
		m.FxWrite, m.FxSync = funcPointer(write), funcPointer(sync)
		if read != nil {
			m.FxRead = funcPointer(read)
		}
	})
	f.FpMethods = k.changed
}

func faultyWALWrite(tls *libc.TLS, f, p uintptr, n int32, at int64) int32 {
	if rc := faults.walWrite.Load(); rc != 0 {
		return rc
	}
	return callable[rwFunc](original.wal.original.FxWrite)(tls, f, p, n, at)
}

func faultyDBWrite(tls *libc.TLS, f, p uintptr, n int32, at int64) int32 {
	if rc := faults.dbWrite.Load(); rc != 0 {
		return rc
	}
	return callable[rwFunc](original.db.original.FxWrite)(tls, f, p, n, at)
}

func faultyDBRead(tls *libc.TLS, f, p uintptr, n int32, at int64) int32 {
	if rc := faults.dbRead.Load(); rc != 0 {
		return rc
	}
	return callable[rwFunc](original.db.original.FxRead)(tls, f, p, n, at)
}

func faultyWALSync(tls *libc.TLS, f uintptr, flags int32) int32 {
	faults.syncs.Add(1)
	if rc := faults.walSync.Swap(0); rc != 0 { // once: the kernel tells a failed flush once (HARDENING F3)
		return rc
	}
	return callable[syncFunc](original.wal.original.FxSync)(tls, f, flags)
}

func faultyDBSync(tls *libc.TLS, f uintptr, flags int32) int32 {
	if rc := faults.dbSync.Swap(0); rc != 0 {
		return rc
	}
	return callable[syncFunc](original.db.original.FxSync)(tls, f, flags)
}

var registerFaults = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	p := libc.Xmalloc(tls, libcSize(unsafe.Sizeof(sqlite3.Tsqlite3_vfs{})))
	v := (*sqlite3.Tsqlite3_vfs)(address(p))
	*v = *(*sqlite3.Tsqlite3_vfs)(address(sqlite3.Xsqlite3_vfs_find(tls, 0)))
	name, err := libc.CString(faultVFS)
	if err != nil {
		panic(err)
	}
	original.open = v.FxOpen
	v.FzName, v.FxOpen = name, funcPointer(faultyOpen)
	sqlite3.Xsqlite3_vfs_register(tls, p, 0)
})

func openFaulty(t *testing.T, o Options) *DB {
	t.Helper()
	registerFaults()
	o.vfs = faultVFS
	db := openTest(t, o)
	t.Cleanup(clearFaults) // runs before the Close
	return db
}

func clearFaults() {
	for _, f := range []*atomic.Int32{&faults.walWrite, &faults.walSync, &faults.dbWrite, &faults.dbSync, &faults.dbRead} {
		f.Store(0)
	}
}

func addRow(db *DB, id string) error {
	return db.Write(context.Background(), func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO t (id, n, b) VALUES ($1, $2, $3)", id, 1, make([]byte, 3000))
		return err
	})
}

func rowCount(t *testing.T, db *DB) (n int) {
	t.Helper()
	if err := db.Read(t.Context(), func(tx *Tx) error { return tx.Row("SELECT count(*) FROM t").Scan(&n) }); err != nil {
		t.Fatal(err)
	}
	return n
}

// batchOf has n writes wait behind one, so that they share a transaction, breaks the disk and lets them run.
func batchOf(db *DB, n int, breakDisk func()) []error {
	hold, held := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { _ = db.Write(context.Background(), func(*Tx) error { close(held); <-hold; return nil }) })
	<-held
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = addRow(db, fmt.Sprint("batch", i)) })
	}
	for Queued(db) < n {
		runtime.Gosched()
	}
	breakDisk()
	close(hold)
	wg.Wait()
	return errs
}

func TestFault_failedFlushOrWritePoisons(t *testing.T) {
	for name, breakDisk := range map[string]func(){
		"WAL flush": func() { faults.walSync.Store(sqlite3.SQLITE_IOERR_FSYNC) },
		"WAL write": func() { faults.walWrite.Store(sqlite3.SQLITE_IOERR_WRITE) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			db := openFaulty(t, Options{DSN: path})
			if err := addRow(db, "before"); err != nil {
				t.Fatal(err)
			}
			for _, err := range batchOf(db, 10, breakDisk) {
				if err == nil || !IsAmbiguous(err) || IsFull(err) {
					t.Errorf("a write of the failed batch: %v", err)
				}
			}
			clearFaults() // the disk seems good again, and must not be believed
			syncs := faults.syncs.Load()
			select {
			case <-db.Failed():
			default:
				t.Error("Failed is open")
			}
			if err := addRow(db, "after"); err == nil || db.Err() == nil {
				t.Errorf("a write after the failure: %v; Err: %v", err, db.Err())
			}
			if n := rowCount(t, db); n != 1 { // reading goes on
				t.Errorf("%d rows", n)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			if n := faults.syncs.Load(); n != syncs {
				t.Errorf("%d flushes after the failed one", n-syncs)
			}
			if fi, err := os.Stat(path + "-wal"); err != nil || fi.Size() == 0 {
				t.Errorf("the WAL was removed although the data set is poisoned: %v", err)
			}
			again := openTest(t, Options{DSN: path})
			if n := rowCount(t, again); n != 1 && n != 11 { // the unacknowledged batch as a whole or not at all
				t.Errorf("%d rows after the restart", n)
			}
		})
	}
}

func TestFault_fullDiskFailsTheBatchOnly(t *testing.T) {
	db := openFaulty(t, Options{})
	if err := addRow(db, "before"); err != nil {
		t.Fatal(err)
	}
	for _, err := range batchOf(db, 10, func() { faults.walWrite.Store(sqlite3.SQLITE_FULL) }) {
		if !IsFull(err) || IsAmbiguous(err) {
			t.Errorf("got %v", err)
		}
	}
	if db.Err() != nil {
		t.Errorf("poisoned: %v", db.Err())
	}
	if n := rowCount(t, db); n != 1 { // HARDENING F5: reads work
		t.Errorf("%d rows", n)
	}
	clearFaults()
	if err := addRow(db, "after"); err != nil {
		t.Errorf("after room was made: %v", err)
	}
	if n := rowCount(t, db); n != 2 {
		t.Errorf("%d rows", n)
	}
}

func TestFault_failedCheckpointPoisons(t *testing.T) {
	db := openFaulty(t, Options{idle: time.Millisecond})
	faults.dbSync.Store(sqlite3.SQLITE_IOERR_FSYNC)
	if err := addRow(db, "x"); err != nil {
		t.Fatal(err)
	}
	<-db.Failed() // the quiet time's checkpoint has met the fault
	if err := addRow(db, "y"); err == nil {
		t.Error("no error")
	}
}

func TestFault_fullDiskInACheckpointPasses(t *testing.T) {
	db := openFaulty(t, Options{})
	if err := addRow(db, "x"); err != nil {
		t.Fatal(err)
	}
	k := db.eng.(*lite).ckpt
	faults.dbWrite.Store(sqlite3.SQLITE_FULL)
	if err := k.e.db.w.onWriter(func(w *liteWriter) error { return k.failed(w.checkpointErr()) }); !IsFull(err) {
		t.Errorf("got %v", err)
	}
	if err := addRow(db, "y"); err != nil || db.Err() != nil {
		t.Errorf("write: %v; Err: %v", err, db.Err())
	}
}

// onWriter runs fn between two transactions.
func (w *writer) onWriter(fn func(*liteWriter) error) error {
	got := make(chan error)
	w.control <- func(c writeConn) { got <- fn(c.(*liteWriter)) }
	return <-got
}

func TestFault_failedReadFailsItsReaderOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := openTest(t, Options{DSN: path}).Close(); err != nil {
		t.Fatal(err)
	}
	db := openFaulty(t, Options{DSN: path})
	faults.dbRead.Store(sqlite3.SQLITE_IOERR_READ)
	err := db.Read(t.Context(), func(tx *Tx) error {
		var n int
		return tx.Row("SELECT count(*) FROM t").Scan(&n)
	})
	var le *liteError
	if !errors.As(err, &le) || le.code != sqlite3.SQLITE_IOERR_READ {
		t.Errorf("got %v", err)
	}
	clearFaults()
	if err := addRow(db, "x"); err != nil {
		t.Error(err)
	}
	if n := rowCount(t, db); n != 1 {
		t.Errorf("%d rows", n)
	}
}
