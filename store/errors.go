package store

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrNoRows is returned by RowScanner.Scan when the query gave no row.
	ErrNoRows = errors.New("store: no rows")
	// ErrClosed is returned by Write and Read after Close.
	ErrClosed = errors.New("store: closed")
)

// Error is a failure of the store itself (and not of one statement).
type Error struct {
	What      string // what was being done
	ambiguous bool
	Err       error
}

func (e *Error) Error() string { return "store: " + e.What + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// IsAmbiguous reports whether the transaction may have been committed although Write failed: the
// connection was lost, or the flush failed, while the COMMIT was under way. Look the rows up by an id of your own.
func IsAmbiguous(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.ambiguous
}

// IsUnique reports whether err is the violation of a primary key or of a unique index.
func IsUnique(err error) bool {
	var le *liteError
	if errors.As(err, &le) {
		return le.code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || le.code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY ||
			le.code == sqlite3.SQLITE_CONSTRAINT_ROWID
	}
	return pgCode(err) == "23505" // unique_violation
}

// IsFull reports whether the disk is full. Nothing of the batch was stored; later writes may succeed.
func IsFull(err error) bool {
	var le *liteError
	if errors.As(err, &le) {
		return le.full()
	}
	return pgCode(err) == "53100" // disk_full
}

// IsBusy reports whether another process holds the database's lock, or the engine asks to try the
// transaction again.
func IsBusy(err error) bool {
	var le *liteError
	if errors.As(err, &le) {
		return le.code&0xff == sqlite3.SQLITE_BUSY || le.code&0xff == sqlite3.SQLITE_LOCKED
	}
	switch pgCode(err) {
	case "40001", "40P01", "55P03": // serialization_failure, deadlock_detected, lock_not_available
		return true
	}
	return false
}

// IsDown reports whether the store itself failed, and not what was written: it is locked, full, not reachable, closed or
// poisoned. Whoever tries a part of the same again at once fails again.
func IsDown(err error) bool {
	var e *Error
	return errors.As(err, &e) || errors.Is(err, ErrClosed) || IsBusy(err) || IsFull(err)
}

func pgCode(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return ""
}
