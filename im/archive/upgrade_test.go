package archive

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

// A data set from before the index was written behind the record keeps its messages, their order and what was sent.
func TestMigrate_recordWithItsOwnIndexes(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		const first = "20261123_0400_archive.sql"
		text, err := migrations.ReadFile("migrations/" + first)
		if err != nil {
			t.Fatal(err)
		}
		old := store.Migrations{Name: "archive", FS: fstest.MapFS{first: {Data: text}}}
		if err := db.Migrate(t.Context(), []store.Migrations{old}); err != nil {
			t.Fatal(err)
		}
		sent := Sending{1, 2, 3}
		err = db.Write(t.Context(), func(tx *store.Tx) error {
			for _, q := range strings.Split(`INSERT INTO conversation (id, key) VALUES (7, 'alice@x.test bob@x.test');
				INSERT INTO record (pos, at, conv, conv_seq, sender, recipient, dedup, stanza, salt, seal)
					VALUES (1, 5, 7, 1, 'alice@x.test/phone', 'bob@x.test', $1, '<message><body>1</body></message>', '', '');
				INSERT INTO record (pos, at, conv, conv_seq, sender, recipient, stanza, salt, seal)
					VALUES (2, 6, 7, 2, 'bob@x.test/desk', 'alice@x.test', '<message><body>2</body></message>', '', '');
				INSERT INTO view (owner, pos, flags) VALUES ('alice@x.test', 1, 1), ('bob@x.test', 1, 3), ('alice@x.test', 2, 3), ('bob@x.test', 2, 1);
				INSERT INTO archive_mark (name, value) VALUES ('settled', 2)`, ";\n") {
				var args []any
				if strings.Contains(q, "$1") {
					args = append(args, sent[:])
				}
				if _, err := tx.Exec(q, args...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		a, c := open(t, db)
		c.t = time.UnixMicro(1_000_000)
		again, next := entry(alice, bob, "1"), entry(alice, bob, "3")
		again.Dedup = sent
		add(t, a, again, next)
		if !again.Again || again.Pos != 1 || next.Pos != 3 {
			t.Errorf("sent again: %v at %s; the next at %s", again.Again, again.Pos, next.Pos)
		}
		for _, q := range []Query{{Owner: bob, Max: 9}, {Owner: bob, With: alice.Bare(), Max: 9}} {
			if got := fmt.Sprint(texts(read(t, a, q))); got != "[1 2 3]" {
				t.Errorf("%+v: %s", q, got)
			}
		}
		var seq int64
		err = db.Read(t.Context(), func(tx *store.Tx) error { return tx.Row(`SELECT conv_seq FROM record WHERE pos = 3`).Scan(&seq) })
		if err != nil || seq != 3 {
			t.Errorf("the conversation's next place is %d, want 3 (%v)", seq, err)
		}
	})
}
