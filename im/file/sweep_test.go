package file

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

func (s *shop) sweep() {
	s.t.Helper()
	if err := s.Sweep(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func TestSweep_keepsWhatAnotherHas(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		s := open(t, db, func(c *Config) { c.Keep = time.Hour })
		old := s.add("shared")
		lone := s.add("alone")
		g, err := s.Grant(t.Context(), Request{Owner: alice, Name: "me.jpg", Size: 3, Purpose: ForProfile})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.put(g, "me!"); err != nil {
			t.Fatal(err)
		}
		held := s.add("held")
		if err := s.Move(t.Context(), held.ID, Held, ""); err != nil {
			t.Fatal(err)
		}
		s.c.move(time.Hour)
		young := s.add("shared")
		s.sweep()
		for _, id := range []string{old.ID, lone.ID} {
			if _, err := s.content(id); !errors.Is(err, ErrUnknown) {
				t.Errorf("an old file: %v", err)
			}
		}
		if got, err := s.content(young.ID); got != "shared" || err != nil {
			t.Errorf("the content another file has: %q %v", got, err)
		}
		if got, err := s.content(g.ID); got != "me!" || err != nil { // XEP-0363 §5.2
			t.Errorf("a profile's: %q %v", got, err)
		}
		if _, err := s.content(held.ID); !errors.Is(err, ErrHeld) {
			t.Errorf("a held file: %v", err)
		}
		if files, bytes := s.disk(); len(files) != 3 || bytes != 6+3+4 {
			t.Errorf("%v, %d bytes", files, bytes)
		}
		if counted, rows := s.usage(alice); counted != rows || counted != 6+3+4 {
			t.Errorf("counted %d, in rows %d", counted, rows)
		}
	})
}

// An upload of the very content that is being removed waits; it never refers
// to what is about to go.
func TestReceive_whileItsContentIsRemoved(t *testing.T) {
	run(t, func(t *testing.T, s *shop) {
		f := s.add("again")
		err := s.db.Write(t.Context(), func(tx *store.Tx) error {
			if err := drop(tx, f); err != nil {
				return err
			}
			_, _, err := mark(tx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		g := s.grant(5)
		if _, err := s.put(g, "again"); !errors.Is(err, ErrBusy) {
			t.Errorf("%v", err)
		}
		s.sweep() // finishes what was begun, as after a crash
		if _, err := s.put(g, "again"); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		s.sweep()
		if got, err := s.content(g.ID); got != "again" || err != nil {
			t.Errorf("%q %v", got, err)
		}
	})
}

// crash is where the process ends: the step of an upload that does not happen.
type crashing struct {
	blobs
	before bool // putting; else after it
}

var errCrash = errors.New("crash")

func (c crashing) Put(ctx context.Context, hash string, sp *spooled) error {
	if c.before {
		return errCrash
	}
	return errors.Join(c.blobs.Put(ctx, hash, sp), errCrash)
}

// A process that ends anywhere in an upload leaves no broken file to be seen
// and, once the next has started and swept, no content and no charge.
func TestOpen_afterACrash(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		s := open(t, db, nil)
		kept := s.add("kept")
		var ids []string
		for i, step := range []string{"claimed", "spooled", "referred", "put"} {
			content := "lost " + step
			g := s.grant(int64(len(content)))
			ids = append(ids, g.ID)
			f, err := s.claim(t.Context(), g.Put, Incoming{Size: int64(len(content))})
			if err != nil {
				t.Fatal(err)
			}
			if i >= 1 {
				sp, err := s.spool(strings.NewReader(content), f.Size)
				if err != nil {
					t.Fatal(err)
				}
				f.Hash, f.Stored = sp.hash, sp.size
				if i >= 2 {
					if err := s.refer(t.Context(), f); err != nil {
						t.Fatal(err)
					}
				}
				if i >= 3 {
					if err := s.blobs.Put(t.Context(), sp.hash, sp); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := s.content(g.ID); !errors.Is(err, ErrUnknown) {
				t.Errorf("%s: it can be seen: %v", step, err)
			}
		}
		if files, _ := s.disk(); len(files) != 4 { // two under tmp, one put, one kept
			t.Fatalf("before: %v", files)
		}
		s.Close()
		conf := s.conf
		next, err := Open(t.Context(), conf)
		if err != nil {
			t.Fatal(err)
		}
		s.Store = next
		t.Cleanup(func() { next.Close() })
		s.sweep()
		if files, _ := s.disk(); len(files) != 1 {
			t.Errorf("after: %v", files)
		}
		s.c.move(s.conf.Limits.Slot)
		s.sweep()
		if counted, rows := s.usage(alice); counted != 4 || rows != 4 {
			t.Errorf("counted %d, in rows %d", counted, rows)
		}
		for _, id := range ids {
			if _, err := s.Find(t.Context(), id); !errors.Is(err, ErrUnknown) {
				t.Errorf("a row is left: %v", err)
			}
		}
		if got, err := s.content(kept.ID); got != "kept" || err != nil {
			t.Errorf("%q %v", got, err)
		}
	})
}

func TestReceive_whenTheDiskFails(t *testing.T) {
	run(t, func(t *testing.T, s *shop) {
		for _, before := range []bool{true, false} {
			good := s.blobs
			s.blobs = crashing{good, before}
			g := s.grant(5)
			if _, err := s.put(g, "hello"); !errors.Is(err, errCrash) {
				t.Errorf("%v", err)
			}
			s.blobs = good
			s.sweep()
			if files, _ := s.disk(); len(files) != 0 {
				t.Errorf("it leaves %v", files)
			}
			// The slot is still good.
			if _, err := s.put(g, "hello"); err != nil {
				t.Error(err)
			}
			s.c.move(day)
			if err := s.db.Write(t.Context(), func(tx *store.Tx) error {
				f, err := scan(tx.Row(sqlFind, g.ID))
				if err != nil {
					return err
				}
				return drop(tx, f)
			}); err != nil {
				t.Fatal(err)
			}
			s.sweep()
		}
	})
}

// Whatever people do in whatever order: what is counted is what there is, what
// can be downloaded is what was uploaded, and contents are there once each.
func TestStore_property(t *testing.T) {
	s := open(t, storetest.SQLite(t), func(c *Config) { c.Keep = 2 * time.Hour })
	rapid.Check(t, func(r *rapid.T) {
		s.empty()
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 1))
		slots := map[string]Granted{}
		files := map[string]string{}
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			content := strings.Repeat("x", 1+rnd.IntN(30))
			switch rnd.IntN(6) {
			case 0, 1:
				if g, err := s.Grant(t.Context(), Request{Owner: alice, Name: "x", Size: int64(len(content)), Purpose: ForMessage}); err == nil {
					slots[g.ID] = g
				}
			case 2, 3:
				for id, g := range slots {
					f, err := s.Find(t.Context(), id)
					if err != nil {
						delete(slots, id)
						break
					}
					content := strings.Repeat("y", int(f.Size))
					if _, err := s.put(g, content); err == nil {
						files[id] = content
					}
					break
				}
			case 4:
				s.c.move(time.Duration(rnd.IntN(90)) * time.Minute)
			case 5:
				s.sweep()
			}
			if counted, rows := s.usage(alice); counted != rows {
				r.Fatalf("counted %d, in rows %d", counted, rows)
			}
		}
		s.sweep()
		kinds := map[string]bool{}
		for id, want := range files {
			got, err := s.content(id)
			if errors.Is(err, ErrUnknown) {
				continue // too old
			}
			if err != nil || got != want {
				r.Fatalf("%q %v", got, err)
			}
			kinds[want] = true
		}
		if list, _ := s.disk(); len(list) != len(kinds) {
			r.Fatalf("%d contents on disk, %d kinds", len(list), len(kinds))
		}
	})
}

// empty makes the store as new.
func (s *shop) empty() {
	s.t.Helper()
	err := s.db.Write(s.t.Context(), func(tx *store.Tx) error {
		for _, q := range []string{`DELETE FROM file`, `DELETE FROM file_usage`, `DELETE FROM file_loose`} {
			if _, err := tx.Exec(q); err != nil {
				return err
			}
		}
		return nil
	})
	list, _ := s.disk()
	for _, f := range list {
		err = errors.Join(err, os.Remove(filepath.Join(s.dir, f)))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestRun_endsWithItsContext(t *testing.T) {
	s := open(t, storetest.SQLite(t), nil)
	s.grant(5)
	s.c.move(s.conf.Limits.Slot)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
