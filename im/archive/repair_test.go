package archive

import (
	"context"
	"testing"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// HARDENING F23: what finds records is made again from them, and what was altered is set aside.
func TestRepair_mendsWhatCanBeMended(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		first := entry(alice, bob, "1")
		first.Dedup = Sending{7}
		add(t, a, first, entry(alice, bob, "2"), entry(bob, alice, "3"), entry(alice, carol, "4"))
		if err := a.indexAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		is, err := Repair(t.Context(), db, time.Unix(1, 0))
		if err != nil || is.Records != 4 || is.Added+is.Removed != 0 || len(is.Quarantined)+len(is.Gaps) != 0 {
			t.Fatalf("a whole one: %+v, %v", is, err)
		}
		for _, q := range []string{
			"DELETE FROM view", "DELETE FROM place WHERE pos = 1", "DELETE FROM sending",
			"INSERT INTO view (owner, pos, flags) VALUES ('bob@x.test', 77, 1)",
			"INSERT INTO waiting (owner, pos) VALUES ('bob@x.test', 77)",
			"INSERT INTO place (conv, pos) VALUES (99, 2)",
			"UPDATE record SET recipient = 'mallory@x.test' WHERE pos = 3",
		} {
			write(t, db, q)
		}
		is, err = Repair(t.Context(), db, time.Unix(1, 0))
		if err != nil || is.Removed != 3 || is.Added != 6+1+1 || len(is.Quarantined) != 1 || is.Quarantined[0].Pos != 3 || len(is.Gaps) != 0 {
			t.Errorf("%+v, %v", is, err)
		}
		var kept []byte
		if err := db.Read(t.Context(), func(tx *store.Tx) error {
			return tx.Row("SELECT stanza FROM record_quarantine WHERE pos = 3").Scan(&kept)
		}); err != nil || string(kept) != string(entry(bob, alice, "3").Stanza) {
			t.Errorf("in quarantine: %q, %v", kept, err)
		}
		bad := 0
		if _, erased, err := Verify(t.Context(), db, func(Problem) { bad++ }); err != nil || erased != 1 || bad != 0 {
			t.Errorf("afterwards %d problems, %d erased, %v", bad, erased, err)
		}
		b, _ := open(t, db)
		p := read(t, b, Query{Owner: bob.Bare(), Max: 10})
		if len(p.Messages) != 2 || string(p.Messages[0].Stanza) != string(first.Stanza) {
			t.Errorf("bob's archive: %q", p.Messages)
		}
		for who, n := range map[jid.JID]int{alice: 3, carol: 1, jid.MustParse("mallory@x.test"): 0} {
			if p := read(t, b, Query{Owner: who.Bare(), Max: 10}); len(p.Messages) != n {
				t.Errorf("%v's archive: %q", who, p.Messages)
			}
		}
		again := entry(alice, bob, "1")
		again.Dedup = first.Dedup
		if err := b.Append(context.Background(), []*Entry{again}); err != nil || !again.Again {
			t.Errorf("the sending was not found again: %v", err)
		}
	})
}

// Places that are missing are named; nothing pretends to bring them back.
func TestRepair_namesGaps(t *testing.T) {
	db := storetest.SQLite(t)
	a, _ := open(t, db)
	add(t, a, entry(alice, bob, "1"), entry(alice, bob, "2"), entry(bob, alice, "3"))
	write(t, db, "DELETE FROM record WHERE pos = 2")
	is, err := Repair(t.Context(), db, time.Unix(1, 0))
	if err != nil || len(is.Gaps) != 1 || is.Gaps[0].Pos != 3 {
		t.Errorf("%+v, %v", is, err)
	}
}
