package archive

import (
	"fmt"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// floor is where the archive of owner $1 begins, exclusive.
const floor = `COALESCE((SELECT f.pos FROM archive_floor f WHERE f.owner = $1), 0)`

const (
	sqlFloor = `INSERT INTO archive_floor (owner, pos) SELECT $1, COALESCE(MAX(pos), 0) FROM record WHERE true
		ON CONFLICT (owner) DO UPDATE SET pos = excluded.pos`
	sqlUnwait = `DELETE FROM waiting WHERE owner = $1`
)

// Forget ends a removed account's archive for whoever has its address next. The
// record and its views are not the account's: they stay. A message that is on its way
// to the log at this moment lands behind.
func (a *Archive) Forget(tx *store.Tx, owner jid.JID) error {
	for _, q := range []string{sqlFloor, sqlUnwait} {
		if _, err := tx.Exec(q, owner.Bare().String()); err != nil {
			return fmt.Errorf("archive: forget: %w", err)
		}
	}
	return nil
}
