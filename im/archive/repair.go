package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
)

// Repaired is what Repair found and mended.
type Repaired struct {
	Records     int64
	Quarantined []Problem // their content is in record_quarantine, and nowhere else any more
	Gaps        []Problem // places that are missing within a conversation: nothing brings them back
	Added       int64     // index rows made again
	Removed     int64     // index rows of no record
	Lost        *Loss     // accepted now; nil: nothing was
}

// Loss is a stretch of the log that an operator went on without.
type Loss struct {
	First, Last session.Pos
	At          time.Time
}

func (l Loss) String() string { return fmt.Sprintf("records %d to %d", l.First, l.Last) }

const (
	sqlTakeAside = `INSERT INTO record_quarantine (pos, found, what, at, sender, recipient, stanza, salt, seal)
		SELECT pos, $2, $3, at, sender, recipient, stanza, salt, seal FROM record WHERE pos = $1`
	sqlBlank      = `UPDATE record SET stanza = NULL, salt = NULL WHERE pos = $1`
	sqlAcceptLoss = `INSERT INTO archive_loss (first, last, at, seal) VALUES ($1, $2, $3, $4) ON CONFLICT (first) DO UPDATE
		SET last = excluded.last, at = excluded.at, seal = excluded.seal`
	sqlAside    = `SELECT DISTINCT pos FROM record_quarantine`
	sqlLosses   = `SELECT first, last, at FROM archive_loss ORDER BY first`
	sqlLastSeal = `SELECT pos, seal FROM record ORDER BY pos DESC LIMIT 1`
)

// strayRows delete what points to no record, or to one of something else.
var strayRows = [...]string{
	`DELETE FROM view WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.pos = view.pos)`,
	`DELETE FROM place WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.pos = place.pos AND r.conv = place.conv)`,
	`DELETE FROM sending WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.pos = sending.pos AND r.dedup = sending.dedup)`,
	`DELETE FROM waiting WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.pos = waiting.pos)`,
}

var countRows = [...]string{`SELECT COUNT(*) FROM view`, `SELECT COUNT(*) FROM place`, `SELECT COUNT(*) FROM sending`}

// Repair mends a data set that nobody serves: content that does not fit its seal goes into quarantine, and the tables that
// find records are made to agree with them. Migrations have been applied. Whatever it can't mend it names.
func Repair(ctx context.Context, db *store.DB, now time.Time) (r Repaired, err error) {
	var altered []Problem
	r.Records, _, err = Verify(ctx, db, func(p Problem) {
		if p.Altered {
			altered = append(altered, p)
		} else {
			r.Gaps = append(r.Gaps, p)
		}
	})
	if err != nil {
		return r, err
	}
	err = db.Write(ctx, func(tx *store.Tx) error {
		for _, p := range altered {
			if _, err := tx.Exec(sqlTakeAside, p.Pos, now.UnixMicro(), p.What); err != nil {
				return err
			}
			if _, err := tx.Exec(sqlBlank, p.Pos); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("archive: repair: quarantine: %w", err)
	}
	r.Quarantined = altered
	if len(altered) > 0 { // the index of words has what they said before; a start makes it again
		if err := unword(ctx, db); err != nil {
			return r, err
		}
	}
	if r.Added, r.Removed, err = reindex(ctx, db); err != nil {
		return r, fmt.Errorf("archive: repair: index: %w", err)
	}
	return r, nil
}

// reindex makes view, place and sending agree with the records. Where nothing is missing nothing is
// written but the rows that were to be written behind the records anyway.
func reindex(ctx context.Context, db *store.DB) (added, removed int64, err error) {
	aside := make(map[session.Pos]bool)
	err = db.Write(ctx, func(tx *store.Tx) error {
		for _, q := range strayRows {
			n, err := tx.Exec(q)
			if err != nil {
				return err
			}
			removed += n
		}
		before, err := indexRowCount(tx)
		if added = -before; err != nil {
			return err
		}
		rows, err := tx.Query(sqlAside)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var pos int64
			if err := rows.Scan(&pos); err != nil {
				return err
			}
			aside[session.Pos(pos)] = true
		}
		return rows.Err()
	})
	for after, more := int64(0), true; more && err == nil; {
		err = db.Write(ctx, func(tx *store.Tx) error {
			page, err := readTail(tx, after)
			if more = err == nil && len(page) > 0; !more {
				return err
			}
			for i := range page {
				if aside[page[i].pos] { // it may name other people than it did
					page[i].views, page[i].dedup = nil, Sending{}
				}
			}
			t := newTail()
			t.add(time.Time{}, page)
			after = int64(t.cur.upto)
			for t.begin(0, time.Unix(0, 0)) {
				c := t.slice(indexRows)
				if err := writeCut(tx, c); err != nil {
					return err
				}
				t.drop(c)
			}
			return nil
		})
	}
	if err == nil {
		err = db.Write(ctx, func(tx *store.Tx) error {
			n, err := indexRowCount(tx)
			added += n
			return err
		})
	}
	return added, removed, err
}

func indexRowCount(tx *store.Tx) (all int64, err error) {
	for _, q := range countRows {
		var n int64
		if err := tx.Row(q).Scan(&n); err != nil {
			return 0, err
		}
		all += n
	}
	return all, nil
}

// AcceptLoss has the data set remember what is missing at its end, and the witness say no more than what is there.
// It is what an operator decides; lost is what Witness.Check said.
func AcceptLoss(ctx context.Context, db *store.DB, w *Witness, lost *LostError, now time.Time) (Loss, error) {
	l := Loss{First: lost.Last + 1, Last: lost.Was.Pos, At: now}
	if lost.Other {
		l.First = l.Last
	}
	var is Claim
	err := db.Write(ctx, func(tx *store.Tx) error {
		// First the data set: a crash before the witness is written raises the same alarm again.
		if _, err := tx.Exec(sqlAcceptLoss, int64(l.First), int64(l.Last), now.UnixMicro(), lost.Was.Seal[:]); err != nil {
			return err
		}
		var pos int64
		var seal []byte
		err := tx.Row(sqlLastSeal).Scan(&pos, &seal)
		switch {
		case errors.Is(err, store.ErrNoRows):
			return nil
		case err == nil && len(seal) != len(is.Seal):
			return fmt.Errorf("record %d has a seal of %d bytes", pos, len(seal))
		case err == nil:
			is = Claim{session.Pos(pos), [32]byte(seal)}
		}
		return err
	})
	if err == nil {
		err = w.reset(is)
	}
	if err != nil {
		return l, fmt.Errorf("archive: accept loss: %w", err)
	}
	return l, nil
}

// Losses are what was accepted so far.
func Losses(ctx context.Context, db *store.DB) (out []Loss, err error) {
	err = db.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(sqlLosses)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var first, last, at int64
			if err := rows.Scan(&first, &last, &at); err != nil {
				return err
			}
			out = append(out, Loss{session.Pos(first), session.Pos(last), time.UnixMicro(at).UTC()})
		}
		return rows.Err()
	})
	return out, err
}
