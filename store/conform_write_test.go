package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

func TestWrite_uniqueIsTold(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		add := func(tx *store.Tx) error { return put(tx, "same", 1) }
		if err := db.Write(t.Context(), add); err != nil {
			t.Fatal(err)
		}
		err := db.Write(t.Context(), add)
		if !store.IsUnique(err) || store.IsFull(err) || store.IsBusy(err) || store.IsAmbiguous(err) {
			t.Errorf("primary key: %v", err)
		}
		entry := func(tx *store.Tx) error { _, err := tx.Exec(`INSERT INTO entry (what) VALUES ('x')`); return err }
		_ = db.Write(t.Context(), entry)
		if err := db.Write(t.Context(), entry); !store.IsUnique(err) {
			t.Errorf("unique column: %v", err)
		}
	})
}

func TestWrite_passedOverFailureFailsTheClosure(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			if err := put(tx, "a", 1); err != nil {
				return err
			}
			_ = put(tx, "a", 1)
			if err := put(tx, "b", 1); err == nil {
				t.Error("a statement after a failed one succeeded")
			}
			return nil
		})
		if !store.IsUnique(err) {
			t.Errorf("got %v", err)
		}
		if n := count(t, db); n != 0 {
			t.Errorf("%d rows kept", n)
		}
	})
}

func TestWrite_oneFailureLeavesTheOthers(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		boom := errors.New("boom")
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				err := db.Write(t.Context(), func(tx *store.Tx) error {
					if err := put(tx, fmt.Sprint("row", i), i); err != nil {
						return err
					}
					switch i % 3 {
					case 1:
						return boom
					case 2:
						return put(tx, fmt.Sprint("row", i), i) // the same key
					}
					return nil
				})
				if i%3 == 0 && err != nil || i%3 == 1 && !errors.Is(err, boom) || i%3 == 2 && !store.IsUnique(err) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if n := count(t, db); n != 100 {
			t.Errorf("%d rows, want 100", n)
		}
	})
}

func TestWrite_panicGoesToTheCaller(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				defer func() {
					if p := recover(); (p != nil) != (i%2 == 0) {
						t.Errorf("%d: recovered %v", i, p)
					}
				}()
				err := db.Write(t.Context(), func(tx *store.Tx) error {
					if err := put(tx, fmt.Sprint(i), i); err != nil {
						return err
					}
					if i%2 == 0 {
						panic("poison message") // HARDENING F12
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := count(t, db); n != 10 {
			t.Errorf("%d rows, want 10", n)
		}
	})
}

func TestWrite_keepsTheOrder(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		// Writes queue while the first holds the writer; they must run in the order of their queueing.
		hold, held := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = db.Write(t.Context(), func(*store.Tx) error { close(held); <-hold; return nil })
		})
		<-held
		var order []int
		queued := store.Queued(db)
		for i := range 50 {
			wg.Go(func() {
				_ = db.Write(t.Context(), func(tx *store.Tx) error { order = append(order, i); return nil })
			})
			for store.Queued(db) != queued+i+1 { // the queue's length is the event
				runtime.Gosched()
			}
		}
		close(hold)
		wg.Wait()
		for i, n := range order {
			if i != n {
				t.Fatalf("order %v", order)
			}
		}
	})
}

func TestWrite_cancelledBeforeItBegins(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		hold, held := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := db.Write(t.Context(), func(tx *store.Tx) error { close(held); <-hold; return put(tx, "first", 1) }); err != nil {
				t.Error(err)
			}
		})
		<-held
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error)
		go func() {
			got <- db.Write(ctx, func(tx *store.Tx) error { t.Error("a cancelled closure ran"); return nil })
		}()
		for store.Queued(db) == 0 {
			runtime.Gosched()
		}
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(hold)
		wg.Wait()
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return put(tx, "second", 1) }); err != nil {
			t.Error(err)
		}
		if n := count(t, db); n != 2 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestWrite_cancelledAfterItBeganTellsTheOutcome(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Write(ctx, func(tx *store.Tx) error { cancel(); return put(tx, "x", 1) })
		if err != nil {
			t.Errorf("got %v", err)
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows", n)
		}
		if err := db.Write(ctx, func(*store.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("Write with a dead context: %v", err)
		}
	})
}

func TestRead_isOneSnapshot(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		err := db.Read(t.Context(), func(tx *store.Tx) error {
			var before, after int
			if err := tx.Row(counted).Scan(&before); err != nil {
				return err
			}
			if err := db.Write(t.Context(), func(tx *store.Tx) error { return put(tx, "x", 1) }); err != nil {
				return err
			}
			if err := tx.Row(counted).Scan(&after); err != nil {
				return err
			}
			if before != 0 || after != 0 {
				t.Errorf("%d rows, then %d", before, after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestRead_refusesToWrite(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		if err := db.Read(t.Context(), func(tx *store.Tx) error { return put(tx, "x", 1) }); err == nil {
			t.Error("no error")
		}
		if n := count(t, db); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestRead_leftOpenRowsAndPanics(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		for range 10 { // more than there are connections
			err := db.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.Query("SELECT 1 UNION SELECT 2"); return err })
			if err != nil {
				t.Fatal(err)
			}
			func() {
				defer func() { _ = recover() }()
				_ = db.Read(t.Context(), func(tx *store.Tx) error {
					if _, err := tx.Query("SELECT 1 UNION SELECT 2"); err != nil {
						t.Error(err)
					}
					panic("x")
				})
			}()
		}
		if n := count(t, db); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestRead_endsWithItsContext(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Read(ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c LIMIT 1000000000`)
			if err != nil {
				return err
			}
			for i := 0; rows.Next(); i++ {
				if i == 10 {
					cancel()
				}
			}
			return rows.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if n := count(t, db); n != 0 { // the connection is still good
			t.Errorf("%d rows", n)
		}
	})
}

func TestTx_deadAfterItsClosure(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		var kept *store.Tx
		if err := db.Write(t.Context(), func(tx *store.Tx) error { kept = tx; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := put(kept, "x", 1); err == nil {
			t.Error("no error")
		}
	})
}

func TestClose_carriesOutWhatIsQueued(t *testing.T) {
	storetest.RunDSN(t, func(t *testing.T, dsn string) {
		db := storetest.Open(t, dsn)
		migrate(t, db)
		hold, held := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = db.Write(t.Context(), func(tx *store.Tx) error { close(held); <-hold; return put(tx, "first", 1) })
		})
		<-held
		for i := range 20 {
			wg.Go(func() {
				if err := db.Write(t.Context(), func(tx *store.Tx) error { return put(tx, fmt.Sprint(i), i) }); err != nil {
					t.Error(err)
				}
			})
		}
		for store.Queued(db) < 20 {
			runtime.Gosched()
		}
		wg.Go(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		for !store.Closing(db) {
			runtime.Gosched()
		}
		if err := db.Write(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Write while closing: %v", err)
		}
		close(hold)
		wg.Wait()
		if err := db.Read(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Read after Close: %v", err)
		}
		if n := count(t, storetest.Open(t, dsn)); n != 21 {
			t.Errorf("%d rows, want 21", n)
		}
	})
}

func TestDB_toldForDoctor(t *testing.T) {
	both(t, func(t *testing.T, db *store.DB) {
		if n, err := db.Size(t.Context()); err != nil || n <= 0 {
			t.Errorf("size %d, %v", n, err)
		}
		if v := db.Version(); !strings.HasPrefix(strings.ToLower(v), db.Engine().String()+" ") {
			t.Errorf("version %q of %v", v, db.Engine())
		}
	})
}
