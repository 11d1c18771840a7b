package faults

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/parlance-im/parlance/interop/server"
)

const spoil = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for i, (pos,) in enumerate(db.execute("SELECT pos FROM record WHERE instr(stanza, 'poison-') > 0 ORDER BY pos").fetchall()):
    if i % 4 == 1:
        bad = [b"", b"<message", b"\x00\xff\xfe", b"<message></wrong>", b"<message><body>&nope;</body></message>"][(i // 4) % 5]
        db.execute("UPDATE record SET stanza = ? WHERE pos = ?", (bad, pos))
        print(i)
db.commit()
`

// HARDENING F12, as far as there is something that poisons: records that can't be read any more, in the
// archive and among what waits for somebody. He logs in, gets all the others in order, and pages past them.
func TestPoison_unreadableRecords(t *testing.T) {
	const n = 40
	r := note(t, "F12", fmt.Sprintf("a quarter of %d waiting records spoilt on disk (empty, cut off, no XML, no UTF-8); the owner logs in and reads his archive", n))
	s, err := server.Start(context.Background(), server.Options{Kind: server.Parlance})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Finish(t) }()
	if err := pour(sender(t, s, "alice"), "erin@"+server.Domain, "poison", n, 50); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("/usr/bin/python3", "-c", spoil, filepath.Join(s.Data(), "parlance.db")).CombinedOutput()
	if err != nil || len(out) == 0 {
		t.Fatalf("spoilt %q: %v", out, err)
	}
	bad := map[string]bool{}
	for i := 1; i < n; i += 4 {
		bad[fmt.Sprintf("poison-%d", i)] = true
	}
	next, err := server.Start(context.Background(), server.Options{Reuse: s})
	if err != nil {
		t.Fatal(err)
	}
	s = next
	erin := sender(t, s, "erin")
	if err := erin.Send("<presence/>"); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		id := fmt.Sprintf("poison-%d", i)
		if bad[id] {
			continue
		}
		m, err := erin.Take(patience, isMessage)
		if err != nil {
			t.Fatalf("%s never came: %v", id, err)
		}
		if m.OriginID() != id {
			t.Fatalf("%s came where %s was due", m.OriginID(), id)
		}
	}
	all, err := erin.Archive(patience, 7)
	if err != nil {
		t.Fatalf("the archive: %v", err)
	}
	seen := 0
	for _, a := range all {
		if a.Message != nil && a.Message.OriginID() != "" {
			seen++
		}
	}
	if due := n - len(bad); seen != due {
		t.Errorf("%d of %d readable messages in the archive", seen, due)
	}
	if err := erin.Fence(patience); err != nil {
		t.Errorf("cut off: %v", err)
	}
	r.count(t, "%d spoilt, the other %d came in order and are in the archive", len(bad), seen)
}
