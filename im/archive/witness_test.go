package archive

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"context"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

// watched is an archive with three records and its witness, flushed and closed.
func watched(t *testing.T, db *store.DB) (*Archive, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "witness")
	w, err := OpenWitness(path)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := open(t, db)
	a.WitnessBy(w)
	add(t, a, entry(alice, bob, "1"), entry(alice, bob, "2"))
	add(t, a, entry(bob, alice, "3"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(w.Run(ctx, slog.New(slog.DiscardHandler)), w.Close()); err != nil {
		t.Fatal(err)
	}
	return a, path
}

func write(t *testing.T, db *store.DB, q string, args ...any) {
	t.Helper()
	if err := db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(q, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

func look(t *testing.T, path string) *Witness {
	t.Helper()
	w, err := OpenWitness(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// HARDENING F23: a data set that does not reach as far as was acknowledged is found, and one that does is not.
func TestWitness_logThatEndsEarlier(t *testing.T) {
	for name, x := range map[string]struct {
		change string
		lost   bool
		other  bool
	}{
		"whole":           {"", false, false},
		"last gone":       {"DELETE FROM record WHERE pos = 3", true, false},
		"all gone":        {"DELETE FROM record", true, false},
		"another record":  {"UPDATE record SET seal = (SELECT seal FROM record WHERE pos = 1) WHERE pos = 3", true, true},
		"goes on from 1":  {"UPDATE record SET pos = pos + 1 WHERE pos = 3", true, true},
		"content erased":  {"UPDATE record SET stanza = NULL, salt = NULL WHERE pos = 3", false, false},
		"an earlier gone": {"DELETE FROM record WHERE pos = 2", false, false}, // the seals' business
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, db *store.DB) {
				_, path := watched(t, db)
				if x.change != "" {
					write(t, db, x.change)
				}
				err := look(t, path).Check(t.Context(), db, "data.db")
				var lost *LostError
				if errors.As(err, &lost) != x.lost || err != nil && !x.lost {
					t.Fatalf("said %v", err)
				}
				if lost != nil && (lost.Other != x.other || lost.Was.Pos != 3 || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "data.db")) {
					t.Errorf("said %v", err)
				}
			})
		})
	}
}

// What was accepted is remembered, the witness is content, and no number is given twice.
func TestAcceptLoss_goesOnBehindIt(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		_, path := watched(t, db)
		write(t, db, "DELETE FROM record WHERE pos >= 2")
		w := look(t, path)
		var lost *LostError
		if err := w.Check(t.Context(), db, "data.db"); !errors.As(err, &lost) {
			t.Fatal(err)
		}
		l, err := AcceptLoss(t.Context(), db, w, lost, (&clock{}).now())
		if err != nil || l.First != 2 || l.Last != 3 {
			t.Fatal(l, err)
		}
		again := look(t, path)
		if err := again.Check(t.Context(), db, "data.db"); err != nil || again.Claim().Pos != 1 {
			t.Errorf("after it was accepted: %v, at %d", err, again.Claim().Pos)
		}
		all, err := Losses(t.Context(), db)
		if err != nil || len(all) != 1 || all[0].First != 2 || all[0].Last != 3 {
			t.Errorf("remembered %v, %v", all, err)
		}
		a, _ := open(t, db)
		a.WitnessBy(again)
		e := entry(alice, bob, "later")
		add(t, a, e)
		if e.Pos != 4 || again.Claim().Pos != 4 {
			t.Errorf("the next has number %d, the witness says %d; due: 4", e.Pos, again.Claim().Pos)
		}
	})
}

// A slot that was torn, or a bit of it flipped, makes the witness say less, never something else.
func TestWitness_damagedSlots(t *testing.T) {
	db := storetest.SQLite(t)
	_, path := watched(t, db)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		b := []byte(string(whole))
		b[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := LookWitness(path)
		if err != nil || w.Damaged() || w.Claim().Pos != 0 && w.Claim().Pos != 3 {
			t.Fatalf("byte %d: %v, damaged %v, at %d", at, err, w.Damaged(), w.Claim().Pos)
		}
		if err := w.Check(t.Context(), db, "data.db"); err != nil {
			t.Fatalf("byte %d: false alarm: %v", at, err)
		}
	}
	for _, b := range [][]byte{{}, whole[:100], make([]byte, len(whole))} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if w := look(t, path); !w.Damaged() || w.Claim() != (Claim{}) {
			t.Errorf("%d bytes: damaged %v, at %d", len(b), w.Damaged(), w.Claim().Pos)
		}
		if w := look(t, path); w.Damaged() {
			t.Error("it was not begun anew")
		}
	}
}

// The file's two slots: what was flushed is not written over before the next is flushed.
func TestWitness_keepsTheSlotBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "witness")
	w := look(t, path)
	flushed := session.Pos(0)
	for pos := session.Pos(1); pos < 40; pos++ {
		w.saw(Claim{Pos: pos})
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		one, ok1 := readClaim(b, 0)
		two, ok2 := readClaim(b, 1)
		if !ok1 || !ok2 || max(one.Pos, two.Pos) != pos || min(one.Pos, two.Pos) != flushed {
			t.Fatalf("after %d, with %d flushed: slots %d and %d", pos, flushed, one.Pos, two.Pos)
		}
		if pos%3 == 0 {
			if err := w.flush(); err != nil {
				t.Fatal(err)
			}
			flushed = pos
		}
	}
}
