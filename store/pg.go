package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// pgBatchTime bounds one transaction of the writer; past it the connection counts as lost.
const pgBatchTime = 30 * time.Second

// pg is the PostgreSQL engine.
type pg struct {
	pool    *pgxpool.Pool // readers
	conf    *pgx.ConnConfig
	vers    string
	readers int // connections in the pool
	aside   bool
	old     uint32 // process id of the writer's last session; owner: who calls writer, one at a time

	closed atomic.Bool
}

func openPG(ctx context.Context, _ *DB, o Options) (engine, error) {
	pc, err := pgxpool.ParseConfig(o.DSN)
	if err != nil {
		return nil, errors.New("postgresql: the connection string can't be read") // pgx's text may hold the password
	}
	if pc.ConnConfig.ConnectTimeout == 0 {
		pc.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	pc.MaxConns = int32(o.Readers)
	pc.MaxConnIdleTime = o.idle
	e := &pg{conf: pc.ConnConfig.Copy(), readers: o.Readers, aside: o.Aside}
	if e.pool, err = pgxpool.NewWithConfig(ctx, pc); err != nil {
		return nil, fmt.Errorf("postgresql: %w", err)
	}
	if err := e.inspect(ctx, o.Log); err != nil {
		e.pool.Close()
		return nil, fmt.Errorf("postgresql: %w", err)
	}
	return e, nil
}

const pgSettings = `SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('server_encoding'), datcollate
FROM pg_database WHERE datname = current_database()`

// inspect refuses a database that can't keep what we promise.
func (e *pg) inspect(ctx context.Context, log *slog.Logger) error {
	var flush, encoding, collation string
	if err := e.pool.QueryRow(ctx, pgSettings).Scan(&e.vers, &flush, &encoding, &collation); err != nil {
		return err
	}
	switch {
	case flush == "off": // an acknowledged message must be on disk: HARDENING §8
		return errors.New("synchronous_commit is off; set it to on for this database or user")
	case encoding != "UTF8":
		return fmt.Errorf("the database's encoding is %s; make it with ENCODING 'UTF8'", encoding)
	case collation != "C" && collation != "POSIX" && collation != "C.UTF-8":
		log.Warn("store: the database sorts text by a language's rules; make it with LC_COLLATE 'C' to sort as SQLite does", "collation", collation)
	}
	return nil
}

func (e *pg) kind() Engine { return PostgreSQL }

func (e *pg) version() string { return "PostgreSQL " + e.vers }

func (e *pg) size(ctx context.Context) (n int64, err error) {
	err = e.pool.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&n)
	return n, err
}

func (e *pg) close(bool) error {
	e.closed.Store(true)
	e.pool.Close() // waits for the readers
	return nil
}

func (e *pg) migrate(ctx context.Context, files []migration) error {
	locker, err := lock.NewPostgresSessionLocker() // two servers starting at once
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*e.conf.Copy())
	return errors.Join(runMigrations(ctx, goose.DialectPostgres, db, files, goose.WithSessionLocker(locker)), db.Close())
}

func (e *pg) read(ctx context.Context, fn func(conn) error) error {
	c, tx, err := e.snapshot(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	defer func() { _ = tx.Rollback(ctx) }() // nothing to keep; a connection left in a transaction is dropped by the pool
	return fn(&pgConn{c: c.Conn(), ctx: ctx})
}

// snapshot begins a read transaction. Connections of the pool may have been lost while idle: each is tried once.
func (e *pg) snapshot(ctx context.Context) (*pgxpool.Conn, pgx.Tx, error) {
	for tries := e.readers; ; tries-- {
		c, err := e.pool.Acquire(ctx)
		if err != nil {
			if e.closed.Load() {
				err = ErrClosed
			}
			return nil, nil, err
		}
		tx, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err == nil {
			return c, tx, nil
		}
		lost := c.Conn().IsClosed()
		c.Release()
		if !lost || tries <= 0 || ctx.Err() != nil {
			return nil, nil, fmt.Errorf("postgresql: %w", err)
		}
	}
}

func (e *pg) writer(ctx context.Context) (writeConn, error) {
	c, err := pgx.ConnectConfig(ctx, e.conf.Copy())
	if err != nil {
		return nil, fmt.Errorf("postgresql: %w", err)
	}
	if err := e.seize(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("postgresql: %w", err), c.Close(ctx))
	}
	return &pgWriter{pgConn: pgConn{c: c, ctx: context.Background()}, cancel: func() {}, known: map[string]bool{}}, nil
}

const (
	// The lock of the one writer, held by its session: of this database and schema.
	pgSeize = `SELECT pg_advisory_lock($1, hashtext(current_schema()))`
	pgEnd   = `SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1::oid AND pid = $2`
	pgOwner = `SELECT a.pid, COALESCE(a.client_addr::text, 'this machine') FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.classid = $1::oid AND l.granted AND a.datname = current_database()`
	// A session whose client is gone, with its machine or with the network, ends soon.
	pgNotice = `SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3`

	pgLockClass = 0x7061726c // "parl"
	pgLockTime  = 5 * time.Second
)

// seize makes c the only connection that writes: a second server on one database would number its records as
// the first does. And when a connection was lost, PostgreSQL may not know it yet and commit, a moment from now, what we are about to
// look for in vain; so the old session is ended, and its lock awaited, before anybody looks.
func (e *pg) seize(ctx context.Context, c *pgx.Conn) error {
	if e.aside {
		_, err := c.Exec(ctx, `SET default_transaction_read_only = on`)
		return err
	}
	if _, err := c.Exec(ctx, pgNotice); err != nil {
		return err
	}
	if e.old != 0 {
		if _, err := c.Exec(ctx, pgEnd, pgLockClass, int32(e.old)); err != nil {
			return err
		}
	}
	wait, cancel := context.WithTimeout(ctx, pgLockTime)
	defer cancel()
	if _, err := c.Exec(wait, pgSeize, pgLockClass); err != nil {
		return errors.Join(e.owner(ctx), err)
	}
	e.old = c.PgConn().PID()
	return nil
}

// owner says who has the writer's lock; nil if nobody has or nobody knows.
func (e *pg) owner(ctx context.Context) error {
	var pid int32
	var from string
	if err := e.pool.QueryRow(ctx, pgOwner, pgLockClass).Scan(&pid, &from); err != nil {
		return nil // who asks has an error already
	}
	return fmt.Errorf("another server writes to this database, from %s: stop it, or end its session with SELECT pg_terminate_backend(%d)", from, pid)
}

// pgConn runs statements on one connection; pgx keeps them prepared.
type pgConn struct {
	c   *pgx.Conn
	ctx context.Context // of the Read or of the writer's transaction
}

func plainArgs(args []any) ([]any, error) {
	for i, a := range args {
		p, err := plain(a)
		if err != nil {
			return nil, err
		}
		args[i] = p
	}
	return args, nil
}

func (c *pgConn) exec(q string, args []any) (int64, error) {
	args, err := plainArgs(args)
	if err != nil {
		return 0, err
	}
	return affected(c.c.Exec(c.ctx, q, args...))
}

// affected gives a statement's result the shape that SQLite gives it.
func affected(tag pgconn.CommandTag, err error) (int64, error) {
	if err != nil {
		return 0, fmt.Errorf("postgresql: %w", err)
	}
	if tag.Select() {
		return 0, nil
	}
	return tag.RowsAffected(), nil
}

func (c *pgConn) query(q string, args []any) (cursor, error) {
	args, err := plainArgs(args)
	if err != nil {
		return nil, err
	}
	rows, err := c.c.Query(c.ctx, q, args...)
	if err != nil {
		return nil, fmt.Errorf("postgresql: %w", err)
	}
	return &pgRows{rows}, nil
}

// pgRows is the cursor of a pgConn.
type pgRows struct{ rows pgx.Rows }

func (r *pgRows) next() (bool, error) {
	if r.rows.Next() {
		return true, nil
	}
	return false, r.err()
}

func (r *pgRows) err() error {
	if err := r.rows.Err(); err != nil {
		return fmt.Errorf("postgresql: %w", err)
	}
	return nil
}

func (r *pgRows) close() error {
	r.rows.Close()
	return r.err()
}

func (r *pgRows) scan(dest []any) error {
	values, err := r.rows.Values()
	if err != nil {
		return fmt.Errorf("postgresql: %w", err)
	}
	if len(dest) != len(values) {
		return fmt.Errorf("store: scan: %d destinations for %d columns", len(dest), len(values))
	}
	for i, d := range dest {
		if err := assign(d, pgValue(values[i])); err != nil {
			return fmt.Errorf("%w (column %d)", err, i+1)
		}
	}
	return nil
}
