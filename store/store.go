package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Engine says which database stands behind a DB.
type Engine int

// The two engines.
const (
	SQLite Engine = iota + 1
	PostgreSQL
)

func (e Engine) String() string {
	switch e {
	case SQLite:
		return "sqlite"
	case PostgreSQL:
		return "postgresql"
	}
	return "unknown"
}

// Options opens a data set.
type Options struct {
	// DSN is "sqlite:PATH" or a plain path for SQLite, "postgres://…" for PostgreSQL.
	DSN string
	// Log receives rare events: a failed checkpoint, a lost connection. Nil: none.
	Log *slog.Logger
	// Readers bounds the connections that Read uses at the same time; 0: 4.
	Readers int
	// Aside opens a PostgreSQL database beside the server that writes to it, to read only. SQLite's is opened by one process.
	Aside bool
	// Observe is told of every transaction that was committed: how many writes were in it, how long
	// it took, and how long of that its flush took. It must be quick. Nil: nobody is told.
	Observe func(writes int, took, flush time.Duration)

	// Broken opens an SQLite data set in spite of a write-ahead log that is damaged in its middle:
	// it ends before the damage then. For who knows that something is lost.
	Broken bool

	// Set by tests.
	vfs      string        // name of a registered SQLite VFS, which injects faults
	idle     time.Duration // quiet time before idle connections close and the WAL is truncated; 0: 15 s
	walPages int32         // 0: walPages
}

// DB is one open data set. All methods may be called from any goroutine.
type DB struct {
	eng     engine
	w       *writer
	log     *slog.Logger
	failed  chan struct{} // closed by poison, once
	observe func(writes int, took, flush time.Duration)

	mu  sync.Mutex
	err error // owner: mu; set once by poison
}

// engine is what SQLite and PostgreSQL each bring.
type engine interface {
	kind() Engine
	version() string
	// writer opens the one writing connection; the writer calls it again after a connection was lost.
	writer(ctx context.Context) (writeConn, error)
	read(ctx context.Context, fn func(conn) error) error
	migrate(ctx context.Context, files []migration) error
	size(ctx context.Context) (int64, error)
	// close stops the engine's own goroutines and connections after the writer has stopped.
	// healthy says that the data set is not poisoned and may be tidied.
	close(healthy bool) error
}

// conn runs statements; one goroutine at a time.
type conn interface {
	exec(q string, args []any) (int64, error)
	query(q string, args []any) (cursor, error)
}

// cursor walks over a result; scan is valid after next returned true.
type cursor interface {
	next() (bool, error)
	scan(dest []any) error
	close() error
}

// writeConn is the writer's connection: a conn with transactions.
type writeConn interface {
	conn
	begin() error
	commit() error
	rollback() error
	savepoint() error
	release() error
	rollbackTo() error
	// classify tells what an error means for the transaction and for the data set.
	classify(err error) class
	close() error
}

// class is the reach of an error.
type class int

const (
	classStatement class = iota // only the statement (and so its closure) failed
	classTx                     // the whole transaction is lost, the next may succeed
	classConn                   // the connection is lost as well
	classPoison                 // the disk or file can't be trusted any more
)

// Open opens the data set named by o.DSN and starts its writer.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	if o.Observe == nil {
		o.Observe = func(int, time.Duration, time.Duration) {}
	}
	if o.idle <= 0 {
		o.idle = 15 * time.Second
	}
	if o.walPages <= 0 {
		o.walPages = walPages
	}
	db := &DB{log: o.Log, failed: make(chan struct{}), observe: o.Observe}
	scheme, rest, found := strings.Cut(o.DSN, ":")
	var err error
	switch {
	case found && (scheme == "postgres" || scheme == "postgresql"):
		db.eng, err = openPG(ctx, db, o)
	case found && scheme == "sqlite":
		db.eng, err = openLite(ctx, db, o, strings.TrimPrefix(rest, "//"))
	default:
		db.eng, err = openLite(ctx, db, o, o.DSN)
	}
	if err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	if db.w, err = startWriter(ctx, db); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open: %w", named(db.eng, err)), db.eng.close(false))
	}
	if e, ok := db.eng.(*lite); ok {
		if err := errors.Join(e.quickCheck(ctx), e.use()); err != nil {
			db.w.stop()
			return nil, errors.Join(fmt.Errorf("store: open: %w", err), e.close(false))
		}
		e.startCheckpoint(db.w)
	}
	return db, nil
}

// Engine returns which database stands behind db.
func (db *DB) Engine() Engine { return db.eng.kind() }

// Version returns the database's own version, for people: "SQLite 3.53.4".
func (db *DB) Version() string { return db.eng.version() }

// Size returns how many bytes the data set takes on disk.
func (db *DB) Size(ctx context.Context) (int64, error) {
	n, err := db.eng.size(ctx)
	if err != nil {
		return 0, fmt.Errorf("store: size: %w", err)
	}
	return n, nil
}

// Write runs fn in the one writer's current transaction, together with what others write at the
// same time, and returns nil only after the COMMIT is flushed to disk. An error from fn undoes
// what fn wrote and nothing else, and is returned as it is. fn must be quick, does no I/O, does not
// keep the Tx, and does not call Write or Read. A statement that fails inside fn fails fn, even when fn goes on: this is
// how PostgreSQL behaves, so it is how both engines behave.
//
// If ctx ends before fn has begun, fn is never run and ctx's error is returned. Once fn has begun
// the outcome is awaited. IsAmbiguous tells the errors after which fn's rows may be there all the same.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error { return db.w.write(ctx, fn) }

// Read runs fn with a consistent snapshot, beside other readers and the writer. Statements that
// write fail. fn does not keep the Tx.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error {
	return db.eng.read(ctx, func(c conn) error {
		tx := Tx{c: c}
		err := fn(&tx)
		if cerr := tx.end(); err == nil {
			err = cerr
		}
		return err
	})
}

// Err returns the error that poisoned db: after it every Write fails at once, for what the kernel
// did with the pages of a failed flush is unknown. The process has to restart.
func (db *DB) Err() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.err
}

// Failed is closed when db is poisoned.
func (db *DB) Failed() <-chan struct{} { return db.failed }

// Close refuses new writes, carries out the queued ones, and closes the data set.
func (db *DB) Close() error {
	if !db.w.stop() {
		return nil // closed before
	}
	if err := db.eng.close(db.Err() == nil); err != nil {
		return fmt.Errorf("store: close: %w", err)
	}
	return nil
}

// Fail poisons db as a failed flush of its own does: for who sees the disk fail beside it.
func (db *DB) Fail(err error) { db.poison(err) }

func (db *DB) poison(err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.err != nil {
		return
	}
	db.err = &Error{What: "the data set can't be written any more, restart the server", ambiguous: true, Err: err}
	db.log.Error("store: poisoned", "err", err)
	close(db.failed)
}
