package archive

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		sub = migrations // the directory is embedded above: can't happen
	}
	return store.Migrations{Name: "archive", FS: sub}
}

// Archive is the record of one data set.
type Archive struct {
	db  *store.DB
	now func() time.Time

	mu      sync.Mutex // one writer per log
	last    session.Pos
	lastAt  int64
	stepped int64 // the latest time any record had when time went back
	stale   bool  // what was written last is not known
	convs   map[string]*conversation

	tail    *tail    // has its own lock; added to under mu
	witness *Witness // nil: none; set before the first append
	// What may have been kept or not, until an append succeeds again.
	doubt map[Sending]struct{}
}

// conversation is what the writer has to know of one.
type conversation struct {
	id    int64
	seq   int64 // of its last record
	next  int64 // of the last record of the append under way
	key   string
	fresh bool // found or made in the append under way
}

// convCache bounds how many conversations the writer keeps in mind.
const convCache = 100_000

const (
	sqlLast = `SELECT pos, at FROM record ORDER BY pos DESC LIMIT 1`
	sqlLost = `SELECT COALESCE(MAX(last), 0) FROM archive_loss`
	sqlMark = `SELECT value FROM archive_mark WHERE name = $1`
	// What the index lacks, in pages.
	sqlTail = `SELECT pos, at, conv, conv_seq, sender, recipient, dedup, views FROM record
		WHERE pos > $1 ORDER BY pos LIMIT 4096`
	// After a crash nobody knows what was taken behind the mark: it all waits again.
	sqlRecover = `INSERT INTO waiting (owner, pos)
		SELECT v.owner, v.pos FROM view v JOIN record r ON r.pos = v.pos
		WHERE r.pos > $1 AND v.flags >= 2 ON CONFLICT (owner, pos) DO NOTHING`
	sqlStep = `INSERT INTO archive_mark (name, value) VALUES ('stepped', $1)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`
	sqlSettle = `INSERT INTO archive_mark (name, value) VALUES ('settled', $1)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

// Open reads where the log ends, and makes waiting what a crash left unsettled.
// Migrations have been applied.
func Open(ctx context.Context, db *store.DB, now func() time.Time) (*Archive, error) {
	a := &Archive{db: db, now: now, convs: make(map[string]*conversation), tail: newTail(), doubt: make(map[Sending]struct{})}
	err := db.Write(ctx, func(tx *store.Tx) error {
		if err := a.load(tx); err != nil {
			return err
		}
		settled, err := mark(tx, "settled")
		if err != nil || settled >= int64(a.last) {
			return err
		}
		if _, err := tx.Exec(sqlRecover, settled); err != nil {
			return err
		}
		if err := a.tail.recover(tx, session.Pos(settled)); err != nil {
			return err
		}
		_, err = tx.Exec(sqlSettle, int64(a.last))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("archive: open: %w", err)
	}
	return a, nil
}

// mark is a value of archive_mark; 0 if there is none.
func mark(tx *store.Tx, name string) (value int64, err error) {
	err = tx.Row(sqlMark, name).Scan(&value)
	if errors.Is(err, store.ErrNoRows) {
		err = nil
	}
	return value, err
}

// load reads where the log ends and what the index lacks; nothing else is known then.
func (a *Archive) load(tx *store.Tx) error {
	var last, at int64
	if err := tx.Row(sqlLast).Scan(&last, &at); err != nil && !errors.Is(err, store.ErrNoRows) {
		return err
	}
	// A position that was given to a message that is lost is known to clients as its id.
	var lost int64
	if err := tx.Row(sqlLost).Scan(&lost); err != nil {
		return err
	}
	last = max(last, lost)
	stepped, err := mark(tx, "stepped")
	if err != nil {
		return err
	}
	upto, err := mark(tx, "indexed")
	if err != nil {
		return err
	}
	if err := a.tail.load(tx, upto, a.now()); err != nil {
		return err
	}
	a.last, a.lastAt, a.stepped, a.stale = session.Pos(last), at, stepped, false
	clear(a.convs)
	return nil
}

// Last is the position of the newest record.
func (a *Archive) Last() session.Pos {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// WitnessBy has a witness told of every append from now on; before the first.
func (a *Archive) WitnessBy(w *Witness) { a.witness = w }
