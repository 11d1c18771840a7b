package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"testing"
)

// BenchmarkDriver is the middle way: the driver's own statements, without database/sql above them.
func BenchmarkDriver(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "db")
			_ = openBench(b, path).Close()
			db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(FULL)")
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			c, err := db.Conn(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			err = c.Raw(func(dc any) error { return benchDriver(b, dc.(driver.ConnPrepareContext), n) })
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

func benchDriver(b *testing.B, dc driver.ConnPrepareContext, n int) error {
	var st [4]driver.StmtExecContext
	for i, q := range []string{"BEGIN IMMEDIATE", "COMMIT", litePlaceholders(benchRecord), litePlaceholders(benchView)} {
		s, err := dc.PrepareContext(context.Background(), q)
		if err != nil {
			return err
		}
		defer s.Close()
		st[i] = s.(driver.StmtExecContext)
	}
	run := func(i int, args ...any) {
		nv := make([]driver.NamedValue, len(args))
		for j, a := range args {
			nv[j] = driver.NamedValue{Ordinal: j + 1, Value: a}
		}
		if _, err := st[i].ExecContext(context.Background(), nv); err != nil {
			b.Fatal(err)
		}
	}
	var seq int64
	cpu := cpuTime()
	b.ResetTimer()
	for range b.N {
		run(0)
		for range n {
			seq++
			from, to := benchOwner(seq), benchOwner(seq*7)
			run(2, int64(1), seq, "0123456789abcdef", seq*1000, benchBody)
			run(3, from, seq, to)
			run(3, to, -seq, from)
		}
		run(1)
	}
	reportRows(b, 3*n*b.N, cpuTime()-cpu)
	return nil
}
