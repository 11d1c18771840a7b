package archive

import (
	"context"
	"crypto/subtle"
	"fmt"

	"github.com/parlance-im/parlance/store"
)

// Problem is a record that is not as it was kept, or one that is missing.
type Problem struct {
	Pos  int64 // of the record, or of the one behind the gap
	What string

	Altered bool // its content does not fit its seal
}

func (p Problem) String() string { return fmt.Sprintf("record %d: %s", p.Pos, p.What) }

const sqlVerify = `SELECT pos, at, conv, conv_seq, sender, recipient, stanza, salt, seal FROM record WHERE pos > $1 ORDER BY pos LIMIT $2`

// Verify reads every record and makes its seal again: one whose sender, recipient,
// time or content was changed shows, and so does a missing place within a
// conversation. Records at a conversation's end that are gone leave no trace
// here. Erased content (no salt) can't be checked and is counted. report is called for
// each problem.
func Verify(ctx context.Context, db *store.DB, report func(Problem)) (records, erased int64, err error) {
	const page = 500
	place := map[int64]int64{} // the last number of each conversation
	for last, more := int64(0), true; more && ctx.Err() == nil; {
		more = false
		err = db.Read(ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(sqlVerify, last, page)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var at, conv, seq int64
				var sender, recipient string
				var stanza, salt, seal []byte
				if err := rows.Scan(&last, &at, &conv, &seq, &sender, &recipient, &stanza, &salt, &seal); err != nil {
					return err
				}
				more = true
				records++
				if want := place[conv] + 1; seq != want {
					report(Problem{Pos: last, What: fmt.Sprintf("number %d of its conversation, %d was due", seq, want)})
				}
				place[conv] = seq
				made := Seal(salt, at, sender, recipient, stanza)
				switch {
				case salt == nil:
					erased++
				case subtle.ConstantTimeCompare(made[:], seal) != 1:
					report(Problem{last, "its seal does not fit: it was altered", true})
				}
			}
			return rows.Err()
		})
		if err != nil {
			return records, erased, fmt.Errorf("archive: verify: behind record %d: %w", last, err)
		}
	}
	return records, erased, ctx.Err()
}
