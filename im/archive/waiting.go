package archive

import (
	"context"
	"fmt"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

const (
	sqlNext = `SELECT w.pos, r.at, r.stanza FROM waiting w JOIN record r ON r.pos = w.pos
		WHERE w.owner = $1 AND w.pos > $2 AND w.pos > ` + floor + ` AND w.pos <= $3 AND r.stanza IS NOT NULL ORDER BY w.pos LIMIT $4`
	sqlSkip = `DELETE FROM waiting WHERE owner = $1 AND pos >= $2 AND pos <= $3
		AND EXISTS (SELECT 1 FROM view v WHERE v.owner = $1 AND v.pos = waiting.pos AND v.flags IN (1, 3))`
	sqlWaits = `SELECT count(*) FROM (SELECT 1 FROM waiting WHERE owner = $1 AND pos >= $2 AND pos <= $3 LIMIT 1) w`
	sqlCount = `SELECT count(*) FROM waiting WHERE owner = $1`
)

// Kept is one archived message as read back.
type Kept struct {
	Pos    session.Pos
	At     time.Time
	Stanza []byte
}

// Waiting reads messages that wait for an account, in order, behind one
// position and up to another.
func (a *Archive) Waiting(ctx context.Context, owner jid.JID, after, upto session.Pos, n int) ([]Kept, error) {
	var out []Kept
	err := a.db.Read(ctx, func(tx *store.Tx) error {
		var err error
		out, err = scanKept(tx, sqlNext, owner.String(), int64(after), int64(upto), n)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("archive: waiting: %w", err)
	}
	return out, nil
}

// Skip forgets what waits for an account between two positions: its client has
// read that part of the archive itself. What waits but is not shown there
// (XEP-0334 §4.1) goes on waiting.
func (a *Archive) Skip(ctx context.Context, owner jid.JID, from, upto session.Pos) error {
	var some int
	err := a.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Row(sqlWaits, owner.String(), int64(from), int64(upto)).Scan(&some)
	})
	if err == nil && some == 0 {
		return nil // as for most who log in: their other device has it
	}
	if err != nil {
		return fmt.Errorf("archive: skip: %w", err)
	}
	err = a.writeOwner(ctx, owner.String(), func(tx *store.Tx) error {
		_, err := tx.Exec(sqlSkip, owner.String(), int64(from), int64(upto))
		return err
	})
	if err != nil {
		return fmt.Errorf("archive: skip: %w", err)
	}
	return nil
}

// WaitingCount is how many messages wait for an account.
func (a *Archive) WaitingCount(ctx context.Context, owner jid.JID) (n int64, err error) {
	err = a.db.Read(ctx, func(tx *store.Tx) error { return tx.Row(sqlCount, owner.String()).Scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("archive: waiting: %w", err)
	}
	return n, nil
}

// scanKept runs a query for (pos, at, stanza).
func scanKept(tx *store.Tx, q string, args ...any) ([]Kept, error) {
	return scanSome(tx, func(*Kept) bool { return false }, q, args...)
}

// scanSome is scanKept up to the row that is one too many; it comes too.
func scanSome(tx *store.Tx, enough func(*Kept) bool, q string, args ...any) ([]Kept, error) {
	var out []Kept
	err := scanEach(tx, func(k *Kept) bool {
		out = append(out, *k)
		return !enough(k)
	}, q, args...)
	return out, err
}

// scanEach gives the rows of a query for (pos, at, stanza) to f, until it wants no more.
func scanEach(tx *store.Tx, f func(*Kept) (more bool), q string, args ...any) error {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var pos, at int64
		var k Kept
		if err := rows.Scan(&pos, &at, &k.Stanza); err != nil {
			return err
		}
		k.Pos, k.At = session.Pos(pos), time.UnixMicro(at).UTC()
		if !f(&k) {
			break
		}
	}
	return rows.Err()
}
