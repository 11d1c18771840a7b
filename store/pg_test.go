package store_test

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

// cutter stands between the store and PostgreSQL and can cut a connection at its COMMIT.
type cutter struct {
	ln       net.Listener
	server   string
	mode     atomic.Int32
	refuse   atomic.Bool
	wg       sync.WaitGroup
	mu       sync.Mutex
	sessions map[net.Conn]bool // owner: mu
}

const (
	pass         int32 = iota
	cutBefore          // the server never sees the COMMIT
	cutAfterDone       // the server commits, its answer is lost
)

func newCutter(t *testing.T, dsn string) (*cutter, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &cutter{server: filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432"), sessions: map[net.Conn]bool{}}
	if c.ln, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		t.Fatal(err)
	}
	c.wg.Go(c.accept)
	t.Cleanup(func() {
		_ = c.ln.Close()
		c.cutAll()
		c.wg.Wait()
	})
	q := u.Query()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return c, u.String()
}

func (c *cutter) accept() {
	for {
		client, err := c.ln.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", c.server)
		if err != nil || c.refuse.Load() {
			_ = client.Close()
			continue
		}
		c.mu.Lock()
		c.sessions[client] = true
		c.mu.Unlock()
		p := &pair{client: client, server: server, ended: make(chan struct{})}
		c.wg.Go(func() { c.up(p) })
		c.wg.Go(p.down)
	}
}

// pair is one connection through the cutter.
type pair struct {
	client, server net.Conn
	mute           atomic.Bool   // the server's answers are dropped
	ended          chan struct{} // the server has closed
}

func (p *pair) down() {
	defer p.client.Close()
	defer close(p.ended)
	buf := make([]byte, 1<<16)
	for {
		n, err := p.server.Read(buf)
		if err != nil {
			return
		}
		if p.mute.Load() {
			continue
		}
		if _, err := p.client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (c *cutter) up(p *pair) {
	defer p.server.Close()
	defer p.client.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := p.client.Read(buf)
		if err != nil {
			return
		}
		if bytes.HasSuffix(buf[:min(n, 8)], []byte{0x04, 0xd2, 0x16, 0x2e}) {
			return // a request to cancel what a lost connection was doing: it is lost as well
		}
		if mode := c.mode.Load(); mode != pass && bytes.Contains(buf[:n], []byte("COMMIT\x00")) {
			c.mode.Store(pass)
			if mode == cutAfterDone {
				p.mute.Store(true)
				_, _ = p.server.Write(append(buf[:n:n], 'X', 0, 0, 0, 4)) // it ends the connection when it has done the COMMIT
				<-p.ended
			}
			return
		}
		if _, err := p.server.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (c *cutter) cutAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.sessions {
		_ = s.Close()
	}
	clear(c.sessions)
}

func onPG(t *testing.T, fn func(t *testing.T, dsn string)) {
	t.Helper()
	storetest.RunDSN(t, func(t *testing.T, dsn string) {
		if filepath.Ext(dsn) != ".db" {
			fn(t, dsn)
		}
	})
}

func add(db *store.DB, t *testing.T, id string) error {
	return db.Write(t.Context(), func(tx *store.Tx) error { return put(tx, id, 1) })
}

func TestPG_connectionLostAtCommitIsAmbiguous(t *testing.T) {
	onPG(t, func(t *testing.T, dsn string) {
		c, dsn := newCutter(t, dsn)
		db := storetest.Open(t, dsn)
		migrate(t, db)
		for i, mode := range []int32{cutBefore, cutAfterDone} {
			id := fmt.Sprint(i)
			c.mode.Store(mode)
			if err := add(db, t, id); !store.IsAmbiguous(err) {
				t.Errorf("%d: got %v", i, err)
			}
			// HARDENING F6: looked up by its id, the outcome is known.
			var n int
			err := db.Read(t.Context(), func(tx *store.Tx) error {
				return tx.Row(`SELECT count(*) FROM item WHERE id = $1`, id).Scan(&n)
			})
			if err != nil || n != i {
				t.Errorf("%d: %d rows, %v", i, n, err)
			}
			if err := add(db, t, "after"+id); err != nil {
				t.Errorf("the next write: %v", err)
			}
		}
		if db.Err() != nil {
			t.Errorf("poisoned: %v", db.Err())
		}
	})
}

func TestPG_connectionLostBeforeCommitIsAFailure(t *testing.T) {
	onPG(t, func(t *testing.T, dsn string) {
		c, dsn := newCutter(t, dsn)
		db := storetest.Open(t, dsn)
		migrate(t, db)
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			if err := put(tx, "lost", 1); err != nil {
				return err
			}
			c.cutAll()
			return put(tx, "lost too", 1)
		})
		if err == nil || store.IsAmbiguous(err) {
			t.Errorf("got %v", err)
		}
		if err := add(db, t, "after"); err != nil {
			t.Error(err)
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestPG_comesBackAfterTheServerWasGone(t *testing.T) {
	onPG(t, func(t *testing.T, dsn string) {
		c, dsn := newCutter(t, dsn)
		db := storetest.Open(t, dsn)
		migrate(t, db)
		c.refuse.Store(true)
		c.cutAll()
		for i := range 3 {
			if err := add(db, t, fmt.Sprint("gone", i)); err == nil {
				t.Error("a write without a server succeeded")
			}
		}
		c.refuse.Store(false)
		start := time.Now()
		var err error
		for time.Since(start) < 5*time.Second { // HARDENING F6: recovers within 5 s
			if err = add(db, t, "back"); err == nil {
				break
			}
		}
		if err != nil {
			t.Errorf("still %v", err)
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestPG_terminatedBackendIsReplaced(t *testing.T) {
	onPG(t, func(t *testing.T, dsn string) {
		db := storetest.Open(t, dsn)
		migrate(t, db)
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`SELECT pg_terminate_backend(pg_backend_pid())`)
			return err
		})
		if err == nil {
			t.Error("no error")
		}
		if err := add(db, t, "after"); err != nil {
			t.Error(err)
		}
	})
}

func TestPG_refusesWhatCannotKeepThePromise(t *testing.T) {
	onPG(t, func(t *testing.T, dsn string) {
		db, err := store.Open(t.Context(), store.Options{DSN: dsn + "&options=-csynchronous_commit%3Doff"})
		if err == nil {
			t.Errorf("synchronous_commit=off was taken: %v", db.Close())
		}
		db, err = store.Open(t.Context(), store.Options{DSN: "postgres://user:secretpass@%zz/"})
		if err == nil || strings.Contains(err.Error(), "secretpass") {
			t.Errorf("got %v, %v", db, err)
		}
	})
}
