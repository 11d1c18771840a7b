package archive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/parlance-im/parlance/im/search"
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
	MaxBytes   int           // a page is cut off here, but holds one message at least; 0: no limit
	Around     int           // bytes a message takes beside its own
	IDs        []session.Pos // these and no others
	Floor      session.Pos   // the archive begins behind (a room's)
	Text       *search.Query // what it says (XEP-0431); nil: anything
	by         jid.JID       // who wrote, in a room's archive
}

// Page is part of an archive, oldest first.
type Page struct {
	Messages []Kept
	Complete bool // nothing more in the direction that was asked for
	Unstable bool // a search that did not see everything (XEP-0313 §4.3.2)
}

// ErrNotFound says that an id names nothing in the owner's archive.
var ErrNotFound = errors.New("archive: no such message")

// In all of these: $1 owner, $2 after, $3 before, $4 and $5 time, $6 limit,
// $7 conversation, $8 and $9 the other side's full address or an empty string.
const (
	sqlAll = `SELECT r.pos, r.at, r.stanza FROM view v JOIN record r ON r.pos = v.pos
		WHERE v.owner = $1 AND v.pos > $2 AND v.pos > ` + floor + ` AND v.pos < $3 AND v.flags IN (1, 3)
		AND r.at >= $4 AND r.at <= $5 AND r.stanza IS NOT NULL ORDER BY v.pos `
	sqlWith = `SELECT r.pos, r.at, r.stanza FROM place p JOIN record r ON r.pos = p.pos
		WHERE p.conv = $7 AND p.pos > $2 AND p.pos > ` + floor + ` AND p.pos < $3 AND r.at >= $4 AND r.at <= $5 AND r.stanza IS NOT NULL
		AND ($8 = '' OR r.sender = $8 OR r.recipient = $8)
		AND EXISTS (SELECT 1 FROM view v WHERE v.owner = $1 AND v.pos = p.pos AND v.flags IN (1, 3))
		ORDER BY p.pos `
	sqlOne = `SELECT r.pos, r.at, r.stanza FROM view v JOIN record r ON r.pos = v.pos
		WHERE v.owner = $1 AND v.pos = $2 AND v.pos > ` + floor + ` AND v.flags IN (1, 3) AND r.stanza IS NOT NULL`
	sqlSeen     = `SELECT 1 FROM view WHERE owner = $1 AND pos = $2 AND pos > ` + floor
	sqlAt       = `SELECT pos, at FROM record WHERE pos >= $1 ORDER BY pos LIMIT 1`
	sqlConvID   = `SELECT id FROM conversation WHERE key = $1`
	sqlViews    = `SELECT count(*) FROM view WHERE owner = $1 AND flags IN (1, 3) AND pos > ` + floor
	sqlEdgeAsc  = `SELECT v.pos, r.at, r.stanza FROM view v JOIN record r ON r.pos = v.pos WHERE v.owner = $1 AND v.flags IN (1, 3) AND v.pos > ` + floor + ` ORDER BY v.pos LIMIT 1`
	sqlEdgeDesc = `SELECT v.pos, r.at, r.stanza FROM view v JOIN record r ON r.pos = v.pos WHERE v.owner = $1 AND v.flags IN (1, 3) AND v.pos > ` + floor + ` ORDER BY v.pos DESC LIMIT 1`
)

// Read returns a page.
func (a *Archive) Read(ctx context.Context, q Query) (Page, error) {
	var p Page
	err := a.readOwner(ctx, q.Owner.String(), func(tx *store.Tx) error {
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
	if q.Text != nil {
		return q.find(tx)
	}
	text, args, err := q.text(tx)
	if text == "" || err != nil {
		return Page{Complete: true}, err
	}
	order := "ASC LIMIT $6"
	if q.Backwards {
		order = "DESC LIMIT $6"
	}
	args[5] = q.Max + 1
	var in cutter
	all, err := scanSome(tx, func(k *Kept) bool { return !in.takes(q, k) }, text+order, args...)
	if err != nil {
		return Page{}, err
	}
	p := Page{Complete: len(all) == in.n}
	p.Messages = all[:in.n]
	if q.Backwards {
		slices.Reverse(p.Messages)
	}
	return p, nil
}

// cutter says how much goes into a page.
type cutter struct{ n, bytes int }

// takes says whether the next message still belongs to the page.
func (c *cutter) takes(q *Query, k *Kept) bool {
	c.bytes += len(k.Stanza) + q.Around
	if c.n == q.Max || c.n > 0 && q.MaxBytes > 0 && c.bytes > q.MaxBytes {
		return false
	}
	c.n++
	return true
}

// text is the query without its order, and its arguments; $6 is left to the
// caller. It is empty if there can be nothing.
func (q *Query) text(tx *store.Tx) (string, []any, error) {
	after, before, start, end, err := q.bounds(tx)
	if errors.Is(err, store.ErrNoRows) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	args := []any{q.Owner.String(), after, before, start, end, int64(math.MaxInt64)}
	if !q.by.IsZero() {
		text, args := q.byText(args)
		return text, args, nil
	}
	if q.With.IsZero() {
		return sqlAll, args, nil
	}
	var conv int64
	err = tx.Row(sqlConvID, Pair(q.Owner, q.With)).Scan(&conv)
	if errors.Is(err, store.ErrNoRows) {
		return "", nil, nil
	}
	full := ""
	if q.With.IsFull() {
		full = q.With.String()
	}
	return sqlWith, append(args, conv, full), err
}

// bounds are the positions a query is between, exclusive, and the times, inclusive; ErrNoRows says
// that there can be nothing.
func (q *Query) bounds(tx *store.Tx) (after, before, start, end int64, err error) {
	after, before = int64(max(q.After, q.Floor)), int64(math.MaxInt64)
	if q.Before != 0 {
		before = int64(q.Before)
	}
	start, end = int64(math.MinInt64), int64(math.MaxInt64)
	if !q.End.IsZero() {
		end = q.End.UnixMicro()
	}
	if !q.Start.IsZero() {
		start = q.Start.UnixMicro()
		var from int64
		if from, err = startsAt(tx, start); err == nil {
			after = max(after, from-1)
		}
	}
	return after, before, start, end, err
}

// startsAt is the first position that can have a time, or ErrNoRows. Times are
// almost in the order of positions (append.go), so it is searched for by
// halving. Behind a time from before a step back of the clock nothing is known:
// every position may have it.
func startsAt(tx *store.Tx, start int64) (from int64, err error) {
	stepped, err := mark(tx, "stepped")
	if err != nil || start <= stepped {
		return 0, err
	}
	var last, at int64
	if err := tx.Row(sqlLast).Scan(&last, &at); err != nil {
		return 0, err
	}
	if at < start {
		return 0, store.ErrNoRows
	}
	for low, high := int64(0), last; ; { // what is sought is behind low and not behind high
		if high-low <= 1 {
			return high, nil
		}
		var pos int64
		middle := low + (high-low)/2
		if err := tx.Row(sqlAt, middle).Scan(&pos, &at); err != nil {
			return 0, err
		}
		if at >= start {
			high = min(pos, middle) // between middle and pos there is nothing
		} else {
			low = pos
		}
	}
}

// readIDs is the "ids" field of mam:2#extended: all of them or an error; as many
// as there is room for, the rest may be asked for behind the last.
func readIDs(tx *store.Tx, q Query) (Page, error) {
	ids := slices.Clone(q.IDs)
	slices.Sort(ids)
	p, in := Page{Complete: true}, cutter{}
	for _, id := range slices.Compact(ids) {
		if id <= q.After || q.Before != 0 && id >= q.Before {
			continue
		}
		k, err := scanKept(tx, sqlOne, q.Owner.String(), int64(id))
		if err != nil {
			return Page{}, err
		}
		if len(k) == 0 {
			return Page{}, ErrNotFound
		}
		if !in.takes(&q, &k[0]) {
			p.Complete = false
			break
		}
		p.Messages = append(p.Messages, k[0])
	}
	if q.Text != nil {
		p = q.matching(p)
	}
	return p, nil
}

// Edges are the first and the last message of an archive (XEP-0313 §6.1).
func (a *Archive) Edges(ctx context.Context, owner jid.JID) (first, last []Kept, err error) {
	err = a.readOwner(ctx, owner.String(), func(tx *store.Tx) (err error) {
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

// Count is how many messages of an owner's archive a query is about. It looks at
// them all, so it is made only when a client asks for nothing else (XEP-0059 §2.7).
func (a *Archive) Count(ctx context.Context, q Query) (n int64, err error) {
	err = a.readOwner(ctx, q.Owner.String(), func(tx *store.Tx) error {
		if len(q.IDs) > 0 {
			q.Max = len(q.IDs)
			p, err := readIDs(tx, q)
			n = int64(len(p.Messages))
			return err
		}
		if err := q.check(tx); err != nil {
			return err
		}
		if q.Text == nil && q.With.IsZero() && q.Start.IsZero() && q.End.IsZero() && q.After == 0 && q.Before == 0 {
			return tx.Row(sqlViews, q.Owner.String()).Scan(&n)
		}
		if q.Text != nil {
			q.Max = countMost
			p, err := q.find(tx)
			n = int64(len(p.Messages))
			return err
		}
		text, args, err := q.text(tx)
		if text == "" || err != nil {
			return err
		}
		return tx.Row("SELECT count(*) FROM ("+text+"ASC LIMIT $6) AS page", args...).Scan(&n)
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("archive: count: %w", err)
	}
	return n, err
}
