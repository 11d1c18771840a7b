package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A message's rows as the archive has them: one record of 600 bytes and two small rows.
const (
	benchSchema = `CREATE TABLE record (log BIGINT NOT NULL, seq BIGINT NOT NULL, id TEXT NOT NULL, at BIGINT NOT NULL, stanza BYTES NOT NULL, PRIMARY KEY (log, seq)) /*NOROWID*/;
CREATE TABLE view (owner TEXT NOT NULL, seq BIGINT NOT NULL, peer TEXT NOT NULL, PRIMARY KEY (owner, seq)) /*NOROWID*/;`
	benchRecord = `INSERT INTO record (log, seq, id, at, stanza) VALUES ($1, $2, $3, $4, $5)`
	benchView   = `INSERT INTO view (owner, seq, peer) VALUES ($1, $2, $3)`
)

var benchBody = bytes.Repeat([]byte("x"), 600)

func benchOwner(n int64) string { return fmt.Sprintf("user%04d@acme.test", n%1000) }

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportRows(b *testing.B, rows int, cpu time.Duration) {
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(rows), "cpu-µs/row")
}

func openBench(b *testing.B, dsn string) *DB {
	b.Helper()
	db, err := Open(b.Context(), Options{DSN: dsn})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(b.Context(), testSets(benchSchema)); err != nil {
		b.Fatal(err)
	}
	return db
}

// BenchmarkWrite_oneClosure writes n messages in one closure per transaction.
func BenchmarkWrite_oneClosure(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db := openBench(b, filepath.Join(b.TempDir(), "db"))
			var seq int64
			cpu := cpuTime()
			b.ResetTimer()
			for range b.N {
				err := db.Write(context.Background(), func(tx *Tx) error {
					for range n {
						seq++
						if err := benchMessage(tx, seq); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			reportRows(b, 3*n*b.N, cpuTime()-cpu)
		})
	}
}

func benchMessage(tx *Tx, seq int64) error {
	from, to := benchOwner(seq), benchOwner(seq*7)
	if _, err := tx.Exec(benchRecord, int64(1), seq, "0123456789abcdef", seq*1000, benchBody); err != nil {
		return err
	}
	if _, err := tx.Exec(benchView, from, seq, to); err != nil {
		return err
	}
	_, err := tx.Exec(benchView, to, -seq, from)
	return err
}

// BenchmarkWrite_grouped has n goroutines that each write one message and wait for the flush.
func BenchmarkWrite_grouped(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db := openBench(b, filepath.Join(b.TempDir(), "db"))
			var seq int64
			cpu := cpuTime()
			b.ResetTimer()
			var wg sync.WaitGroup
			for g := range n {
				wg.Go(func() {
					for range b.N/n + min(1, max(0, b.N%n-g)) {
						err := db.Write(context.Background(), func(tx *Tx) error { seq++; return benchMessage(tx, seq) })
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			reportRows(b, 3*b.N, cpuTime()-cpu)
		})
	}
}

// BenchmarkDatabaseSQL is the yardstick: the same rows with prepared statements through database/sql.
func BenchmarkDatabaseSQL(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "db")
			_ = openBench(b, path).Close()
			db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(FULL)&_txlock=immediate")
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			record, err1 := db.Prepare(litePlaceholders(benchRecord))
			view, err2 := db.Prepare(litePlaceholders(benchView))
			if err1 != nil || err2 != nil {
				b.Fatal(err1, err2)
			}
			var seq int64
			cpu := cpuTime()
			b.ResetTimer()
			for range b.N {
				tx, err := db.Begin()
				if err != nil {
					b.Fatal(err)
				}
				r, v := tx.Stmt(record), tx.Stmt(view)
				for range n {
					seq++
					from, to := benchOwner(seq), benchOwner(seq*7)
					_, e1 := r.Exec(int64(1), seq, "0123456789abcdef", seq*1000, benchBody)
					_, e2 := v.Exec(from, seq, to)
					_, e3 := v.Exec(to, -seq, from)
					if e1 != nil || e2 != nil || e3 != nil {
						b.Fatal(e1, e2, e3)
					}
				}
				if err := tx.Commit(); err != nil {
					b.Fatal(err)
				}
			}
			reportRows(b, 3*n*b.N, cpuTime()-cpu)
		})
	}
}

// BenchmarkWrite_paced has messages arrive evenly, 5,000 a second, and tells the time until they are flushed.
func BenchmarkWrite_paced(b *testing.B) {
	db := openBench(b, filepath.Join(b.TempDir(), "db"))
	const perTick = 5 // each millisecond
	var seq int64
	took := make([]time.Duration, b.N)
	cpu := cpuTime()
	commits := db.w.commits.Load()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range b.N {
		if i%perTick == 0 {
			<-tick.C
		}
		wg.Go(func() {
			start := time.Now()
			err := db.Write(context.Background(), func(tx *Tx) error { seq++; return benchMessage(tx, seq) })
			if err != nil {
				b.Error(err)
			}
			took[i] = time.Since(start)
		})
	}
	wg.Wait()
	reportRows(b, 3*b.N, cpuTime()-cpu)
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(b.N)/float64(db.w.commits.Load()-commits), "batch")
}

// BenchmarkRead reads one message by its key, in a snapshot of its own.
func BenchmarkRead(b *testing.B) {
	db := openBench(b, filepath.Join(b.TempDir(), "db"))
	const rows = 10_000
	err := db.Write(b.Context(), func(tx *Tx) error {
		for seq := range int64(rows) {
			if err := benchMessage(tx, seq+1); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context() // can be cancelled, as a connection's is
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		var id string
		var body []byte
		err := db.Read(ctx, func(tx *Tx) error {
			return tx.Row("SELECT id, stanza FROM record WHERE log = $1 AND seq = $2", 1, i%rows+1).Scan(&id, &body)
		})
		if err != nil || len(body) != len(benchBody) {
			b.Fatal(err)
		}
	}
}
