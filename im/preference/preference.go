package preference

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/im/roster"
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
	return store.Migrations{Name: "preference", FS: sub}
}

const (
	sqlAll = `SELECT owner, standard, always, never FROM archive_preference`
	sqlSet = `INSERT INTO archive_preference (owner, standard, always, never) VALUES ($1, $2, $3, $4)
		ON CONFLICT (owner) DO UPDATE SET standard = excluded.standard, always = excluded.always, never = excluded.never`
	sqlDrop = `DELETE FROM archive_preference WHERE owner = $1`
)

// Default is what holds for who is on no list (XEP-0441 §2.1.1).
type Default string

// The defaults. Always is everybody's who never said anything.
const (
	Always Default = "always"
	Never  Default = "never"
	Roster Default = "roster" // whoever is in the roster
)

// Preferences are an account's.
type Preferences struct {
	Default       Default
	Always, Never []jid.JID
}

// maxListed bounds both lists together.
const maxListed = 1000

// lists are Preferences as they are asked.
type lists struct {
	is   Preferences
	show map[jid.JID]bool
}

func newLists(p Preferences) *lists {
	l := &lists{is: p, show: make(map[jid.JID]bool, len(p.Always)+len(p.Never))}
	for _, j := range p.Always {
		l.show[j] = true
	}
	for _, j := range p.Never {
		l.show[j] = false
	}
	return l
}

// Rosters says who is in an account's roster (im/roster).
type Rosters interface {
	Peek(owner jid.JID) *roster.Relations
	Relations(ctx context.Context, owner jid.JID) (*roster.Relations, error)
}

// Store is all preferences.
type Store struct {
	db      *store.DB
	rosters Rosters
	log     *slog.Logger

	order sync.Mutex // one change at a time
	any   atomic.Bool
	mu    sync.RWMutex
	all   map[jid.JID]*lists // owner: mu
}

// Open reads all preferences. Migrations have been applied.
func Open(ctx context.Context, db *store.DB, rosters Rosters, log *slog.Logger) (*Store, error) {
	s := &Store{db: db, rosters: rosters, log: log, all: make(map[jid.JID]*lists)}
	err := db.Read(ctx, func(tx *store.Tx) error {
		return tx.Each(func(row store.RowScanner) error {
			var owner, standard, always, never string
			if err := row.Scan(&owner, &standard, &always, &never); err != nil {
				return err
			}
			who, err := jid.Parse(owner)
			if err != nil {
				return err
			}
			p := Preferences{Default: Default(standard)}
			if p.Always, err = parseList(always); err != nil {
				return err
			}
			if p.Never, err = parseList(never); err != nil {
				return err
			}
			s.all[who] = newLists(p)
			return nil
		}, sqlAll)
	})
	if err != nil {
		return nil, fmt.Errorf("preference: open: %w", err)
	}
	s.any.Store(len(s.all) > 0)
	return s, nil
}

func parseList(text string) (out []jid.JID, err error) {
	for line := range strings.Lines(text) {
		j, err := jid.Parse(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

// listText is parseList's inverse: no address has a line's end in it (RFC 7622 §3.4).
func listText(list []jid.JID) string {
	var b strings.Builder
	for _, j := range list {
		b.WriteString(j.String())
		b.WriteByte('\n')
	}
	return b.String()
}

func (s *Store) of(owner jid.JID) *lists {
	if !s.any.Load() {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.all[owner]
}

// Of are an account's preferences.
func (s *Store) Of(owner jid.JID) Preferences {
	if l := s.of(owner); l != nil {
		return l.is
	}
	return Preferences{Default: Always}
}

// Set makes preferences an account's; they are on disk when it returns.
func (s *Store) Set(ctx context.Context, owner jid.JID, p Preferences) error {
	s.order.Lock()
	defer s.order.Unlock()
	plain := p.Default == Always && len(p.Never) == 0 && len(p.Always) == 0
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		if plain {
			return s.Forget(tx, owner)
		}
		_, err := tx.Exec(sqlSet, owner.String(), string(p.Default), listText(p.Always), listText(p.Never))
		return err
	})
	if err != nil {
		return fmt.Errorf("preference: set: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if plain {
		delete(s.all, owner)
	} else {
		s.all[owner] = newLists(p)
	}
	s.any.Store(len(s.all) > 0)
	return nil
}

// Forget deletes an account's preferences within a transaction of the caller, who calls Drop after the commit.
func (s *Store) Forget(tx *store.Tx, owner jid.JID) error {
	if _, err := tx.Exec(sqlDrop, owner.String()); err != nil {
		return fmt.Errorf("preference: forget %s: %w", owner, err)
	}
	return nil
}

// Drop forgets what is in memory about an account that was removed.
func (s *Store) Drop(owner jid.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, owner)
}

// loadTime bounds the one query of a roster that is not in memory.
const loadTime = 5 * time.Second

// Shows says whether a message from or to other is shown in the archive of owner, a bare address (XEP-0441 §2.3).
// An address with a resource on a list comes before its account. If a roster can't be read the
// message is shown: what is hidden by mistake would be missed.
func (s *Store) Shows(owner, other jid.JID) bool {
	l := s.of(owner)
	if l == nil {
		return true
	}
	if show, listed := l.show[other]; listed {
		return show
	}
	if show, listed := l.show[other.Bare()]; listed {
		return show
	}
	switch l.is.Default {
	case Never:
		return false
	case Roster:
		return s.listed(owner, other.Bare())
	}
	return true
}

func (s *Store) listed(owner, contact jid.JID) bool {
	r := s.rosters.Peek(owner)
	if r == nil {
		ctx, cancel := context.WithTimeout(context.Background(), loadTime)
		defer cancel()
		var err error
		if r, err = s.rosters.Relations(ctx, owner); err != nil {
			s.log.Error("preference: roster", "err", err)
			return true
		}
	}
	return r.Of(contact).Is(roster.Listed)
}
