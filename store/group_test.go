package store_test

import (
	"fmt"
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
