package archive

import (
	"errors"
	"slices"
	"testing"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

// Whoever gets a removed account's address sees nothing of it, in whatever way the
// archive is asked; the other side and the record keep everything.
func TestForget_nextOwnerSeesNothing(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		a, _ := open(t, db)
		old := entry(alice, bob, "old")
		old.Waiting = bob
		add(t, a, old)
		if err := db.Write(ctx, func(tx *store.Tx) error { return a.Forget(tx, bob) }); err != nil {
			t.Fatal(err)
		}
		sees := func(when string, want ...string) {
			t.Helper()
			for what, q := range map[string]Query{"all": {}, "with": {With: alice.Bare()}} {
				q.Owner, q.Max = bob, 10
				p, err := a.Read(ctx, q)
				if err != nil || !slices.Equal(texts(p), want) {
					t.Errorf("%s, %s: %v %v", when, what, texts(p), err)
				}
				if n, err := a.Count(ctx, q); err != nil || n != int64(len(want)) {
					t.Errorf("%s, %s: count %d %v", when, what, n, err)
				}
			}
			first, last, err := a.Edges(ctx, bob)
			if err != nil || len(first) != min(len(want), 1) || len(last) != len(first) || len(want) > 0 && first[0].Pos != last[0].Pos {
				t.Errorf("%s: edges %v %v %v", when, first, last, err)
			}
			for _, q := range []Query{{IDs: []session.Pos{old.Pos}}, {After: old.Pos}} {
				q.Owner, q.Max = bob, 10
				if _, err := a.Read(ctx, q); !errors.Is(err, ErrNotFound) {
					t.Errorf("%s: asked for the id: %v", when, err)
				}
			}
			if w, err := a.Waiting(ctx, bob, 0, a.Last(), 10); err != nil || slices.ContainsFunc(w, func(k Kept) bool { return k.Pos == old.Pos }) {
				t.Errorf("%s: %v waits, %v", when, w, err)
			}
		}
		sees("removed")
		add(t, a, entry(alice, bob, "new"))
		sees("made again", "new")
		if p, err := a.Read(ctx, Query{Owner: alice.Bare(), Max: 10}); err != nil || !slices.Equal(texts(p), []string{"old", "new"}) {
			t.Errorf("the other side: %v %v", texts(p), err)
		}
		next, _ := open(t, db)
		a = next
		sees("after a start", "new")
	})
}
