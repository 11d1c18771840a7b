package archive

import (
	"strconv"
	"strings"

	"github.com/parlance-im/parlance/store"
)

// insertion is how rows of a table are inserted: one a statement, or several.
type insertion struct {
	cols      int
	one, many string
}

// together is how many rows one statement takes: on SQLite small ones cost a
// third less at 8 than at 1 and no less at 32, large ones the same; on PostgreSQL
// a statement is a round trip.
const together = 8

func newInsertion(prefix string, cols int, suffix string) insertion {
	return insertion{cols, rowsText(prefix, cols, 1, suffix), rowsText(prefix, cols, together, suffix)}
}

// The tables that get many rows. Whoever inserts an index row again has come
// back after a crash, or before the run: the row there is the same.
var (
	intoRecord = newInsertion(`INSERT INTO record (pos, at, conv, conv_seq, state, sender, recipient, dedup, views, stanza, salt, seal) VALUES `, 12, "")
	intoWaits  = newInsertion(`INSERT INTO waiting (owner, pos) VALUES `, 2, "")
	intoView   = newInsertion(`INSERT INTO view (owner, pos, flags) VALUES `, 3, onceOnly)
	intoPlace  = newInsertion(`INSERT INTO place (conv, pos) VALUES `, 2, onceOnly)
	intoSent   = newInsertion(`INSERT INTO sending (dedup, pos) VALUES `, 2, onceOnly)
)

const onceOnly = ` ON CONFLICT DO NOTHING`

// rows inserts n rows; fill says the values of one.
func (in *insertion) rows(tx *store.Tx, n int, fill func(i int, args []any)) error {
	args := make([]any, min(n, together)*in.cols)
	for i := 0; i < n; {
		k, q := 1, in.one
		if n-i >= together {
			k, q = together, in.many
		}
		for j := range k {
			fill(i+j, args[j*in.cols:(j+1)*in.cols])
		}
		if _, err := tx.Exec(q, args[:k*in.cols]...); err != nil {
			return err
		}
		i += k
	}
	return nil
}

// rowsText is a statement that inserts n rows.
func rowsText(prefix string, cols, n int, suffix string) string {
	var b strings.Builder
	b.Grow(len(prefix) + len(suffix) + 5*n*cols + 2*n)
	b.WriteString(prefix)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		list(&b, i*cols, cols)
	}
	b.WriteString(suffix)
	return b.String()
}

func values(cols int) string {
	var b strings.Builder
	list(&b, 0, cols)
	return b.String()
}

// list writes ($from+1,…,$from+n).
func list(b *strings.Builder, from, n int) {
	b.WriteByte('(')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(from + i + 1))
	}
	b.WriteByte(')')
}
