package visit

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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
	return store.Migrations{Name: "visit", FS: sub}
}

const (
	sqlNote = `INSERT INTO visit (account, first, last, times) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account) DO UPDATE SET last = excluded.last, times = visit.times + excluded.times`
	sqlGet    = `SELECT first, last, times FROM visit WHERE account = $1`
	sqlForget = `DELETE FROM visit WHERE account = $1`
)

// Visits of one account.
type Visits struct {
	First, Last time.Time
	Times       int64
}

// Store is everybody's visits.
type Store struct {
	db  *store.DB
	log *slog.Logger

	mu      sync.Mutex
	noted   map[jid.JID]Visits // owner: mu; not on disk yet
	writing map[jid.JID]Visits // owner: mu; replaced, never changed in place
}

// New makes a store; Run makes it write.
func New(db *store.DB, log *slog.Logger) *Store {
	return &Store{db: db, log: log, noted: map[jid.JID]Visits{}}
}

// Note says that an account has just logged in. It does no I/O.
func (s *Store) Note(account jid.JID, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noted[account] = add(s.noted[account], Visits{at, at, 1})
}

// add joins earlier visits and later ones.
func add(a, b Visits) Visits {
	switch {
	case a.Times == 0:
		return b
	case b.Times == 0:
		return a
	}
	return Visits{a.First, b.Last, a.Times + b.Times}
}

// Get is an account's visits; Times is 0 if it was never here.
func (s *Store) Get(ctx context.Context, account jid.JID) (Visits, error) {
	s.mu.Lock()
	later := add(s.writing[account], s.noted[account])
	s.mu.Unlock()
	var first, last int64
	var v Visits
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Row(sqlGet, account.String()).Scan(&first, &last, &v.Times)
	})
	switch {
	case errors.Is(err, store.ErrNoRows):
		return later, nil
	case err != nil:
		return v, fmt.Errorf("visit: get: %w", err)
	}
	v.First, v.Last = time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
	if later.Times > 0 && !later.Last.After(v.Last) {
		return v, nil // it was written between the two looks
	}
	return add(v, later), nil
}

// every is how long a login stays in memory only.
const every = 5 * time.Second

// Run writes what was noted until ctx ends, then the rest.
func (s *Store) Run(ctx context.Context) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			err := s.Flush(context.WithoutCancel(ctx))
			if err != nil && s.db.Err() == nil {
				// The database is away as the server stops (HARDENING F6): when people were last here is no promise.
				s.log.Warn("visit: what was not written is forgotten", "err", err)
				return nil
			}
			return err
		case <-t.C:
			if err := s.Flush(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("visit: what is not written yet stays in memory", "err", err)
			}
		}
	}
}

// Flush writes what was noted.
func (s *Store) Flush(ctx context.Context) error {
	s.mu.Lock()
	if len(s.noted) == 0 {
		s.mu.Unlock()
		return nil
	}
	s.writing, s.noted = s.noted, map[jid.JID]Visits{}
	batch := s.writing
	s.mu.Unlock()
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		for account, v := range batch {
			if _, err := tx.Exec(sqlNote, account.String(), v.First.UnixMicro(), v.Last.UnixMicro(), v.Times); err != nil {
				return err
			}
		}
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = nil
	if err != nil {
		for account, v := range batch {
			s.noted[account] = add(v, s.noted[account])
		}
		return fmt.Errorf("visit: write: %w", err)
	}
	return nil
}

// Forget deletes an account's row within a transaction of the caller.
func (s *Store) Forget(tx *store.Tx, account jid.JID) error {
	s.mu.Lock()
	delete(s.noted, account)
	s.mu.Unlock()
	if _, err := tx.Exec(sqlForget, account.String()); err != nil {
		return fmt.Errorf("visit: forget: %w", err)
	}
	return nil
}
