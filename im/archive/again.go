package archive

import (
	"context"
	"fmt"
	"strings"

	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
)

// atOnce is how many records one statement asks for.
const atOnce = 32

var sqlAt32 = askFor(atOnce)

func askFor(n int) string {
	var b strings.Builder
	b.WriteString(`SELECT pos, at, stanza FROM record WHERE pos IN `)
	list(&b, 0, n)
	return b.String()
}

// Stanzas reads records by position, one for each and in that order, for queues
// that had given them back (route.Record). Who sees them was decided when they
// were handed out. A record is there before any queue is, so that the index has no
// part in it. One whose content was erased since, or is damaged, is empty.
func (a *Archive) Stanzas(ctx context.Context, at []session.Pos) ([]route.Stored, error) {
	found := make(map[session.Pos]route.Stored, len(at))
	err := a.db.Read(ctx, func(tx *store.Tx) error {
		for rest := at; len(rest) > 0; rest = rest[min(atOnce, len(rest)):] {
			args := make([]any, atOnce)
			for i := range args {
				args[i] = int64(0) // no position
				if i < len(rest) {
					args[i] = int64(rest[i])
				}
			}
			page, err := scanKept(tx, sqlAt32, args...)
			if err != nil {
				return err
			}
			for i := range page {
				found[page[i].Pos] = page[i].Stored()
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("archive: read again: %w", err)
	}
	out := make([]route.Stored, len(at))
	for i, pos := range at {
		var known bool
		if out[i], known = found[pos]; !known {
			return nil, fmt.Errorf("archive: read again: no record at %s", pos)
		}
	}
	return out, nil
}
