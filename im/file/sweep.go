package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parlance-im/parlance/store"
)

const (
	sweepEvery = 30 * time.Second // partials are gone within 60 s (HARDENING H4)
	sweepBatch = 200
)

// Run clears away until ctx ends: slots that expired, files that have been
// kept long enough, contents nobody refers to.
func (s *Store) Run(ctx context.Context) error {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.conf.Log.Error("file: sweep", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Sweep is one round; it returns when nothing is left to do.
func (s *Store) Sweep(ctx context.Context) error {
	now := s.conf.Now()
	err := s.dropAll(ctx, sqlExpired, now)
	if s.conf.Keep > 0 {
		err = errors.Join(err, s.dropAll(ctx, sqlOld, now.Add(-s.conf.Keep)))
	}
	return errors.Join(err, s.removeLoose(ctx))
}

// dropAll removes what a query finds before a time, a batch per transaction.
func (s *Store) dropAll(ctx context.Context, query string, before time.Time) error {
	for n := sweepBatch; n == sweepBatch; {
		err := s.db.Write(ctx, func(tx *store.Tx) error {
			list, err := all(tx, query, before.UnixMicro(), sweepBatch)
			if err != nil {
				return err
			}
			for i := range list {
				if err := drop(tx, &list[i]); err != nil {
					return err
				}
			}
			n = len(list)
			return nil
		})
		if err != nil {
			return fmt.Errorf("file: sweep: %w", err)
		}
	}
	return nil
}

// removeLoose removes contents that no file refers to any more. They are
// marked before and forgotten after, so that a crash in between only makes
// the next round do it again, and so that an upload of the same content
// (tighten) waits instead of losing it.
func (s *Store) removeLoose(ctx context.Context) error {
	for {
		var marked []string
		found := 0
		err := s.db.Write(ctx, func(tx *store.Tx) (err error) {
			marked, found, err = mark(tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("file: sweep: %w", err)
		}
		for _, hash := range marked {
			if err := s.blobs.Remove(ctx, hash); err != nil {
				return fmt.Errorf("file: remove: %w", err)
			}
		}
		if len(marked) > 0 {
			err := s.db.Write(ctx, func(tx *store.Tx) error {
				for _, hash := range marked {
					if _, err := tx.Exec(sqlRemoved, hash); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("file: sweep: %w", err)
			}
		}
		if found < sweepBatch {
			return nil
		}
	}
}

// mark looks at loose contents: those another file has are kept, the others marked.
func mark(tx *store.Tx) (marked []string, found int, err error) {
	rows, err := tx.Query(sqlLoose, sweepBatch)
	if err != nil {
		return nil, 0, err
	}
	var loose []string
	for rows.Next() {
		var hash string
		if err := rows.Scan(&hash); err != nil {
			return nil, 0, errors.Join(err, rows.Close())
		}
		loose = append(loose, hash)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, err
	}
	for _, hash := range loose {
		var n int
		if err := tx.Row(sqlReferenced, hash, hash).Scan(&n); err != nil {
			return nil, 0, err
		}
		if n > 0 {
			if _, err := tx.Exec(sqlTightened, hash); err != nil {
				return nil, 0, err
			}
			continue
		}
		if _, err := tx.Exec(sqlRemoving, hash); err != nil {
			return nil, 0, err
		}
		marked = append(marked, hash)
	}
	return marked, len(loose), nil
}
