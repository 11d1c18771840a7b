package block

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/parlance-im/parlance/im/cache"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the package's tables; Feature carries the same.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return store.Migrations{Name: "block", FS: migrations} // cannot happen: the folder is embedded
	}
	return store.Migrations{Name: "block", FS: sub}
}

const (
	sqlList   = `SELECT jid FROM block WHERE owner = $1 ORDER BY at, jid`
	sqlAdd    = `INSERT INTO block (owner, jid, at) VALUES ($1, $2, $3) ON CONFLICT (owner, jid) DO NOTHING`
	sqlCount  = `SELECT count(*) FROM block WHERE owner = $1`
	sqlRemove = `DELETE FROM block WHERE owner = $1 AND jid = $2`
	sqlClear  = `DELETE FROM block WHERE owner = $1`
)

// Config is what a block list store needs.
type Config struct {
	DB     *store.DB
	Routes *route.Table // whose sessions get pushes
	Max    int          // entries per account; 0: 1000
	Cached int          // entries of accounts without sessions kept in memory; 0: 100,000
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Store is all block lists.
type Store struct {
	cfg   Config
	cache *cache.Cache[List]
	order cache.Order
}

// New makes a store.
func New(cfg Config) *Store {
	if cfg.Max == 0 {
		cfg.Max = 1000
	}
	if cfg.Cached == 0 {
		cfg.Cached = 100_000
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Store{cfg: cfg}
	s.cache = cache.New(cache.Config[List]{
		Load: func(ctx context.Context, owner jid.JID) (*List, error) {
			jids, err := s.List(ctx, owner)
			if err != nil {
				return nil, err
			}
			return newList(jids), nil
		},
		Weight: func(l *List) int { return 1 + l.Len() },
		Max:    cfg.Cached,
		InUse:  func(owner jid.JID) bool { return cfg.Routes != nil && cfg.Routes.Sessions(owner) != nil },
	})
	return s
}

// List is an account's block list from the database, oldest entry first.
func (s *Store) List(ctx context.Context, owner jid.JID) ([]jid.JID, error) {
	var out []jid.JID
	err := s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		var err error
		out, err = readList(tx, owner)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("block: list of %s: %w", owner, err)
	}
	return out, nil
}

func readList(tx *store.Tx, owner jid.JID) ([]jid.JID, error) {
	rows, err := tx.Query(sqlList, owner.String())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []jid.JID
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		j, err := jid.Parse(text)
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, rows.Err()
}

// Load brings an account's list into memory, when a session is bound.
func (s *Store) Load(ctx context.Context, owner jid.JID) error {
	_, err := s.cache.Get(ctx, owner)
	return err
}

// Drop forgets what is in memory about an account, after Forget was committed.
func (s *Store) Drop(owner jid.JID) { s.cache.Drop(owner) }

// Forget deletes an account's rows within a transaction of the caller, who
// calls Drop after the commit.
func (s *Store) Forget(tx *store.Tx, owner jid.JID) error {
	if _, err := tx.Exec(sqlClear, owner.String()); err != nil {
		return fmt.Errorf("block: forget %s: %w", owner, err)
	}
	return nil
}
