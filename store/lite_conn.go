package store

import (
	"errors"
	"fmt"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// liteConn is one SQLite connection, driven through SQLite's own C interface (as translated to Go):
// arguments go into one reused block of memory instead of one allocation each, and no context, lock or goroutine
// is involved. BenchmarkDriver compares it with database/sql and with the driver below that: a tenth to a third less
// CPU per row in large batches, no difference that can be measured in small ones.
//
// It is used by one goroutine at a time, except interrupt.
type liteConn struct {
	tls   *libc.TLS
	db    uintptr
	stmts map[string]*liteStmt // by the text with $1

	// All memory below is libc's, where SQLite may keep pointers to it: Go's stacks move.
	arena    uintptr // copies of text and blob arguments, valid until the statement is reset
	arenaCap int
	out      uintptr // two words: results by pointer
	frames   uintptr // writer: int32, pages in the WAL after the last commit

	open   *liteRows // reused; busy while its stmt is not nil
	closed bool
}

type liteStmt struct {
	h        uintptr
	params   int
	columns  int
	readonly bool
}

const (
	maxStmts   = 256     // prepared statements kept per connection
	keepArena  = 1 << 20 // a larger block is given back after use
	wordSize   = unsafe.Sizeof(uintptr(0))
	busyMillis = 5000
)

// liteError is an error of SQLite with its extended result code.
type liteError struct {
	code int32
	msg  string
}

func (e *liteError) Error() string { return fmt.Sprintf("sqlite: %s (%d)", e.msg, e.code) }

// full reports a full disk. The shared-memory file growing by a page fails with its own code; nothing durable is in it.
func (e *liteError) full() bool {
	return e.code&0xff == sqlite3.SQLITE_FULL || e.code == sqlite3.SQLITE_IOERR_SHMSIZE
}

func (e *liteError) class() class {
	if e.full() || e.code == sqlite3.SQLITE_IOERR_NOMEM {
		return classTx
	}
	switch e.code & 0xff {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return classPoison
	case sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL:
		return classTx
	}
	return classStatement
}

func newLiteConn(path, vfs string) (*liteConn, error) {
	c := &liteConn{tls: libc.NewTLS(), stmts: map[string]*liteStmt{}, open: &liteRows{}}
	c.out = libc.Xcalloc(c.tls, 2, libcSize(wordSize))
	c.arenaCap = 4096
	c.arena = libc.Xmalloc(c.tls, libcSize(c.arenaCap))
	name, err := libc.CString(path)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	defer libc.Xfree(c.tls, name)
	var zvfs uintptr
	if vfs != "" {
		if zvfs, err = libc.CString(vfs); err != nil {
			return nil, errors.Join(err, c.close())
		}
		defer libc.Xfree(c.tls, zvfs)
	}
	// NOMUTEX: the owner already lets only one goroutine in.
	const flags = sqlite3.SQLITE_OPEN_READWRITE | sqlite3.SQLITE_OPEN_NOMUTEX | sqlite3.SQLITE_OPEN_EXRESCODE
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, c.out, flags, zvfs)
	c.db = word(c.out)
	if rc != sqlite3.SQLITE_OK {
		return nil, errors.Join(c.fail(rc), c.close())
	}
	sqlite3.Xsqlite3_busy_timeout(c.tls, c.db, busyMillis)
	if rc := c.stablePlans(); rc != sqlite3.SQLITE_OK {
		return nil, errors.Join(c.fail(rc), c.close())
	}
	return c, nil
}

// stablePlans has a statement planned once. SQLite looks at what is bound to a LIMIT when it plans, and so would
// compile each statement that has one anew whenever it is bound: a sixth of what a page of an archive costs.
func (c *liteConn) stablePlans() int32 {
	args := libc.NewVaList(int32(1), uintptr(0))
	defer libc.Xfree(c.tls, args)
	return sqlite3.Xsqlite3_db_config(c.tls, c.db, sqlite3.SQLITE_DBCONFIG_ENABLE_QPSG, args)
}

func libcSize[T int | uintptr](n T) libc.Tsize_t { return libc.Tsize_t(n) }

// address turns an address in libc's memory, which Go's collector neither knows nor moves, into a pointer.
func address(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

func word(p uintptr) uintptr { return *(*uintptr)(address(p)) }

// memory views n bytes of libc's memory.
func memory(p uintptr, n int) []byte { return unsafe.Slice((*byte)(address(p)), n) }

func (c *liteConn) fail(rc int32) error {
	msg := libc.GoString(sqlite3.Xsqlite3_errstr(c.tls, rc))
	if c.db != 0 && sqlite3.Xsqlite3_extended_errcode(c.tls, c.db) == rc {
		msg = libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db))
	}
	return &liteError{code: rc, msg: msg}
}

func (c *liteConn) close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	c.dropStmts()
	var err error
	if c.db != 0 {
		if rc := sqlite3.Xsqlite3_close_v2(c.tls, c.db); rc != sqlite3.SQLITE_OK {
			err = c.fail(rc)
		}
	}
	for _, p := range []uintptr{c.arena, c.out, c.frames} {
		if p != 0 {
			libc.Xfree(c.tls, p)
		}
	}
	c.tls.Close()
	return err
}

func (c *liteConn) dropStmts() {
	for _, s := range c.stmts {
		sqlite3.Xsqlite3_finalize(c.tls, s.h)
	}
	clear(c.stmts)
}

// stmt returns the prepared statement for q. Queries are constants, so the cache is small; should
// somebody build texts, it is emptied rather than grown.
func (c *liteConn) stmt(q string) (*liteStmt, error) {
	if s := c.stmts[q]; s != nil {
		return s, nil
	}
	if len(c.stmts) >= maxStmts {
		c.dropStmts()
	}
	s, err := c.prepare(q)
	if err != nil {
		return nil, err
	}
	c.stmts[q] = s
	return s, nil
}

func (c *liteConn) prepare(q string) (*liteStmt, error) {
	text, err := libc.CString(litePlaceholders(q))
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, text)
	rc := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, text, -1, sqlite3.SQLITE_PREPARE_PERSISTENT, c.out, c.out+wordSize)
	if rc != sqlite3.SQLITE_OK {
		return nil, fmt.Errorf("%w in %q", c.fail(rc), q)
	}
	h, tail := word(c.out), word(c.out+wordSize)
	if h == 0 || !blank(libc.GoString(tail)) {
		sqlite3.Xsqlite3_finalize(c.tls, h)
		return nil, fmt.Errorf("store: not one statement: %q", q)
	}
	return &liteStmt{
		h:        h,
		params:   int(sqlite3.Xsqlite3_bind_parameter_count(c.tls, h)),
		columns:  int(sqlite3.Xsqlite3_column_count(c.tls, h)),
		readonly: sqlite3.Xsqlite3_stmt_readonly(c.tls, h) != 0,
	}, nil
}

// blank reports whether s holds nothing but white space and semicolons.
func blank(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case ' ', '\t', '\n', '\r', ';':
		default:
			return false
		}
	}
	return true
}

func (c *liteConn) exec(q string, args []any) (int64, error) {
	s, err := c.stmt(q)
	if err != nil {
		return 0, err
	}
	if err := c.bind(s, args); err != nil {
		return 0, err
	}
	rc := sqlite3.Xsqlite3_step(c.tls, s.h)
	for rc == sqlite3.SQLITE_ROW {
		rc = sqlite3.Xsqlite3_step(c.tls, s.h)
	}
	if rc != sqlite3.SQLITE_DONE {
		err = c.fail(rc)
	}
	sqlite3.Xsqlite3_reset(c.tls, s.h) // repeats the step's error
	if err != nil || s.readonly {
		return 0, err
	}
	return sqlite3.Xsqlite3_changes64(c.tls, c.db), nil
}

func (c *liteConn) query(q string, args []any) (cursor, error) {
	s, err := c.stmt(q)
	if err != nil {
		return nil, err
	}
	if err := c.bind(s, args); err != nil {
		return nil, err
	}
	// The first step runs here: a statement that writes and returns rows has then done all its writing.
	rc := sqlite3.Xsqlite3_step(c.tls, s.h)
	if rc != sqlite3.SQLITE_ROW && rc != sqlite3.SQLITE_DONE {
		err := c.fail(rc)
		sqlite3.Xsqlite3_reset(c.tls, s.h)
		return nil, err
	}
	r := c.open
	if r.s != nil {
		return nil, errRowsOpen
	}
	*r = liteRows{c: c, s: s, fresh: true, more: rc == sqlite3.SQLITE_ROW}
	return r, nil
}

// inTx reports whether a transaction is open; SQLite ends one by itself after some errors.
func (c *liteConn) inTx() bool { return sqlite3.Xsqlite3_get_autocommit(c.tls, c.db) == 0 }

func (c *liteConn) run(q string) error {
	_, err := c.exec(q, nil)
	return err
}

func (c *liteConn) commit() error     { return c.run("COMMIT") }
func (c *liteConn) savepoint() error  { return c.run("SAVEPOINT s") }
func (c *liteConn) release() error    { return c.run("RELEASE s") }
func (c *liteConn) rollbackTo() error { return c.run("ROLLBACK TO s") }

// begin takes the write lock at once, so that no later statement can find the database busy.
func (c *liteConn) begin() error { return c.run("BEGIN IMMEDIATE") }

func (c *liteConn) rollback() error {
	if !c.inTx() {
		return nil
	}
	return c.run("ROLLBACK")
}

func (c *liteConn) classify(err error) class {
	var le *liteError
	k := classStatement
	if errors.As(err, &le) {
		k = le.class()
	}
	if k == classStatement && !c.inTx() {
		return classTx
	}
	return k
}

// interrupt makes the running statement fail with SQLITE_INTERRUPT; any goroutine may call it while the connection is open.
func (c *liteConn) interrupt(tls *libc.TLS) { sqlite3.Xsqlite3_interrupt(tls, c.db) }

// pragma runs a PRAGMA and returns its first column, "" when it gives no row.
func (c *liteConn) pragma(q string) (string, error) {
	cur, err := c.query(q, nil)
	if err != nil {
		return "", err
	}
	var v any
	ok, err := cur.next()
	if ok {
		err = cur.scan([]any{&v})
	}
	if err := errors.Join(err, cur.close()); err != nil {
		return "", err
	}
	if !ok {
		return "", nil
	}
	return fmt.Sprint(v), nil
}
