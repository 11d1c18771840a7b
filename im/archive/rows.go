package archive

import (
	"strconv"
	"strings"

	"github.com/parlance-im/parlance/store"
)

// insertRows inserts rows of cols values each, one statement a row, and
// returns how many were inserted.
func insertRows(tx *store.Tx, prefix string, cols int, args []any, suffix string) (total int64, err error) {
	if len(args) == 0 {
		return 0, nil
	}
	q := prefix + values(cols) + suffix
	for i := 0; i < len(args); i += cols {
		n, err := tx.Exec(q, args[i:i+cols]...)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

func values(cols int) string {
	var b strings.Builder
	b.WriteByte('(')
	for i := range cols {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(i + 1))
	}
	b.WriteByte(')')
	return b.String()
}
