package store

import (
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"
)

// liteRows is the cursor of a liteConn.
type liteRows struct {
	c     *liteConn
	s     *liteStmt
	fresh bool // the first step was made by query
	more  bool
}

func (r *liteRows) next() (bool, error) {
	if r.fresh || !r.more {
		r.fresh = false
		return r.more, nil
	}
	switch rc := sqlite3.Xsqlite3_step(r.c.tls, r.s.h); rc {
	case sqlite3.SQLITE_ROW:
		return true, nil
	case sqlite3.SQLITE_DONE:
		r.more = false
		return false, nil
	default:
		r.more = false
		return false, r.c.fail(rc)
	}
}

func (r *liteRows) close() error {
	if r.s != nil {
		sqlite3.Xsqlite3_reset(r.c.tls, r.s.h) // repeats an error that next has told
		r.s = nil
	}
	return nil
}

func (r *liteRows) scan(dest []any) error {
	if len(dest) != r.s.columns {
		return fmt.Errorf("store: scan: %d destinations for %d columns", len(dest), r.s.columns)
	}
	for i, d := range dest {
		if err := r.scanOne(int32(i), d); err != nil {
			return fmt.Errorf("%w (column %d)", err, i+1)
		}
	}
	return nil
}

// scanOne takes the short way where the column's type and the destination fit.
func (r *liteRows) scanOne(i int32, dest any) error {
	tls, h := r.c.tls, r.s.h
	switch typ := sqlite3.Xsqlite3_column_type(tls, h, i); typ {
	case sqlite3.SQLITE_INTEGER:
		n := sqlite3.Xsqlite3_column_int64(tls, h, i)
		switch d := dest.(type) {
		case *int64:
			*d = n
			return nil
		case *string, *[]byte, *any:
			return assign(dest, n)
		}
		if err := assignInt(dest, n); err == nil {
			return nil
		}
		return assign(dest, n)
	case sqlite3.SQLITE_TEXT:
		s := string(r.bytes(i, sqlite3.Xsqlite3_column_text(tls, h, i)))
		if d, ok := dest.(*string); ok {
			*d = s
			return nil
		}
		return assign(dest, s)
	case sqlite3.SQLITE_BLOB:
		b := append([]byte{}, r.bytes(i, sqlite3.Xsqlite3_column_blob(tls, h, i))...)
		if d, ok := dest.(*[]byte); ok {
			*d = b
			return nil
		}
		return assign(dest, b)
	case sqlite3.SQLITE_FLOAT:
		return assign(dest, sqlite3.Xsqlite3_column_double(tls, h, i))
	default:
		return assign(dest, nil)
	}
}

// bytes views the column's bytes in SQLite's memory, valid until the next step.
func (r *liteRows) bytes(i int32, p uintptr) []byte {
	n := sqlite3.Xsqlite3_column_bytes(r.c.tls, r.s.h, i)
	if p == 0 || n == 0 {
		return nil
	}
	return memory(p, int(n))
}
