package host

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
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
	return store.Migrations{Name: "host", FS: sub}
}

const (
	sqlHosts     = `SELECT name, disabled, created FROM host ORDER BY name`
	sqlSettings  = `SELECT host, key, value FROM host_setting ORDER BY host, key`
	sqlAdd       = `INSERT INTO host (name, disabled, created) VALUES ($1, 0, $2) ON CONFLICT (name) DO NOTHING`
	sqlRemove    = `DELETE FROM host WHERE name = $1`
	sqlDisable   = `UPDATE host SET disabled = $2 WHERE name = $1`
	sqlSet       = `INSERT INTO host_setting (host, key, value) VALUES ($1, $2, $3) ON CONFLICT (host, key) DO UPDATE SET value = excluded.value`
	sqlUnset     = `DELETE FROM host_setting WHERE host = $1 AND key = $2`
	sqlUnsetHost = `DELETE FROM host_setting WHERE host = $1`
)

var (
	// ErrNotFound says that there is no such host.
	ErrNotFound = errors.New("host: no such host")
	// ErrExists says that the host is there already.
	ErrExists = errors.New("host: the host exists already")
)

// Refused says why something can't be done with a host.
type Refused struct{ Why string }

func (r *Refused) Error() string { return "host: refused: " + r.Why }

// Refuse makes a Refused.
func Refuse(format string, args ...any) *Refused { return &Refused{fmt.Sprintf(format, args...)} }

// Host is a domain served beside the configured one.
type Host struct {
	Name     jid.JID // a domain
	Disabled bool
	Created  time.Time
}

// Settings are what differs on a host, by dotted key, as a person writes it.
type Settings map[string]string

// Change is what is to be changed of a host's settings; Unset has keys that are as in the file again.
type Change struct {
	Set   Settings
	Unset []string
}

// Store keeps the hosts.
type Store struct{ db *store.DB }

// New makes a store; migrations have been applied.
func New(db *store.DB) *Store { return &Store{db} }

// List reads all hosts, in order, and everybody's settings by domain.
func (s *Store) List(ctx context.Context) (hosts []Host, settings map[string]Settings, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		hosts, settings = nil, map[string]Settings{}
		if err := tx.Each(func(r store.RowScanner) error {
			var name string
			var disabled, created int64
			if err := r.Scan(&name, &disabled, &created); err != nil {
				return err
			}
			j, err := jid.Parse(name)
			hosts = append(hosts, Host{j, disabled != 0, time.UnixMicro(created).UTC()})
			return err
		}, sqlHosts); err != nil {
			return err
		}
		return tx.Each(func(r store.RowScanner) error {
			var name, key, value string
			if err := r.Scan(&name, &key, &value); err != nil {
				return err
			}
			if settings[name] == nil {
				settings[name] = Settings{}
			}
			settings[name][key] = value
			return nil
		}, sqlSettings)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("host: list: %w", err)
	}
	return hosts, settings, nil
}

// Add adds a host with its settings, in one transaction.
func (s *Store) Add(ctx context.Context, name jid.JID, set Settings, now time.Time) error {
	return s.write(ctx, "add", func(tx *store.Tx) error {
		n, err := tx.Exec(sqlAdd, name.Domain(), now.UnixMicro())
		if err := one(n, err, ErrExists); err != nil {
			return err
		}
		return change(tx, name, Change{Set: set})
	})
}

// Set changes a host's settings, in one transaction.
func (s *Store) Set(ctx context.Context, name jid.JID, c Change) error {
	return s.write(ctx, "set", func(tx *store.Tx) error { return change(tx, name, c) })
}

// Disable says that a host is not served for now, or is again.
func (s *Store) Disable(ctx context.Context, name jid.JID, disabled bool) error {
	v := int64(0)
	if disabled {
		v = 1
	}
	return s.write(ctx, "disable", func(tx *store.Tx) error {
		n, err := tx.Exec(sqlDisable, name.Domain(), v)
		return one(n, err, ErrNotFound)
	})
}

// Remove removes a host and its settings. Whatever its people own stays.
func (s *Store) Remove(ctx context.Context, name jid.JID) error {
	return s.write(ctx, "remove", func(tx *store.Tx) error {
		n, err := tx.Exec(sqlRemove, name.Domain())
		if err := one(n, err, ErrNotFound); err != nil {
			return err
		}
		_, err = tx.Exec(sqlUnsetHost, name.Domain())
		return err
	})
}

func change(tx *store.Tx, name jid.JID, c Change) error {
	for k, v := range c.Set {
		if _, err := tx.Exec(sqlSet, name.Domain(), k, v); err != nil {
			return err
		}
	}
	for _, k := range c.Unset {
		if _, err := tx.Exec(sqlUnset, name.Domain(), k); err != nil {
			return err
		}
	}
	return nil
}

func one(n int64, err, otherwise error) error {
	if err == nil && n == 0 {
		return otherwise
	}
	return err
}

func (s *Store) write(ctx context.Context, what string, f func(*store.Tx) error) error {
	err := s.db.Write(ctx, f)
	switch {
	case errors.Is(err, ErrExists):
		return ErrExists
	case errors.Is(err, ErrNotFound):
		return ErrNotFound
	case err != nil:
		return fmt.Errorf("host: %s: %w", what, err)
	}
	return nil
}
