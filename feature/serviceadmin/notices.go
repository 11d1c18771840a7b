package serviceadmin

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		sub = migrations // the directory is embedded above: can't happen
	}
	return store.Migrations{Name: "serviceadmin", FS: sub}
}

const (
	sqlNotices   = `SELECT host, kind, id, said, at FROM notice`
	sqlNoticeSet = `INSERT INTO notice (host, kind, id, said, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (host, kind) DO UPDATE SET id = excluded.id, said = excluded.said, at = excluded.at`
	sqlNoticeDrop = `DELETE FROM notice WHERE host = $1 AND kind = $2`
)

// Kinds of notices.
const (
	MOTD    = "motd"    // to everybody, once (XEP-0133 §4.24)
	Welcome = "welcome" // to who logs in for the first time (XEP-0133 §4.27)
)

// Notice is what a host says to whoever comes.
type Notice struct {
	ID, Text string
	At       time.Time
}

// Notices are all of them, in memory and on disk.
type Notices struct {
	db *store.DB

	mu  sync.Mutex
	all map[noticeKey]Notice // owner: mu
}

type noticeKey struct{ host, kind string }

// OpenNotices reads them.
func OpenNotices(ctx context.Context, db *store.DB) (*Notices, error) {
	n := &Notices{db: db, all: map[noticeKey]Notice{}}
	err := db.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(sqlNotices)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k noticeKey
			var v Notice
			var at int64
			if err := rows.Scan(&k.host, &k.kind, &v.ID, &v.Text, &at); err != nil {
				return err
			}
			v.At = time.UnixMicro(at).UTC()
			n.all[k] = v
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("serviceadmin: notices: %w", err)
	}
	return n, nil
}

// Get is a host's notice of a kind; ok is false if there is none.
func (n *Notices) Get(host jid.JID, kind string) (Notice, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	v, ok := n.all[noticeKey{host.Domain(), kind}]
	return v, ok
}

// Set replaces a notice. With fresh it is a new one, which everybody gets; else
// another text of the one that is there.
func (n *Notices) Set(ctx context.Context, host jid.JID, kind, text string, fresh bool, now time.Time) (Notice, error) {
	v, ok := n.Get(host, kind)
	if !ok || fresh {
		v = Notice{ID: kind + "-" + rand.Text(), At: now}
	}
	v.Text = text
	k := noticeKey{host.Domain(), kind}
	err := n.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(sqlNoticeSet, k.host, k.kind, v.ID, v.Text, v.At.UnixMicro())
		return err
	})
	if err != nil {
		return v, fmt.Errorf("serviceadmin: notice: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all[k] = v
	return v, nil
}

// Drop ends a notice; ok is false if there was none.
func (n *Notices) Drop(ctx context.Context, host jid.JID, kind string) (ok bool, err error) {
	k := noticeKey{host.Domain(), kind}
	var gone int64
	err = n.db.Write(ctx, func(tx *store.Tx) (err error) {
		gone, err = tx.Exec(sqlNoticeDrop, k.host, k.kind)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("serviceadmin: notice: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.all, k)
	return gone > 0, nil
}
