package archive

import (
	"errors"
	"slices"
	"strings"

	"github.com/parlance-im/parlance/im/search"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
)

// How much one request reads: what is not indexed yet, and what the index names. Behind it the answer
// is incomplete and says so.
const (
	tailMost = 20_000
	nameMost = 50_000
)

// A search's messages: $1 to $5 as in query.go, $6 conversation or 0, $7 the other side's full address, $8 who wrote
// and $9 what the addresses of his devices are like, each or an empty string, $10 limit. What was retracted is not found.
const sqlSearch = `SELECT r.pos, r.at, r.stanza FROM view v JOIN record r ON r.pos = v.pos
		WHERE v.owner = $1 AND v.pos > $2 AND v.pos > ` + floor + ` AND v.pos < $3 AND v.flags IN (1, 3)
		AND r.at >= $4 AND r.at <= $5 AND r.stanza IS NOT NULL AND (r.conv = $6 OR $6 = 0)
		AND ($7 = '' OR r.sender = $7 OR r.recipient = $7) AND ($8 = '' OR r.sender = $8 OR r.sender LIKE $9 ESCAPE '\')
		AND NOT EXISTS (SELECT 1 FROM tombstone t WHERE t.owner = $1 AND t.pos = v.pos)`

// The same in order, and of some positions.
var (
	sqlSearchUp   = sqlSearch + ` ORDER BY v.pos LIMIT $10`
	sqlSearchDown = sqlSearch + ` ORDER BY v.pos DESC LIMIT $10`
	sqlSearchAt   = searchAt()
)

func searchAt() string {
	var b strings.Builder
	b.WriteString(sqlSearch + ` AND v.pos IN `)
	list(&b, 10, atOnce)
	b.WriteString(` ORDER BY v.pos LIMIT $10`)
	return b.String()
}

// finder makes a page of what a search finds.
type finder struct {
	q      *Query
	tx     *store.Tx
	args   []any // of sqlSearch
	reader search.Reader
	in     cutter
	page   []Kept
	full   bool
	rest   int // of nameMost
}

// find is read for a query with words. What the index does not have yet is read and looked
// through, so that a message is found as soon as it is archived.
func (q *Query) find(tx *store.Tx) (Page, error) {
	f := finder{q: q, tx: tx, rest: nameMost}
	after, before, some, err := f.begin()
	if !some || err != nil {
		return Page{Complete: true}, err
	}
	searched, err := mark(tx, markSearched)
	if err != nil {
		return Page{}, err
	}
	searched = max(searched, after)
	stable := true
	tail := func() error {
		done, err := f.tail(searched, before)
		stable = stable && done
		return err
	}
	named := func() error {
		return f.named(search.Range{From: after + 1, To: min(searched, before-1), Down: q.Backwards})
	}
	steps := []func() error{named, tail}
	if q.Backwards {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if f.full {
			break
		}
		if err := step(); err != nil {
			return Page{}, err
		}
	}
	if q.Backwards {
		slices.Reverse(f.page)
	}
	stable = stable && f.rest > 0
	return Page{Messages: f.page, Complete: !f.full && stable, Unstable: !stable}, nil
}

// begin makes the arguments; some is false if there can be nothing.
func (f *finder) begin() (after, before int64, some bool, err error) {
	q := f.q
	after, before, start, end, err := q.bounds(f.tx)
	if errors.Is(err, store.ErrNoRows) || err == nil && q.Text.Empty() {
		return 0, 0, false, nil
	}
	conv, full, by, like := int64(0), "", "", ""
	if err == nil && !q.With.IsZero() {
		err = f.tx.Row(sqlConvID, Pair(q.Owner, q.With)).Scan(&conv)
		if errors.Is(err, store.ErrNoRows) {
			return 0, 0, false, nil
		}
		if q.With.IsFull() {
			full = q.With.String()
		}
	}
	if !q.by.IsZero() {
		by, like = q.by.String(), q.likeBy()
	}
	f.args = []any{q.Owner.String(), after, before, start, end, conv, full, by, like, 0}
	return after, before, true, err
}

// named goes through what the index names.
func (f *finder) named(in search.Range) error {
	if in.From > in.To {
		return nil
	}
	scopes := [][]byte{search.Owner(f.q.Owner.String())}
	if conv, ok := f.args[5].(int64); ok && conv != 0 {
		scopes = append(scopes, search.Conversation(conv))
	}
	some := make([]int64, 0, atOnce)
	err := f.q.Text.Find(f.tx, in, scopes, func(pos int64) (bool, error) {
		if some = append(some, pos); len(some) < atOnce {
			return true, nil
		}
		err := f.look(some)
		some = some[:0]
		return !f.full && f.rest > 0, err
	})
	if err != nil || f.full {
		return err
	}
	return f.look(some)
}

// look reads some messages the index names.
func (f *finder) look(some []int64) error {
	if len(some) == 0 {
		return nil
	}
	f.rest -= len(some)
	args := append(slices.Clone(f.args), make([]any, atOnce)...)
	args[9] = atOnce
	for i := range atOnce {
		args[10+i] = int64(0) // no position
		if i < len(some) {
			args[10+i] = some[i]
		}
	}
	all, err := scanKept(f.tx, sqlSearchAt, args...)
	if f.q.Backwards {
		slices.Reverse(all)
	}
	for i := range all {
		if !f.take(&all[i]) {
			break
		}
	}
	return err
}

// tail goes through what the index has not; done is false if that is more than one request reads.
func (f *finder) tail(after, before int64) (done bool, err error) {
	text := sqlSearchUp
	if f.q.Backwards {
		text = sqlSearchDown
	}
	args := slices.Clone(f.args)
	args[1], args[2], args[9] = after, before, tailMost+1
	n := 0
	err = scanEach(f.tx, func(k *Kept) bool {
		n++
		return n <= tailMost && f.take(k)
	}, text, args...)
	return n <= tailMost, err
}

// take keeps a message if it is an answer; more is false when the page is full.
func (f *finder) take(k *Kept) (more bool) {
	if f.full {
		return false
	}
	if !f.q.Text.Matches(&f.reader, k.Stanza) {
		return true
	}
	if !f.in.takes(f.q, k) {
		f.full = true
		return false
	}
	f.page = append(f.page, *k)
	return true
}

// matching is a page of ids, of those that are answers.
func (q *Query) matching(p Page) Page {
	var r search.Reader
	p.Messages = slices.DeleteFunc(p.Messages, func(k Kept) bool { return !q.Text.Matches(&r, k.Stanza) })
	return p
}

// EraseContent takes a record's content out of the data set: its stanza and salt, and its words out of
// the index. Its place, its seal and its views stay, so that proofs over it hold.
func EraseContent(tx *store.Tx, pos session.Pos) error {
	var message []byte
	if err := tx.Row(`SELECT stanza FROM record WHERE pos = $1`, int64(pos)).Scan(&message); err != nil {
		if errors.Is(err, store.ErrNoRows) {
			return ErrNotFound
		}
		return err
	}
	if err := search.Erase(tx, int64(pos), message); err != nil {
		return err
	}
	if _, err := tx.Exec(sqlBlank, int64(pos)); err != nil {
		return err
	}
	// A block of the index may be in the making, with the record as it was.
	_, err := tx.Exec(sqlErased)
	return err
}
