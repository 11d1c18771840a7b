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
	e := &pg{conf: pc.ConnConfig.Copy(), readers: o.Readers}
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
	return &pgWriter{pgConn: pgConn{c: c, ctx: context.Background()}, cancel: func() {}, known: map[string]bool{}}, nil
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
