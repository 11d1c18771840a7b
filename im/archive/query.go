package archive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Query asks for a page of an owner's archive (XEP-0313 §4.1).
type Query struct {
	Owner      jid.JID
	With       jid.JID // zero: with anybody; full: that resource only
	Start, End time.Time
	After      session.Pos // exclusive
	Before     session.Pos // exclusive; zero: the end
	Backwards  bool        // the last Max instead of the first
	Max        int
	MaxBytes   int           // a page is cut off here, but holds one message at least
	IDs        []session.Pos // these and no others
}

// Page is part of an archive, oldest first.
type Page struct {
	Messages []Kept
	Complete bool // nothing more in the direction that was asked for
}

// ErrNotFound says that an id names nothing in the owner's archive.
var ErrNotFound = errors.New("archive: no such message")

// In all of these: $1 owner, $2 after, $3 before, $4 and $5 time, $6 limit,
// $7 conversation, $8 and $9 the other side's full address or an empty string.
// The unary plus keeps SQLite from starting at the time index: the positions
// already bound the time.
const (
	sqlAll = `SELECT r.pos, r.at, r.stanza FROM view v JOIN record r ON r.pos = v.pos
		WHERE v.owner = $1 AND v.pos > $2 AND v.pos < $3 AND v.flags IN (1, 3)
		AND +r.at >= $4 AND +r.at <= $5 AND r.stanza IS NOT NULL ORDER BY v.pos `
	sqlWith = `SELECT r.pos, r.at, r.stanza FROM record r
		WHERE r.conv = $7 AND r.pos > $2 AND r.pos < $3 AND +r.at >= $4 AND +r.at <= $5 AND r.stanza IS NOT NULL
		AND ($8 = '' OR r.sender = $8 OR r.recipient = $8)
		AND EXISTS (SELECT 1 FROM view v WHERE v.owner = $1 AND v.pos = r.pos AND v.flags IN (1, 3))
		ORDER BY r.pos `
	sqlOne = `SELECT r.pos, r.at, r.stanza FROM view v JOIN record r ON r.pos = v.pos
		WHERE v.owner = $1 AND v.pos = $2 AND v.flags IN (1, 3) AND r.stanza IS NOT NULL`
	sqlSeen     = `SELECT 1 FROM view WHERE owner = $1 AND pos = $2`
	sqlFrom     = `SELECT pos FROM record WHERE at >= $1 ORDER BY at, pos LIMIT 1`
	sqlConvID   = `SELECT id FROM conversation WHERE key = $1`
	sqlViews    = `SELECT count(*) FROM view WHERE owner = $1 AND flags IN (1, 3)`
	sqlEdgeAsc  = `SELECT v.pos, r.at, r.stanza FROM view v JOIN record r ON r.pos = v.pos WHERE v.owner = $1 AND v.flags IN (1, 3) ORDER BY v.pos LIMIT 1`
	sqlEdgeDesc = `SELECT v.pos, r.at, r.stanza FROM view v JOIN record r ON r.pos = v.pos WHERE v.owner = $1 AND v.flags IN (1, 3) ORDER BY v.pos DESC LIMIT 1`
)

// Read returns a page.
func (a *Archive) Read(ctx context.Context, q Query) (Page, error) {
	var p Page
	err := a.db.Read(ctx, func(tx *store.Tx) error {
		var err error
		if len(q.IDs) > 0 {
			p, err = readIDs(tx, q)
			return err
		}
		if err = q.check(tx); err != nil {
			return err
		}
		p, err = q.read(tx)
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("archive: read: %w", err)
	}
	return p, err
}

// check is XEP-0313 §4.3.1: an id that is not in the archive is an error, not
// an empty page.
func (q *Query) check(tx *store.Tx) error {
	for _, id := range []session.Pos{q.After, q.Before} {
		if id == 0 {
			continue
		}
		var one int64
		if err := tx.Row(sqlSeen, q.Owner.String(), int64(id)).Scan(&one); err != nil {
			if errors.Is(err, store.ErrNoRows) {
				return ErrNotFound
			}
			return err
		}
	}
	return nil
}

func (q *Query) read(tx *store.Tx) (Page, error) {
	after, before := int64(q.After), int64(math.MaxInt64)
	if q.Before != 0 {
		before = int64(q.Before)
	}
	start, end := int64(0), int64(math.MaxInt64)
	if !q.Start.IsZero() {
		start = q.Start.UnixMicro()
		// Times are almost in the order of positions (append.go), so the page need
		// not be searched for from the beginning of the archive.
		var from int64
		switch err := tx.Row(sqlFrom, start).Scan(&from); {
		case errors.Is(err, store.ErrNoRows):
			return Page{Complete: true}, nil
		case err != nil:
			return Page{}, err
		}
		after = max(after, from-1)
	}
	if !q.End.IsZero() {
		end = q.End.UnixMicro()
	}
	order := "ASC LIMIT $6"
	if q.Backwards {
		order = "DESC LIMIT $6"
	}
	args := []any{q.Owner.String(), after, before, start, end, q.Max + 1}
	text := sqlAll
	if !q.With.IsZero() {
		var conv int64
		switch err := tx.Row(sqlConvID, Pair(q.Owner, q.With)).Scan(&conv); {
		case errors.Is(err, store.ErrNoRows):
			return Page{Complete: true}, nil
		case err != nil:
			return Page{}, err
		}
		full := ""
		if q.With.IsFull() {
			full = q.With.String()
		}
		text, args = sqlWith, append(args, conv, full)
	}
	all, err := scanKept(tx, text+order, args...)
	if err != nil {
		return Page{}, err
	}
	return q.cut(all), nil
}

// cut makes a page of one row more than was asked for.
func (q *Query) cut(all []Kept) Page {
	p := Page{Complete: len(all) <= q.Max}
	bytes := 0
	for i, k := range all {
		bytes += len(k.Stanza)
		if i == q.Max || (i > 0 && q.MaxBytes > 0 && bytes > q.MaxBytes) {
			p.Complete = false
			all = all[:i]
			break
		}
	}
	if q.Backwards {
		slices.Reverse(all)
	}
	p.Messages = all
	return p
}

// readIDs is the "ids" field of mam:2#extended: all of them or an error.
func readIDs(tx *store.Tx, q Query) (Page, error) {
	ids := slices.Clone(q.IDs)
	slices.Sort(ids)
	p := Page{Complete: true}
	for _, id := range slices.Compact(ids) {
		k, err := scanKept(tx, sqlOne, q.Owner.String(), int64(id))
		if err != nil {
			return Page{}, err
		}
		if len(k) == 0 {
			return Page{}, ErrNotFound
		}
		p.Messages = append(p.Messages, k[0])
	}
	return p, nil
}

// Edges are the first and the last message of an archive (XEP-0313 §6.1).
func (a *Archive) Edges(ctx context.Context, owner jid.JID) (first, last []Kept, err error) {
	err = a.db.Read(ctx, func(tx *store.Tx) (err error) {
		if first, err = scanKept(tx, sqlEdgeAsc, owner.String()); err != nil {
			return err
		}
		last, err = scanKept(tx, sqlEdgeDesc, owner.String())
		return err
	})
	if err != nil {
		err = fmt.Errorf("archive: edges: %w", err)
	}
	return first, last, err
}

// Count is how many messages an owner's archive shows. It reads them all, so
// it is made only when a client asks for nothing else (XEP-0059 §2.7).
func (a *Archive) Count(ctx context.Context, owner jid.JID) (n int64, err error) {
	err = a.db.Read(ctx, func(tx *store.Tx) error { return tx.Row(sqlViews, owner.String()).Scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("archive: count: %w", err)
	}
	return n, nil
}
