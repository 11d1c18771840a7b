package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

const crashEnv = "PARLANCE_STORE_CRASH"

// crashChild writes rows from several goroutines and tells each number after it was acknowledged.
func crashChild() {
	db, err := store.Open(context.Background(), store.Options{DSN: os.Getenv(crashEnv)})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var next atomic.Int64
	next.Store(startAt(db))
	var out sync.Mutex
	for range 8 {
		go func() {
			for {
				n := next.Add(1)
				err := db.Write(context.Background(), func(tx *store.Tx) error {
					if err := put(tx, fmt.Sprint(n), n); err != nil {
						return err
					}
					_, err := tx.Exec(`INSERT INTO entry (what) VALUES ($1)`, fmt.Sprint(n))
					return err
				})
				out.Lock()
				fmt.Println(n, err)
				out.Unlock()
			}
		}()
	}
	select {}
}

func startAt(db *store.DB) (n int64) {
	_ = db.Read(context.Background(), func(tx *store.Tx) error { return tx.Row(`SELECT COALESCE(max(n), 0) FROM item`).Scan(&n) })
	return n
}

// TestCrash_acknowledgedRowsAreThere kills the writing process and looks for every acknowledged row: HARDENING F1.
func TestCrash_acknowledgedRowsAreThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crash.db")
	db := storetest.Open(t, path)
	migrate(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	acked := map[string]bool{}
	for round := range 5 {
		crashRound(t, path, 50+round*237, acked)
		checkAcked(t, path, acked)
	}
}

// crashRound kills the child after it has acknowledged n rows.
func crashRound(t *testing.T, path string, n int, acked map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := 0; lines.Scan(); i++ {
		id, rest, _ := strings.Cut(lines.Text(), " ")
		if rest != "<nil>" {
			t.Errorf("child: %s", lines.Text())
			break
		}
		acked[id] = true
		if i == n {
			if err := cmd.Process.Kill(); err != nil { // what the child has told by then is read as well
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Process.Kill()
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
}

func checkAcked(t *testing.T, path string, acked map[string]bool) {
	t.Helper()
	db := storetest.Open(t, path)
	defer db.Close()
	var have int
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		var check string
		if err := tx.Row("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
			t.Errorf("integrity: %q, %v", check, err)
		}
		rows, err := tx.Query(`SELECT i.n FROM item i JOIN entry e ON e.what = i.id`)
		if err != nil {
			return err
		}
		left := len(acked)
		for rows.Next() {
			var n int64
			if err := rows.Scan(&n); err != nil {
				return err
			}
			if acked[strconv.FormatInt(n, 10)] {
				left--
			}
			have++
		}
		if left != 0 {
			t.Errorf("%d of %d acknowledged rows are missing", left, len(acked))
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != have {
		t.Errorf("%d items, but %d with their entry: a transaction was torn", n, have)
	}
}
