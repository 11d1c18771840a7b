package store

import (
	"errors"
	"fmt"
)

// Tx runs statements inside a Write or a Read. It belongs to the goroutine that runs the closure
// and is dead when the closure has returned.
//
// Statements use $1, $2 … on both engines. Arguments: int, int32, int64, uint32, uint64 below 2^63,
// string, []byte (nil is NULL), bool (stored as 0 and 1 in a BIGINT), nil, driver.Valuer of these (sql.NullString), and
// *int64, *string, *[]byte, which stand for what they point to: on the message path they save an allocation each.
// Only one Rows may be open at a time: close it before the next statement.
type Tx struct {
	c      conn
	rows   *Rows // the open result, if any
	failed error // the first statement that failed: PostgreSQL refuses whatever follows, so we do
	dead   bool
}

var (
	errRowsOpen = errors.New("store: a statement while Rows are open")
	errDead     = errors.New("store: Tx used after its closure returned")
)

func (tx *Tx) ready() error {
	switch {
	case tx.dead:
		return errDead
	case tx.failed != nil:
		return fmt.Errorf("store: after a failed statement: %w", tx.failed)
	case tx.rows != nil:
		return errRowsOpen
	}
	return nil
}

// Exec runs a statement and returns how many rows it inserted, updated or deleted.
func (tx *Tx) Exec(q string, args ...any) (int64, error) {
	if err := tx.ready(); err != nil {
		return 0, err
	}
	n, err := tx.c.exec(q, args)
	if err != nil {
		tx.failed = err
	}
	return n, err
}

// Query runs a statement that gives rows.
func (tx *Tx) Query(q string, args ...any) (*Rows, error) {
	if err := tx.ready(); err != nil {
		return nil, err
	}
	cur, err := tx.c.query(q, args)
	if err != nil {
		tx.failed = err
		return nil, err
	}
	tx.rows = &Rows{tx: tx, cur: cur}
	return tx.rows, nil
}

// Each runs a statement and calls f for each row, to scan it, until f fails.
func (tx *Tx) Each(f func(RowScanner) error, q string, args ...any) error {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Row returns the first row of a statement; the statement runs when Scan is called.
func (tx *Tx) Row(q string, args ...any) RowScanner { return &row{tx, q, args} }

// RowScanner reads the columns of one row. Destinations: *int, *int32, *int64, *uint32, *uint64,
// *string, *[]byte (copied; NULL gives nil), *bool, *any, and sql.Scanner (sql.NullString …) where NULL may come.
type RowScanner interface {
	Scan(dest ...any) error
}

type row struct {
	tx   *Tx
	q    string
	args []any
}

// Scan implements RowScanner; ErrNoRows when there is none.
func (r *row) Scan(dest ...any) error {
	rows, err := r.tx.Query(r.q, r.args...)
	if err != nil {
		return err
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	if err := rows.Scan(dest...); err != nil {
		return errors.Join(err, rows.Close())
	}
	return rows.Close()
}

// Rows is a result being read. Next returns false at its end and closes it.
type Rows struct {
	tx   *Tx
	cur  cursor
	err  error
	done bool
}

// Next goes to the next row.
func (r *Rows) Next() bool {
	if r.done {
		return false
	}
	ok, err := r.cur.next()
	if err != nil {
		r.err = err
	}
	if !ok || err != nil {
		_ = r.Close() // keeps the first error in r.err
		return false
	}
	return true
}

// Scan reads the columns of the current row.
func (r *Rows) Scan(dest ...any) error {
	if r.done {
		return errors.New("store: Scan without Next")
	}
	return r.cur.scan(dest)
}

// Err returns the error that ended Next early.
func (r *Rows) Err() error { return r.err }

// Close ends the result; it may be called again.
func (r *Rows) Close() error {
	if r.done {
		return r.err
	}
	r.done = true
	r.tx.rows = nil
	if err := r.cur.close(); err != nil && r.err == nil {
		r.err = err
	}
	if r.err != nil && r.tx.failed == nil {
		r.tx.failed = r.err
	}
	return r.err
}

// end closes what the closure left open and returns the failure that it may have passed over.
func (tx *Tx) end() error {
	if tx.rows != nil {
		_ = tx.rows.Close() // sets tx.failed
	}
	tx.dead = true
	return tx.failed
}
