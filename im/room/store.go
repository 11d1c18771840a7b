package room

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/parlance-im/parlance/im/session"
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
	return store.Migrations{Name: "room", FS: sub}
}

const (
	sqlRoom = `SELECT since, created, config, subject, COALESCE(subject_by, ''), COALESCE(subject_at, 0), vcard FROM room WHERE jid = $1`
	sqlNew  = `INSERT INTO room (jid, since, created, listed, persistent, name, config, subject, subject_by, subject_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	sqlConfig  = `UPDATE room SET listed = $2, persistent = $3, name = $4, config = $5 WHERE jid = $1`
	sqlSubject = `UPDATE room SET subject = $2, subject_by = $3, subject_at = $4 WHERE jid = $1`
	sqlVCard   = `UPDATE room SET vcard = $2 WHERE jid = $1`
	sqlDestroy = `DELETE FROM room WHERE jid = $1`
	sqlGrants  = `SELECT jid, affiliation, COALESCE(nick, ''), COALESCE(reason, '') FROM room_affiliation WHERE room = $1`
	sqlGrant   = `INSERT INTO room_affiliation (room, jid, affiliation, nick, reason) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (room, jid) DO UPDATE SET affiliation = excluded.affiliation, nick = excluded.nick, reason = excluded.reason`
	sqlRevoke    = `DELETE FROM room_affiliation WHERE room = $1 AND jid = $2`
	sqlRevokeAll = `DELETE FROM room_affiliation WHERE room = $1`
	sqlForget    = `DELETE FROM room_affiliation WHERE jid = $1`
	sqlListed    = `SELECT jid, name, config FROM room WHERE listed = 1 AND jid > $1 AND substr(jid, length(jid) - length($3)) = '@' || $3 ORDER BY jid LIMIT $2`
	sqlTemporary = `SELECT jid FROM room WHERE persistent = 0`
	sqlSecret    = `SELECT secret FROM room_secret WHERE service = $1`
	sqlSecretNew = `INSERT INTO room_secret (service, secret) VALUES ($1, $2) ON CONFLICT (service) DO NOTHING`
)

// stored is a room as the data set has it.
type stored struct {
	since   session.Pos
	created time.Time
	config  Config
	subject subject
	vcard   []byte
	grants  map[jid.JID]grant

	requests map[jid.JID]string
	hats     hats
}

// subject is a room's subject: the content of the message that set it.
type subject struct {
	content []byte // nil: there never was one
	by      string // occupant address
	at      time.Time
}

// readRoom reads a room; nil if there is none.
func readRoom(ctx context.Context, db *store.DB, room jid.JID) (*stored, error) {
	out := &stored{grants: map[jid.JID]grant{}, requests: map[jid.JID]string{}}
	err := db.Read(ctx, func(tx *store.Tx) error {
		var since, created, at int64
		var text string
		if err := tx.Row(sqlRoom, room.String()).Scan(&since, &created, &text, &out.subject.content, &out.subject.by, &at, &out.vcard); err != nil {
			return err
		}
		var err error
		if out.config, err = decodeConfig(text); err != nil {
			return err
		}
		out.since, out.created = session.Pos(since), time.UnixMicro(created)
		out.subject.at = time.UnixMicro(at).UTC()
		if err := readGrants(tx, room, out.grants); err != nil {
			return err
		}
		if err := readRequests(tx, room, out.requests); err != nil {
			return err
		}
		out.hats, err = readHats(tx, room)
		return err
	})
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("room: read %s: %w", room, err)
	}
	return out, nil
}

func readGrants(tx *store.Tx, room jid.JID, into map[jid.JID]grant) error {
	rows, err := tx.Query(sqlGrants, room.String())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var who, nick, reason string
		var a int64
		if err := rows.Scan(&who, &a, &nick, &reason); err != nil {
			return err
		}
		j, err := jid.Parse(who)
		if err != nil || a < int64(Outcast) || a > int64(Owner) {
			return fmt.Errorf("room: affiliation of %q in %s can't be read", who, room)
		}
		into[j] = grant{Affiliation(a), nick, reason}
	}
	return rows.Err()
}

func number64(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// writeRoom inserts a room that was only in memory.
func writeRoom(tx *store.Tx, room jid.JID, s *stored) error {
	text, err := s.config.encode()
	if err != nil {
		return err
	}
	var by, at any
	if s.subject.content != nil {
		by, at = s.subject.by, s.subject.at.UnixMicro()
	}
	_, err = tx.Exec(sqlNew, room.String(), int64(s.since), s.created.UnixMicro(), number64(!s.config.Hidden),
		number64(s.config.Persistent), s.config.Name, text, s.subject.content, by, at)
	if err != nil {
		return err
	}
	if s.vcard != nil { // set before the first configuration
		if _, err = tx.Exec(sqlVCard, room.String(), s.vcard); err != nil {
			return err
		}
	}
	if err := writeHats(tx, room, s.hats); err != nil {
		return err
	}
	return writeGrants(tx, room, s.grants)
}

func writeConfig(tx *store.Tx, room jid.JID, c *Config) error {
	text, err := c.encode()
	if err != nil {
		return err
	}
	_, err = tx.Exec(sqlConfig, room.String(), number64(!c.Hidden), number64(c.Persistent), c.Name, text)
	return err
}

// writeGrants writes grants; one that says nothing is removed.
func writeGrants(tx *store.Tx, room jid.JID, grants map[jid.JID]grant) error {
	for who, g := range grants {
		if g.affiliation == None && g.nick == "" {
			if _, err := tx.Exec(sqlRevoke, room.String(), who.String()); err != nil {
				return err
			}
			continue
		}
		var nick, reason any
		if g.nick != "" {
			nick = g.nick
		}
		if g.reason != "" {
			reason = g.reason
		}
		if _, err := tx.Exec(sqlGrant, room.String(), who.String(), int64(g.affiliation), nick, reason); err != nil {
			return err
		}
	}
	return nil
}

func deleteRoom(tx *store.Tx, room jid.JID) error {
	for _, q := range []string{sqlRevokeAll, sqlNoRequests, sqlNoWorn, sqlNoHats} {
		if _, err := tx.Exec(q, room.String()); err != nil {
			return err
		}
	}
	_, err := tx.Exec(sqlDestroy, room.String())
	return err
}

// secret is the service's key for occupant ids, made when it is first needed
// (XEP-0421 §4.1).
func secret(ctx context.Context, db *store.DB, service string) (key []byte, err error) {
	err = db.Write(ctx, func(tx *store.Tx) error {
		fresh := make([]byte, 32)
		_, _ = rand.Read(fresh) // never fails (crypto/rand)
		if _, err := tx.Exec(sqlSecretNew, service, fresh); err != nil {
			return err
		}
		return tx.Row(sqlSecret, service).Scan(&key)
	})
	if err != nil {
		return nil, fmt.Errorf("room: secret: %w", err)
	}
	return key, nil
}

// listing is one public room.
type listing struct {
	jid    jid.JID
	name   string
	config Config
}

// listed reads public rooms of a service behind one, in order.
func listed(ctx context.Context, db *store.DB, service jid.JID, after string, n int) (out []listing, err error) {
	err = db.Read(ctx, func(tx *store.Tx) error {
		out = nil
		rows, err := tx.Query(sqlListed, after, n, service.Domain())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var l listing
			var j, text string
			if err := rows.Scan(&j, &l.name, &text); err != nil {
				return err
			}
			if l.jid, err = jid.Parse(j); err != nil {
				return err
			}
			if l.config, err = decodeConfig(text); err != nil {
				return err
			}
			out = append(out, l)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("room: list: %w", err)
	}
	return out, nil
}

// temporary are the rooms that go with their last occupant.
func temporary(ctx context.Context, db *store.DB) (out []jid.JID, err error) {
	err = db.Read(ctx, func(tx *store.Tx) error {
		out = nil
		return tx.Each(func(r store.RowScanner) error {
			var text string
			if err := r.Scan(&text); err != nil {
				return err
			}
			j, err := jid.Parse(text)
			out = append(out, j)
			return err
		}, sqlTemporary)
	})
	if err != nil {
		return nil, fmt.Errorf("room: temporary: %w", err)
	}
	return out, nil
}
