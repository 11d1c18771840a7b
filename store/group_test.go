package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/parlance-im/parlance/store"
)

func TestWrite_queuedOnesShareATransaction(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		hold, held := make(chan struct{}), make(chan struct{})
		before := store.Commits(db)
		var wg sync.WaitGroup
		wg.Go(func() { _ = db.Write(t.Context(), func(*store.Tx) error { close(held); <-hold; return nil }) })
		<-held
		const n = 600
		for i := range n {
			wg.Go(func() {
				if err := db.Write(t.Context(), func(tx *store.Tx) error { return put(tx, fmt.Sprint(i), i) }); err != nil {
					t.Error(err)
				}
			})
		}
		for store.Queued(db) < n {
			runtime.Gosched()
		}
		close(hold)
		wg.Wait()
		// One that held, and 600 in batches of at most 256.
		if got := store.Commits(db) - before; got != 4 {
			t.Errorf("%d transactions for %d writes, want 4", got, n+1)
		}
		if got := count(t, db); got != n {
			t.Errorf("%d rows", got)
		}
	})
}

// TestWrite_mixedBatch puts every kind of closure into one transaction, in all neighbourhoods that matter for savepoints.
func TestWrite_mixedBatch(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return put(tx, "there", 0) }); err != nil {
			t.Fatal(err)
		}
		badSQL := func(tx *store.Tx, _ string) error {
			_, err := tx.Exec(`INSERT INTO nothing (a) VALUES ($1)`, 1)
			return err
		}
		twice := func(tx *store.Tx, id string) error { return errors.Join(put(tx, id, 1), put(tx, "there", 1)) }
		good := func(tx *store.Tx, id string) error { return put(tx, id, 1) }
		empty := func(*store.Tx, string) error { return nil }
		fails := func(*store.Tx, string) error { return errors.New("no") }
		asks := func(tx *store.Tx, id string) error {
			var n int
			if err := tx.Row(`SELECT n FROM item WHERE id = $1`, "there").Scan(&n); err != nil {
				return err
			}
			return put(tx, id, n)
		}
		kinds := []struct {
			run  func(*store.Tx, string) error
			ok   bool
			rows int
		}{{good, true, 1}, {badSQL, false, 0}, {twice, false, 0}, {empty, true, 0}, {fails, false, 0}, {asks, true, 1}}
		rng := rand.New(rand.NewPCG(1, 2))
		for round := range 4 {
			hold, held := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() { _ = db.Write(t.Context(), func(*store.Tx) error { close(held); <-hold; return nil }) })
			<-held
			want := count(t, db)
			const n = 100
			for i := range n {
				k := kinds[rng.IntN(len(kinds))]
				want += k.rows
				wg.Go(func() {
					err := db.Write(t.Context(), func(tx *store.Tx) error { return k.run(tx, fmt.Sprint(round, "-", i)) })
					if (err == nil) != k.ok {
						t.Errorf("%d: %v", i, err)
					}
				})
			}
			for store.Queued(db) < n {
				runtime.Gosched()
			}
			close(hold)
			wg.Wait()
			if got := count(t, db); got != want {
				t.Errorf("%d rows, want %d", got, want)
			}
		}
	})
}
