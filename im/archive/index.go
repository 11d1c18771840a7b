package archive

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
)

// When a run is written, and how much of it goes along with each append: four
// index rows a message, so that a run is written before the next is long.
const (
	runLength  = 1 << 15
	runAge     = time.Minute
	sliceRest  = 32
	sliceShare = 5
	// Without appends to go along with: how often it is looked, how many rows then.
	indexEvery = time.Second
	indexRows  = 2048
)

const (
	sqlSent    = `SELECT s.dedup, s.pos, r.at FROM sending s JOIN record r ON r.pos = s.pos WHERE s.dedup IN `
	sqlIndexed = `INSERT INTO archive_mark (name, value) VALUES ('indexed', $1)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

// Index writes what appends did not take along, until ctx ends; then the rest.
func (a *Archive) Index(ctx context.Context, log *slog.Logger) error {
	t := time.NewTicker(indexEvery)
	defer t.Stop()
	var seen session.Pos
	for {
		select {
		case <-ctx.Done():
			err := a.indexAll(context.WithoutCancel(ctx))
			if err != nil && a.db.Err() == nil {
				log.Warn("archive: index: the database can't be reached; the next start reads back what is not written", "err", err)
				return nil
			}
			return err
		case <-t.C:
			last := a.Last()
			quiet := last == seen
			seen = last
			for quiet && ctx.Err() == nil && a.tail.begin(runLength, a.now().Add(-runAge)) {
				if err := a.indexSome(ctx, indexRows); err != nil {
					log.Warn("archive: index: what is not written yet stays in memory", "err", err)
					break
				}
				quiet = a.Last() == seen
			}
		}
	}
}

// indexAll writes both runs, so that the next start has nothing to read back.
func (a *Archive) indexAll(ctx context.Context) error {
	for a.tail.begin(0, a.now().Add(time.Hour)) {
		if err := a.indexSome(ctx, indexRows); err != nil {
			return fmt.Errorf("archive: index: %w", err)
		}
	}
	return nil
}

// indexSome writes a slice of the run under way. The lock keeps appends from
// writing the same one.
func (a *Archive) indexSome(ctx context.Context, n int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.tail.slice(n)
	if err := a.db.Write(ctx, func(tx *store.Tx) error { return writeCut(tx, c) }); err != nil {
		return err
	}
	a.tail.drop(c)
	return nil
}

// writeOwner is a write that finds an owner's archive whole in the tables.
func (a *Archive) writeOwner(ctx context.Context, owner string, fn func(*store.Tx) error) error {
	c := a.tail.owner(owner)
	err := a.db.Write(ctx, func(tx *store.Tx) error {
		if err := writeCut(tx, c); err != nil {
			return err
		}
		return fn(tx)
	})
	if err == nil {
		a.tail.drop(c)
	}
	return err
}

// readOwner is a read that finds an owner's archive whole in the tables, up to
// what was appended when it began.
func (a *Archive) readOwner(ctx context.Context, owner string, fn func(*store.Tx) error) error {
	if a.tail.has(owner) {
		if err := a.writeOwner(ctx, owner, func(*store.Tx) error { return nil }); err != nil {
			return err
		}
	}
	return a.db.Read(ctx, fn)
}

// writeCut writes rows; those that are there already stay. Arguments are
// pointers: values would be copied to the heap one by one.
func writeCut(tx *store.Tx, c *cut) error {
	if c == nil {
		return nil
	}
	err := intoPlace.rows(tx, len(c.places), func(i int, args []any) {
		args[0], args[1] = &c.places[i].conv, &c.places[i].pos
	})
	if err != nil {
		return err
	}
	err = intoView.rows(tx, len(c.views), func(i int, args []any) {
		v := &c.views[i]
		args[0], args[1], args[2] = &v.owner, &v.pos, &v.flags
	})
	if err != nil {
		return err
	}
	err = intoSent.rows(tx, len(c.sendings), func(i int, args []any) {
		s := &c.sendings[i]
		s.column = s.key[:]
		args[0], args[1] = &s.column, &s.pos
	})
	if err != nil || !c.done {
		return err
	}
	_, err = tx.Exec(sqlIndexed, int64(c.upto))
	return err
}

// findSent looks sendings up in the table.
func findSent(tx *store.Tx, ask []Sending) (map[Sending]sent, error) {
	var found map[Sending]sent
	for len(ask) > 0 {
		n, q := sentQuery(len(ask))
		keys, args := make([][]byte, n), make([]any, n)
		for i := range args {
			keys[i] = ask[min(i, len(ask)-1)][:]
			args[i] = &keys[i]
		}
		ask = ask[min(n, len(ask)):]
		rows, err := tx.Query(q, args...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var key []byte
			var pos, at int64
			if err := rows.Scan(&key, &pos, &at); err != nil {
				return nil, err
			}
			if found == nil {
				found = make(map[Sending]sent)
			}
			found[Sending(key)] = sent{session.Pos(pos), at}
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

var sentOne, sentSome, sentMany = sqlSent + values(1), sqlSent + values(8), sqlSent + values(64)

// sentQuery asks for many, some or one: three texts, so that they stay prepared.
func sentQuery(n int) (int, string) {
	switch {
	case n > 8:
		return 64, sentMany
	case n > 1:
		return 8, sentSome
	}
	return 1, sentOne
}

// load reads the records behind the mark back.
func (t *tail) load(tx *store.Tx, after int64, now time.Time) error {
	t.reset()
	for {
		page, err := readTail(tx, after)
		if err != nil || len(page) == 0 {
			return err
		}
		t.add(now, page)
		after = int64(page[len(page)-1].pos)
	}
}

func readTail(tx *store.Tx, after int64) (out []indexed, err error) {
	rows, err := tx.Query(sqlTail, after)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var x indexed
		var pos int64
		var sender, recipient string
		var dedup []byte
		var views sql.NullString
		if err := rows.Scan(&pos, &x.at, &x.conv, &x.seq, &sender, &recipient, &dedup, &views); err != nil {
			return nil, err
		}
		x.pos = session.Pos(pos)
		if len(dedup) == len(x.dedup) {
			x.dedup = Sending(dedup)
		}
		if x.views, err = parseViews(views.String, sender, recipient); err != nil {
			return nil, fmt.Errorf("record %d: %w", pos, err)
		}
		out = append(out, x)
	}
	return out, rows.Err()
}

// recover makes waiting what the index does not have yet of the unsettled.
func (t *tail) recover(tx *store.Tx, settled session.Pos) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	for owner := range t.cur.views.ends {
		t.cur.views.each(owner, func(v *row) bool {
			if v.pos > settled && v.n&Keep != 0 {
				_, err = tx.Exec(sqlPark, owner, int64(v.pos))
			}
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
