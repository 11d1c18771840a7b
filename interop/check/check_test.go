package check

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// legal is a lawful history: three people, each with two sessions with carbons,
// every pair talking, one send refused, one never answered and not kept, one
// never answered but kept.
func legal() *History {
	people := []string{"a@x", "b@x", "c@x"}
	h := &History{Views: map[string][]View{}}
	for _, p := range people {
		for _, d := range []string{"1", "2"} {
			h.Sessions = append(h.Sessions, Session{Name: p + "/" + d, Owner: p, Carbons: true, Joined: true})
		}
	}
	seq := map[string]int64{}
	for i := range 60 {
		from, to := people[i%3], people[(i+1+i%2)%3]
		id := fmt.Sprintf("m%02d", i)
		s := Send{ID: id, From: from, To: to, Sessions: []string{from + "/1"}, Body: Hash(id), Acked: true}
		kept := true
		switch i {
		case 10:
			s.Acked, s.Refused, kept = true, true, false
		case 20:
			s.Acked, kept = false, false
		case 30:
			s.Acked = false
		}
		h.Sends = append(h.Sends, s)
		if !kept {
			continue
		}
		conv := min(from, to) + " " + max(from, to)
		seq[conv]++
		h.Archive = append(h.Archive, Record{Pos: int64(100 + 2*i), ConvSeq: seq[conv], Conv: conv, ID: id, From: from, To: to, Body: s.Body})
		for _, o := range []string{from, to} {
			h.Views[o] = append(h.Views[o], View{id, s.Body})
		}
		for k := range h.Sessions {
			if z := &h.Sessions[k]; z.Owner == to || z.Owner == from && z.Name != s.Sessions[0] {
				z.Got = append(z.Got, Receipt{id, s.Body})
			}
		}
	}
	return h
}

func TestCheck_legalHistoryHasNoFindings(t *testing.T) {
	if v := legal().Check(); len(v) > 0 {
		t.Fatalf("findings in a legal history: %v", v)
	}
	// A session that joined late, and one that left early, are lawful too.
	h := legal()
	s := &h.Sessions[1]
	s.After, s.Got = s.Got[4].ID, s.Got[5:]
	s = &h.Sessions[3]
	s.Left, s.Got = true, s.Got[:7]
	if v := h.Check(); len(v) > 0 {
		t.Fatalf("findings with a late and an early one: %v", v)
	}
}

// Each seed breaks one law in one place, and exactly that must be found.
func TestCheck_findsEachSeededViolation(t *testing.T) {
	got := func(h *History, s int) *[]Receipt { return &h.Sessions[s].Got }
	drop := func(h *History, id string) { // out of the archive, everybody's view and every session
		h.Archive = slices.DeleteFunc(h.Archive, func(r Record) bool { return r.ID == id })
		n := map[string]int64{}
		for i := range h.Archive {
			n[h.Archive[i].Conv]++
			h.Archive[i].ConvSeq = n[h.Archive[i].Conv]
		}
		for o := range h.Views {
			h.Views[o] = slices.DeleteFunc(h.Views[o], func(v View) bool { return v.ID == id })
		}
		for k := range h.Sessions {
			h.Sessions[k].Got = slices.DeleteFunc(h.Sessions[k].Got, func(r Receipt) bool { return r.ID == id })
		}
	}
	for _, row := range []struct {
		name string
		seed func(*History)
		want []Kind
	}{
		{"nobody sent it", func(h *History) {
			h.Sends = slices.DeleteFunc(h.Sends, func(s Send) bool { return s.ID == "m05" })
		}, []Kind{Phantom}},
		{"body altered in the archive", func(h *History) {
			h.Sends[5].Body = Hash("other")
		}, []Kind{Phantom}},
		{"sender altered in the archive", func(h *History) { h.Sends[5].From = "mallory@x" }, []Kind{Phantom}},
		{"archived twice", func(h *History) {
			r := h.Archive[5]
			r.Pos = 999
			for _, o := range h.Archive {
				if o.Conv == r.Conv {
					r.ConvSeq = max(r.ConvSeq, o.ConvSeq+1)
				}
			}
			h.Archive = append(h.Archive, r)
		}, []Kind{ArchivedTwice}},
		{"refused yet kept", func(h *History) { h.Sends[7].Refused = true }, []Kind{RefusedKept}},
		{"lost", func(h *History) { drop(h, "m08") }, []Kind{Lost}},
		{"delivered, not archived", func(h *History) {
			h.Sends[8].Acked = false
			keep := slices.Clone(*got(h, 0))
			drop(h, "m08")
			for _, r := range keep {
				if r.ID == "m08" {
					*got(h, 0) = append(*got(h, 0), r)
				}
			}
		}, nil}, // filled in below: depends on who m08 is for
		{"delivered twice", func(h *History) { g := got(h, 2); *g = append(*g, (*g)[3]) }, []Kind{Twice}},
		{"delivered altered", func(h *History) { (*got(h, 2))[3].Body = Hash("other") }, []Kind{Altered}},
		{"gap", func(h *History) { g := got(h, 2); *g = slices.Delete(*g, 3, 4) }, []Kind{Gap}},
		{"reorder within a conversation", func(h *History) {
			g := *got(h, 2)
			i := 3
			j := i + 1
			for conv(h, g[j].ID) != conv(h, g[i].ID) {
				j++
			}
			r := g[i]
			*got(h, 2) = slices.Insert(slices.Delete(slices.Clone(g), i, i+1), j, r)
		}, []Kind{Reorder}},
		{"the last one never delivered", func(h *History) { g := got(h, 2); *g = (*g)[:len(*g)-1] }, []Kind{Undelivered}},
		{"hole in a view", func(h *History) { h.Views["b@x"] = slices.Delete(h.Views["b@x"], 4, 5) }, []Kind{Hole}},
		{"somebody else's message in a view", func(h *History) {
			for _, r := range h.Archive {
				if r.From != "b@x" && r.To != "b@x" {
					h.Views["b@x"] = append(h.Views["b@x"], View{r.ID, r.Body})
					return
				}
			}
		}, []Kind{Extra}},
		{"twice in a view", func(h *History) { v := h.Views["b@x"]; h.Views["b@x"] = append(v, v[2]) }, []Kind{Extra}},
		{"view out of order", func(h *History) { v := h.Views["b@x"]; v[2], v[3] = v[3], v[2] }, []Kind{Reorder}},
		{"view altered", func(h *History) { h.Views["b@x"][2].Body = Hash("other") }, []Kind{Altered}},
		{"a number missing in a conversation", func(h *History) {
			last := map[string]int{}
			for i, r := range h.Archive {
				last[r.Conv] = i
			}
			h.Archive[last[h.Archive[0].Conv]].ConvSeq++
		}, []Kind{Sequence}},
	} {
		if row.want == nil {
			row.want = []Kind{Unarchived}
		}
		t.Run(row.name, func(t *testing.T) {
			h := legal()
			row.seed(h)
			found := h.Check()
			var kinds []Kind
			for _, v := range found {
				kinds = append(kinds, v.Kind)
			}
			if !slices.Equal(kinds, row.want) {
				t.Fatalf("found %v, seeded %v", found, row.want)
			}
		})
	}
}

func conv(h *History, id string) string {
	for _, r := range h.Archive {
		if r.ID == id {
			return r.Conv
		}
	}
	return ""
}

// Linear, not quadratic: a long history is checked in well under a test's time.
func TestCheck_longHistory(t *testing.T) {
	h := &History{Views: map[string][]View{}}
	h.Sessions = []Session{{Name: "b/1", Owner: "b@x", Joined: true}}
	for i := range 200_000 {
		id := fmt.Sprint(i)
		h.Sends = append(h.Sends, Send{ID: id, From: "a@x", To: "b@x", Sessions: []string{"a/1"}, Acked: true})
		h.Archive = append(h.Archive, Record{Pos: int64(i), ConvSeq: int64(i + 1), Conv: "a b", ID: id, From: "a@x", To: "b@x"})
		h.Sessions[0].Got = append(h.Sessions[0].Got, Receipt{ID: id})
	}
	if v := h.Check(); len(v) > 0 {
		t.Fatal(v[0])
	}
}

func TestDump_readsRecordsFromTheFile(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "some.db")
	script := `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1]); db.execute("PRAGMA journal_mode=WAL")
db.execute("CREATE TABLE conversation (id INTEGER PRIMARY KEY, key TEXT)")
db.execute("CREATE TABLE record (pos INTEGER PRIMARY KEY, at, conv, conv_seq, state, sender, recipient, dedup, stanza, salt, seal)")
db.execute("INSERT INTO conversation VALUES (1, 'a@x b@x')")
db.execute("INSERT INTO record VALUES (7, 0, 1, 1, 0, 'a@x/1', 'b@x', NULL, ?, NULL, NULL)",
  (b"<message xmlns='jabber:client' id='i'><body>h&amp;i</body><origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>",))
db.commit()
`
	if out, err := exec.Command("/usr/bin/python3", "-c", script, db).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows, err := Dump(dir)
	want := Record{Pos: 7, ConvSeq: 1, Conv: "a@x b@x", ID: "o", From: "a@x", To: "b@x", Body: Hash("h&i")}
	if err != nil || len(rows) != 1 || rows[0] != want {
		t.Fatalf("%+v, %v", rows, err)
	}
}
