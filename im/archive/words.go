package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/parlance-im/parlance/im/search"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
)

// Marks: up to which position words are indexed, and how often content was erased.
const (
	markSearched = "searched"
	markErased   = "erased"
)

const (
	// How often it is looked for a block of the log that is full.
	wordsEvery = 2 * time.Second
	// How many rows of a block one write takes: it goes along with commits, and none waits for more than these.
	wordRows = 8
)

const (
	sqlSearched = `INSERT INTO archive_mark (name, value) VALUES ('searched', $1)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`
	sqlErased = `INSERT INTO archive_mark (name, value) VALUES ('erased', 1)
		ON CONFLICT (name) DO UPDATE SET value = archive_mark.value + 1`
	sqlUnsearched = `SELECT pos FROM record WHERE pos > $1 ORDER BY pos LIMIT 1`
	sqlSpoken     = `SELECT pos, conv, sender, recipient, COALESCE(views, ''), stanza FROM record
		WHERE pos >= $1 AND pos <= $2 AND state = 0 AND stanza IS NOT NULL ORDER BY pos`
)

// Words keeps the index of words (im/search) behind the log.
type Words struct {
	db   *store.DB
	last func() session.Pos
}

// NewWords makes what keeps the index of an archive.
func NewWords(a *Archive) *Words { return &Words{a.db, a.Last} }

// Run indexes full blocks, one at a time, until ctx ends. It reads what
// is on disk and writes a little at a time, so that no commit waits for it; when it is behind, by a data set from before
// or after an outage, it works half of the time.
func (w *Words) Run(ctx context.Context, log *slog.Logger) error {
	t := time.NewTimer(wordsEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		began := time.Now()
		more, err := w.block(ctx)
		if err != nil && ctx.Err() == nil {
			log.Warn("archive: words: what is not indexed yet is searched by reading", "err", err)
		}
		if more {
			t.Reset(time.Since(began))
		} else {
			t.Reset(wordsEvery)
		}
	}
}

// block indexes the next block that is full; more is false if there is none.
func (w *Words) block(ctx context.Context) (more bool, err error) {
	for {
		b, erased, err := readWords(ctx, w.db, int64(w.last()))
		if err != nil || b == nil {
			return false, err
		}
		err = writeWords(ctx, w.db, b, erased)
		if !errors.Is(err, errErased) {
			return err == nil, err
		}
	}
}

// readWords makes the index of the next full block; nil if there is none.
func readWords(ctx context.Context, db *store.DB, last int64) (b *search.Block, erased int64, err error) {
	err = db.Read(ctx, func(tx *store.Tx) error {
		searched, err := mark(tx, markSearched)
		if err != nil {
			return err
		}
		if erased, err = mark(tx, markErased); err != nil {
			return err
		}
		var pos int64
		if err := tx.Row(sqlUnsearched, searched).Scan(&pos); err != nil {
			if errors.Is(err, store.ErrNoRows) {
				err = nil
			}
			return err
		}
		first, end := search.Bounds(search.BlockOf(pos))
		if end > last {
			return nil
		}
		b = search.NewBlock(search.BlockOf(pos), new(search.Reader))
		return tx.Each(func(row store.RowScanner) error { return addWords(b, row) }, sqlSpoken, first, end)
	})
	if err != nil {
		err = fmt.Errorf("archive: words: %w", err)
	}
	return b, erased, err
}

// addWords takes one record. Where it does not say in whose archives it is, they are its two sides'; who really
// sees it is asked of the views (search.go).
func addWords(b *search.Block, row store.RowScanner) error {
	var pos, conv int64
	var sender, recipient, views string
	var message []byte
	if err := row.Scan(&pos, &conv, &sender, &recipient, &views, &message); err != nil {
		return err
	}
	owners, err := parseViews(views, sender, recipient)
	if err != nil {
		return err
	}
	scopes := [][]byte{search.Conversation(conv)}
	if views == "" {
		scopes = append(scopes, search.Owner(bare(recipient)), search.Owner(bare(sender)))
	}
	for _, o := range owners {
		if o.flags&Shown != 0 {
			scopes = append(scopes, search.Owner(o.owner))
		}
	}
	if len(scopes) > 1 {
		b.Add(pos, message, scopes...)
	}
	return nil
}

// errErased says that content was erased while a block was made.
var errErased = errors.New("archive: words: content was erased meanwhile")

// writeWords writes a block, a few rows at a time; it counts once all of it is there.
func writeWords(ctx context.Context, db *store.DB, b *search.Block, erased int64) error {
	rows := b.Rows()
	write := func(fn func(tx *store.Tx) error) error {
		return db.Write(ctx, func(tx *store.Tx) error {
			if now, err := mark(tx, markErased); err != nil {
				return err
			} else if now != erased {
				return errErased
			}
			return fn(tx)
		})
	}
	err := write(func(tx *store.Tx) error { return search.Begin(tx, b.Number) })
	for len(rows) > 0 && err == nil {
		n := min(wordRows, len(rows))
		err = write(func(tx *store.Tx) error { return search.Put(tx, b.Number, rows[:n]) })
		rows = rows[n:]
	}
	if err == nil {
		err = write(func(tx *store.Tx) error {
			if err := b.Done(tx); err != nil {
				return err
			}
			_, end := search.Bounds(b.Number)
			_, err := tx.Exec(sqlSearched, end)
			return err
		})
	}
	if err != nil {
		err = fmt.Errorf("archive: words: %w", err)
	}
	return err
}

// Reword makes the index of words anew, of a data set that nobody serves. It tells how far it is after every step.
func Reword(ctx context.Context, db *store.DB, tell func(done, all int64)) error {
	if err := unword(ctx, db); err != nil {
		return err
	}
	var last, at int64
	err := db.Read(ctx, func(tx *store.Tx) error { return tx.Row(sqlLast).Scan(&last, &at) })
	if errors.Is(err, store.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("archive: words: %w", err)
	}
	for {
		b, erased, err := readWords(ctx, db, last)
		if err != nil || b == nil {
			tell(last, last)
			return err
		}
		if err := writeWords(ctx, db, b, erased); err != nil {
			return err
		}
		_, end := search.Bounds(b.Number)
		tell(min(end, last), last)
	}
}

// unword empties the index; everything is searched by reading until it is made again.
func unword(ctx context.Context, db *store.DB) error {
	err := db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(sqlSearched, int64(0))
		return err
	})
	for more := true; more && err == nil; {
		err = db.Write(ctx, func(tx *store.Tx) error {
			var err error
			more, err = search.Clear(tx)
			return err
		})
	}
	if err != nil {
		err = fmt.Errorf("archive: words: %w", err)
	}
	return err
}
