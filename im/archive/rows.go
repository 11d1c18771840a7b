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

// together is how many small rows one statement takes: at 8 a row cost a third
// less than at 1, and no less at 32.
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

// rows inserts rows, whose values stand one after the other.
func (in *insertion) rows(tx *store.Tx, args []any) error {
	for len(args) > 0 {
		n, q := in.cols, in.one
		// A record is large: there it makes no difference.
		if in.cols <= 3 && len(args) >= together*in.cols {
			n, q = together*in.cols, in.many
		}
		if _, err := tx.Exec(q, args[:n]...); err != nil {
			return err
		}
		args = args[n:]
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
