package store

import (
	"fmt"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// bind hands the arguments to s. Text and blobs are copied into the arena, which lives until the
// statement is reset: SQLite is told that they are static and copies nothing.
func (c *liteConn) bind(s *liteStmt, args []any) error {
	if len(args) != s.params {
		return fmt.Errorf("store: %d arguments for %d placeholders", len(args), s.params)
	}
	if err := c.room(args); err != nil {
		return err
	}
	at := c.arena
	for i := range args {
		n, rc, err := c.bindOne(s.h, int32(i+1), args[i], at)
		if err != nil {
			return err
		}
		if rc != sqlite3.SQLITE_OK {
			return c.fail(rc)
		}
		at += uintptr(n)
	}
	return nil
}

// room makes the arena large enough for all arguments before the first pointer into it is taken.
func (c *liteConn) room(args []any) error {
	need := 1
	for i, a := range args {
		switch v := a.(type) {
		case string:
			need += len(v)
		case []byte:
			need += len(v)
		case *string:
			need += len(*v)
		case *[]byte:
			need += len(*v)
		case int64, *int64, int, bool, nil, uint32, int32:
		default:
			p, err := plain(a)
			if err != nil {
				return err
			}
			args[i] = p // so that bindOne needs no second look
			switch v := p.(type) {
			case string:
				need += len(v)
			case []byte:
				need += len(v)
			}
		}
	}
	if need > c.arenaCap || c.arenaCap > keepArena {
		libc.Xfree(c.tls, c.arena)
		c.arenaCap = max(4096, need+need/4)
		if c.arena = libc.Xmalloc(c.tls, libcSize(c.arenaCap)); c.arena == 0 {
			c.arenaCap = 0
			return &liteError{code: sqlite3.SQLITE_NOMEM, msg: "out of memory"}
		}
	}
	return nil
}

// bindOne binds one argument and returns how many bytes it took at the arena address at.
func (c *liteConn) bindOne(h uintptr, i int32, a any, at uintptr) (n int, rc int32, err error) {
	switch v := a.(type) {
	case int64:
		return 0, sqlite3.Xsqlite3_bind_int64(c.tls, h, i, v), nil
	case *int64:
		return 0, sqlite3.Xsqlite3_bind_int64(c.tls, h, i, *v), nil
	case string:
		n, rc = bindText(c, h, i, v, at)
		return n, rc, nil
	case *string:
		n, rc = bindText(c, h, i, *v, at)
		return n, rc, nil
	case []byte:
		n, rc = bindBlob(c, h, i, v, at)
		return n, rc, nil
	case *[]byte:
		n, rc = bindBlob(c, h, i, *v, at)
		return n, rc, nil
	case nil:
		return 0, sqlite3.Xsqlite3_bind_null(c.tls, h, i), nil
	default:
		p, err := plain(a)
		if err != nil {
			return 0, 0, err
		}
		num, ok := p.(int64)
		if !ok {
			return 0, 0, fmt.Errorf("store: argument of type %T", a)
		}
		return 0, sqlite3.Xsqlite3_bind_int64(c.tls, h, i, num), nil
	}
}

func bindText(c *liteConn, h uintptr, i int32, v string, at uintptr) (n int, rc int32) {
	copy(memory(at, len(v)), v)
	return len(v), sqlite3.Xsqlite3_bind_text(c.tls, h, i, at, int32(len(v)), 0)
}

func bindBlob(c *liteConn, h uintptr, i int32, v []byte, at uintptr) (n int, rc int32) {
	if v == nil {
		return 0, sqlite3.Xsqlite3_bind_null(c.tls, h, i)
	}
	copy(memory(at, len(v)), v)
	return len(v), sqlite3.Xsqlite3_bind_blob(c.tls, h, i, at, int32(len(v)), 0)
}
