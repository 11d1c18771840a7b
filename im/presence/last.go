package presence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

const (
	// A later time is kept: two sessions may leave at the same moment.
	sqlSaw = `INSERT INTO last_seen (account, at, status) VALUES ($1, $2, $3)
ON CONFLICT (account) DO UPDATE SET at = excluded.at, status = excluded.status
WHERE last_seen.at <= excluded.at`

	sqlSeen = `SELECT at, status FROM last_seen WHERE account = $1`

	sqlForget = `DELETE FROM last_seen WHERE account = $1`
)

// maxStatus is how much of a parting status is kept, in bytes.
const maxStatus = 1024

// seen is when an account's last session left, on its way to the table.
type seen struct {
	at     time.Time
	status string
}

// saw keeps when an account's last session left.
func (f *Flow) saw(ctx context.Context, account jid.JID, status string) error {
	if len(status) > maxStatus {
		status = strings.ToValidUTF8(status[:maxStatus], "")
	}
	at := f.cfg.Now().UnixMicro()
	err := f.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(sqlSaw, account.String(), at, status)
		return err
	})
	if err != nil {
		return fmt.Errorf("presence: last seen: %w", err)
	}
	return nil
}

// LastSeen is when an account's last session left and the status it gave; ok is
// false if that is not known.
func (f *Flow) LastSeen(ctx context.Context, account jid.JID) (at time.Time, status string, ok bool) {
	if v, ok := f.leaving.Load(account); ok {
		s := v.(seen)
		return s.at, s.status, true
	}
	var us int64
	err := f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		return tx.Row(sqlSeen, account.String()).Scan(&us, &status)
	})
	if err != nil {
		if !errors.Is(err, store.ErrNoRows) {
			f.cfg.Log.Error("presence: last seen", "account", account.String(), "err", err)
		}
		return time.Time{}, "", false
	}
	return time.UnixMicro(us), status, true
}

// MaySee says whether one account may see another's presence: it is a
// subscriber, and neither has blocked the other.
func (f *Flow) MaySee(ctx context.Context, owner, asker jid.JID) (bool, error) {
	rel, err := f.cfg.Rosters.Relations(ctx, owner)
	if err != nil {
		return false, err
	}
	return rel.Of(asker).Is(roster.From) && f.cfg.May(owner, asker), nil
}

// Forget deletes an account's row within a transaction of the caller.
func Forget(tx *store.Tx, account jid.JID) error {
	if _, err := tx.Exec(sqlForget, account.String()); err != nil {
		return fmt.Errorf("presence: forget %s: %w", account, err)
	}
	return nil
}
