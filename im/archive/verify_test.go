package archive

import (
	"testing"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

// HARDENING C1, F23: what somebody or a disk changed in a record shows.
func TestVerify_findsWhatWasChanged(t *testing.T) {
	for name, change := range map[string]string{
		"nothing":   "",
		"content":   "UPDATE record SET stanza = $1 WHERE pos = 2",
		"recipient": "UPDATE record SET recipient = 'mallory@x.test' WHERE pos = 2",
		"time":      "UPDATE record SET at = at + 1 WHERE pos = 2",
		"gone":      "DELETE FROM record WHERE pos = 2",
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, db *store.DB) {
				a, _ := open(t, db)
				add(t, a, entry(alice, bob, "1"), entry(alice, bob, "2"), entry(bob, alice, "3"))
				if change != "" {
					if err := db.Write(t.Context(), func(tx *store.Tx) error {
						var args []any
						if name == "content" {
							args = append(args, []byte("<message><body>other</body></message>"))
						}
						_, err := tx.Exec(change, args...)
						return err
					}); err != nil {
						t.Fatal(err)
					}
				}
				var found []Problem
				n, _, err := Verify(t.Context(), db, func(p Problem) { found = append(found, p) })
				if err != nil || n < 2 {
					t.Fatal(n, err)
				}
				if (len(found) > 0) != (change != "") {
					t.Errorf("found %v", found)
				}
			})
		})
	}
}
