package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the database/sql driver that goose needs; nothing else here uses it
)

func (e *lite) migrate(ctx context.Context, files []migration) error {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "synchronous(FULL)", "foreign_keys(ON)", "wal_autocheckpoint(0)"}}
	if e.o.vfs != "" {
		q.Set("vfs", e.o.vfs)
	}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: e.path}).EscapedPath(), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	return errors.Join(runMigrations(ctx, goose.DialectSQLite3, db, files), db.Close())
}
