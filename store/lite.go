package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Older SQLite can corrupt the file when a WAL is reset while another connection checkpoints it.
const minSQLite = "3.51.3"

// Memory of one connection's page cache, in KiB.
const (
	writerCache = 8192
	readerCache = 2048
)

// lite is the SQLite engine.
type lite struct {
	db   *DB
	path string
	o    Options
	lock *lockFile
	ckpt *checkpointer

	slots chan struct{} // one per reader in use
	mu    sync.Mutex
	idle  []*liteReader // owner: mu; the last used is the last
	done  bool          // owner: mu
	reap  *time.Timer   // closes idle readers
}

func openLite(ctx context.Context, db *DB, o Options, path string) (_ *lite, err error) {
	if path == "" || strings.HasPrefix(path, ":memory:") || strings.HasPrefix(path, "file:") {
		return nil, fmt.Errorf("sqlite needs a file's path, not %q", path)
	}
	if err := checkVersion(libc.GoString(sqlite3.Xsqlite3_libversion(nil))); err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	e := &lite{db: db, path: path, o: o, slots: make(chan struct{}, o.Readers)}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if e.lock, err = takeLock(path + ".lock"); err != nil {
		return nil, err
	}
	if err := e.create(); err != nil {
		return nil, errors.Join(err, e.lock.release())
	}
	if err := e.intact(); err != nil {
		return nil, errors.Join(err, e.lock.release())
	}
	return e, ctx.Err()
}

// create makes an empty file with the right mode before SQLite does; WAL and index get the same mode from SQLite.
func (e *lite) create() error {
	f, err := os.OpenFile(e.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return os.Chmod(e.path, 0o600)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(e.path))
}

// syncDir makes a new directory entry survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkVersion refuses a SQLite older than minSQLite.
func checkVersion(have string) error {
	h, w := strings.Split(have, "."), strings.Split(minSQLite, ".")
	for i := range w {
		var a, b int
		if i < len(h) {
			a, _ = strconv.Atoi(h[i]) // not a number: older than any
		}
		b, _ = strconv.Atoi(w[i])
		if a != b {
			if a > b {
				return nil
			}
			return fmt.Errorf("SQLite %s is too old: %s or later is needed (older ones can damage the file when the WAL is reset)", have, minSQLite)
		}
	}
	return nil
}

func (e *lite) kind() Engine { return SQLite }

func (e *lite) version() string {
	return "SQLite " + libc.GoString(sqlite3.Xsqlite3_libversion(nil))
}

func (e *lite) size(context.Context) (int64, error) {
	var n int64
	for _, suffix := range []string{"", "-wal", "-shm"} {
		switch fi, err := os.Stat(e.path + suffix); {
		case err == nil:
			n += fi.Size()
		case !errors.Is(err, os.ErrNotExist):
			return 0, err
		}
	}
	return n, nil
}

// connect opens a connection and sets it up.
func (e *lite) connect(cacheKiB int, pragmas ...string) (*liteConn, error) {
	c, err := newLiteConn(e.path, e.o.vfs)
	if err != nil {
		return nil, err
	}
	c.keepWAL(true)
	pragmas = append(pragmas,
		"PRAGMA synchronous=FULL", // every COMMIT flushes the WAL
		"PRAGMA foreign_keys=ON",
		"PRAGMA temp_store=MEMORY",
		"PRAGMA wal_autocheckpoint=0", // the checkpointer's work
		"PRAGMA trusted_schema=OFF",
		fmt.Sprintf("PRAGMA cache_size=-%d", cacheKiB),
	)
	for _, q := range pragmas {
		if _, err := c.pragma(q); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", q, err), c.close())
		}
	}
	c.dropStmts()
	return c, nil
}

func (e *lite) writer(context.Context) (writeConn, error) {
	c, err := e.connect(writerCache, "PRAGMA page_size=4096", "PRAGMA journal_mode=WAL", "PRAGMA journal_size_limit=134217728")
	if err != nil {
		return nil, err
	}
	mode, err := c.pragma("PRAGMA journal_mode")
	if err == nil && mode != "wal" {
		err = fmt.Errorf("journal mode is %q, not WAL: does the file system support shared memory?", mode)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.watchWAL()
	return &liteWriter{liteConn: c, e: e}, nil
}

func (e *lite) close(healthy bool) error {
	e.closeReaders()
	var err error
	if e.ckpt != nil {
		err = e.ckpt.stop(healthy)
	}
	return errors.Join(err, e.lock.release())
}
