package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/search"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func wanted(t *testing.T, text string) *search.Query {
	t.Helper()
	q, err := search.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// XEP-0431 §3: the field together with every other way to ask, in an archive that nothing is indexed of yet:
// a message is found as soon as it is archived.
func TestSearch_withEverythingElse(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, c := open(t, db)
		for i := range 10 {
			to, more := bob, " even"
			if i%2 == 1 {
				to, more = carol, " odd"
			}
			add(t, a, entry(alice, to, fmt.Sprintf("note %d%s", i, more)))
			add(t, a, entry(bob, carol, fmt.Sprintf("note %d between others", i)))
			c.t = c.t.Add(time.Minute)
		}
		hidden := entry(bob, alice, "note that is not shown")
		hidden.Views = []View{{alice.Bare(), Keep}}
		add(t, a, hidden)
		r := newReader(t, a, alice, session.DefaultLimits)
		field := fieldText + "="
		cases := []struct{ name, payload, want, fin string }{
			{"a word of all", query(filled(field + "NOTE")), "[note 0 even note 1 odd note 2 even note 3 odd note 4 even note 5 odd note 6 even note 7 odd note 8 even note 9 odd]", "complete 1-19"},
			{"a word of some", query(filled(field+"odd") + set("<max>2</max>")), "[note 1 odd note 3 odd]", "3-7"},
			{"the next page", query(filled(field+"odd") + set("<max>2</max><after>7</after>")), "[note 5 odd note 7 odd]", "11-15"},
			{"the last page", query(filled(field+"odd") + set("<max>2</max><before/>")), "[note 7 odd note 9 odd]", "15-19"},
			{"flipped", query(filled(field+"odd") + set("<max>2</max><before/>") + "<flip-page/>"), "[note 9 odd note 7 odd]", "15-19"},
			{"the one before", query(filled(field+"odd") + set("<max>2</max><before>15</before>")), "[note 3 odd note 5 odd]", "7-11"},
			{"with one", query(filled(field+"note", "with=bob@x.test") + set("<max>2</max>")), "[note 0 even note 2 even]", "1-5"},
			{"with one who never said it", query(filled(field+"odd", "with=bob@x.test")), "[]", "complete "},
			{"with a stranger", query(filled(field+"note", "with=nobody@x.test")), "[]", "complete "},
			{"with a device", query(filled(field+"note", "with=bob@x.test/other")), "[]", "complete "},
			{"between times", query(filled(field+"note", "start=2026-11-23T08:02:00Z", "end=2026-11-23T08:03:30Z")), "[note 2 even note 3 odd]", "complete 5-7"},
			{"after all", query(filled(field+"note", "start=2027-11-23T08:02:00Z")), "[]", "complete "},
			{"between ids", query(filled(field+"note", "after-id=5", "before-id=11")), "[note 3 odd note 4 even]", "complete 7-9"},
			{"of some ids", query(filled(field+"odd", "ids=1,3,5,7")), "[note 1 odd note 3 odd]", "complete 3-7"},
			{"how many", query(filled(field+"odd") + set("<max>0</max>")), "[]", "count 5"},
			{"a phrase", query(filled(field + `&quot;4 even&quot;`)), "[note 4 even]", "complete 9-9"},
			{"a beginning", query(filled(field + `eve*`)), "[note 0 even note 2 even note 4 even note 6 even note 8 even]", "complete 1-17"},
			{"no word in it", query(filled(field + "...")), "[]", "complete "},
			{"what others said", query(filled(field + "between")), "[]", "complete "},
			{"what is not shown", query(filled(field + "shown")), "[]", "complete "},
			{"with groupchat, of which there is none", query(filled(field+"odd", "include-groupchat=true") + set("<max>1</max>")), "[note 1 odd]", "3-3"},
			{"nothing asked", query(filled(field+"") + set("<max>1</max>")), "[note 0 even]", "1-1"},
			{"without groupchat", query(filled("include-groupchat=0") + set("<max>1</max>")), "[note 0 even]", "1-1"},
		}
		for _, c := range cases {
			fin, ms, err := r.ask(stanza.Set, c.payload)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if got := bodies(ms); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
			// What a search found says nothing of how far a client has read.
			r.s.Switch(func(f *session.Flags) {
				if strings.Contains(c.payload, fieldText) && !strings.Contains(c.payload, "<value></value>") && (f.Archive || f.ArchiveLast != 0) {
					t.Errorf("%s: counts as read: %+v", c.name, f)
				}
			})
			if got := finText(fin); got != c.fin || fin.Attr("stable") != "" {
				t.Errorf("%s: %q, want %q, stable %q", c.name, got, c.fin, fin.Attr("stable"))
			}
		}
	})
}

// HARDENING I9: no text is syntax of anything.
func TestSearch_injection(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		add(t, a, entry(alice, bob, "quarterly report"), entry(bob, carol, "secret"))
		full(t, a, 0)
		if more, err := NewWords(a).block(t.Context()); !more || err != nil {
			t.Fatal(more, err)
		}
		r := newReader(t, a, alice, session.DefaultLimits)
		for _, text := range []string{
			`'; DROP TABLE word; --`, `" OR 1=1 --`, `secret OR quarterly`, `NOT nothing`, `secret NEAR/5 x`, `{list}: secret`, `^secret`, `-nothing secret`,
			`secret:*`, `secret & !x | y <-> z`, `sec\ret`, `%`, `_`, `*`, `"`, `""`, `"*"`, "secret\x01", "\\x00o" + "bob@x.test", "obob@x.test", "cobob@x.test",
			strings.Repeat(`"`, 1000), strings.Repeat("a ", 500), strings.Repeat("(", 1000), strings.Repeat("東", 300),
		} {
			x := filled(fieldText + "=" + string(elem.AppendText(nil, strings.ToValidUTF8(strings.ReplaceAll(text, "\x01", ""), ""))))
			_, ms, err := r.ask(stanza.Set, query(x))
			if err != nil || len(ms) > 0 {
				t.Errorf("%.40q: %d messages, %v", text, len(ms), err)
			}
		}
		_, _, err := r.ask(stanza.Set, query(filled(fieldText+"="+strings.Repeat("word ", 64<<10/5))))
		var se *stanza.Error
		if !errors.As(err, &se) || se.Condition != "policy-violation" {
			t.Errorf("64 KiB: %v", err)
		}
		for _, bad := range []string{"include-groupchat=maybe", "{urn:xmpp:fulltext:1}fulltext=x"} {
			if _, _, err := r.ask(stanza.Set, query(filled(bad))); !errors.As(err, &se) {
				t.Errorf("%s: %v", bad, err)
			}
		}
		if _, ms, err := r.ask(stanza.Set, query(filled(fieldText+"=report"))); err != nil || len(ms) != 1 {
			t.Errorf("afterwards: %d messages, %v", len(ms), err)
		}
	})
}

// full fills the log up to the end of the block after n more, with what nobody looks for.
func full(t *testing.T, a *Archive, blocks int64) {
	t.Helper()
	_, end := search.Bounds(search.BlockOf(int64(a.Last())) + blocks)
	for int64(a.Last()) < end {
		es := make([]*Entry, min(1024, end-int64(a.Last())))
		for i := range es {
			es[i] = entry(bob, carol, "filler")
		}
		add(t, a, es...)
	}
}

// said is what a test knows of a message.
type said struct {
	pos   session.Pos
	text  string
	whose []string
	with  string
}

// Whether blocks are indexed or not, or half, a search finds what reading everything does, on every page, in both
// directions; so it is after a crash in the middle, and when content is erased while a block is made.
func TestSearch_isTheSameAcrossTheIndex(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := rand.New(rand.NewPCG(seed, 3))
		a, _ := open(t, db)
		people := []jid.JID{alice, bob, carol}
		var all []said
		for len(all) < 2<<13+500 {
			es := make([]*Entry, 1000)
			for i := range es {
				from := people[r.IntN(3)]
				to := people[r.IntN(3)].Bare()
				text := fmt.Sprintf("w%d w%d 東%c", r.IntN(300), r.IntN(300), rune(0x4e00+r.IntN(40)))
				es[i] = entry(from, to, text)
				if from.Bare() == to {
					es[i].Views = es[i].Views[:1]
				}
				all = append(all, said{0, text, []string{from.Bare().String(), to.String()}, Pair(from, to)})
			}
			add(t, a, es...)
			for i := range es {
				all[len(all)-1000+i].pos = es[i].Pos
			}
		}
		check := func(when string) {
			t.Helper()
			for range 5 {
				text := []string{"w%d", "w%d w7", "東丁", "京", "w%d*"}[r.IntN(5)]
				if strings.Contains(text, "%") {
					text = fmt.Sprintf(text, r.IntN(300))
				}
				q := Query{Owner: alice.Bare(), Text: wanted(t, text), Max: 20 + r.IntN(200), Backwards: r.IntN(2) == 0}
				if r.IntN(2) == 0 {
					q.With = bob
				}
				compare(t, a, when+": "+text, q, all)
			}
		}
		check("nothing is indexed")
		// A crash in the middle of a block: some of its rows are there.
		b, erased, err := readWords(t.Context(), db, int64(a.Last()))
		if err != nil || b == nil {
			t.Fatal(b, err)
		}
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return search.Put(tx, b.Number, b.Rows()[3:9]) }); err != nil {
			t.Fatal(err)
		}
		check("a block is begun")
		// Content is erased between reading a block and writing it.
		erase := func(i int) {
			t.Helper()
			if err := db.Write(t.Context(), func(tx *store.Tx) error { return EraseContent(tx, all[i].pos) }); err != nil {
				t.Fatal(err)
			}
			all[i].text = ""
		}
		erase(5)
		if err := writeWords(t.Context(), db, b, erased); !errors.Is(err, errErased) {
			t.Errorf("writing what was erased: %v", err)
		}
		check("a block is begun, something in it erased")
		for more := true; more; {
			if more, err = NewWords(a).block(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		check("indexed")
		erase(7)
		erase(9000)
		erase(len(all) - 1)
		check("indexed, something erased")
		if err := Reword(t.Context(), db, func(done, all int64) {
			if done > all {
				t.Errorf("%d of %d", done, all)
			}
		}); err != nil {
			t.Fatal(err)
		}
		check("indexed anew")
	})
}

func compare(t *testing.T, a *Archive, what string, q Query, all []said) {
	t.Helper()
	var rd search.Reader
	var want, got []session.Pos
	for _, s := range all {
		if slices.Contains(s.whose, q.Owner.String()) && (q.With.IsZero() || s.with == Pair(q.Owner, q.With)) &&
			s.text != "" && q.Text.Matches(&rd, []byte("<message><body>"+s.text+"</body></message>")) {
			want = append(want, s.pos)
		}
	}
	for pages := 0; ; pages++ {
		p := read(t, a, q)
		page := make([]session.Pos, len(p.Messages))
		for i := range p.Messages {
			page[i] = p.Messages[i].Pos
		}
		if q.Backwards {
			got = append(page, got...)
		} else {
			got = append(got, page...)
		}
		if p.Complete {
			break
		}
		if len(page) == 0 || pages > len(want) || p.Unstable {
			t.Fatalf("%s: an empty page that is not the last, or unstable: %v", what, p.Unstable)
		}
		if q.Backwards {
			q.Before = page[0]
		} else {
			q.After = page[len(page)-1]
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d found, want %d\n%v\n%v", what, len(got), len(want), got, want)
	}
}

// The index is made by itself, of what was there before too; its end is on disk.
func TestWords_catchesUp(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		add(t, a, entry(alice, bob, "needle"))
		full(t, a, 0)
		// As records older than the column are.
		if err := db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(`UPDATE record SET views = NULL`); return err }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- NewWords(a).Run(ctx, slog.New(slog.DiscardHandler)) }()
		searched := func() (n int64) {
			if err := db.Read(t.Context(), func(tx *store.Tx) (err error) { n, err = mark(tx, markSearched); return err }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for deadline := time.Now().Add(time.Minute); searched() == 0 && time.Now().Before(deadline); {
			_ = read(t, a, Query{Owner: alice.Bare(), Text: wanted(t, "needle"), Max: 10}) // takes its time
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := searched(); n != int64(a.Last()) {
			t.Errorf("indexed up to %d of %d", n, a.Last())
		}
		for _, who := range []jid.JID{alice.Bare(), bob} {
			if p := read(t, a, Query{Owner: who, Text: wanted(t, "needle"), Max: 10}); len(p.Messages) != 1 || !p.Complete {
				t.Errorf("%s: %+v", who, p)
			}
		}
		if p := read(t, a, Query{Owner: carol, Text: wanted(t, "needle"), Max: 10}); len(p.Messages) != 0 {
			t.Errorf("carol: %+v", p)
		}
	})
}

// Whoever has a removed account's address next finds nothing of its messages, indexed or not.
func TestSearch_respectsFloorAndTombstones(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		room := jid.MustParse("cave@rooms.x.test")
		say := func(text string) *Entry {
			return &Entry{Conversation: room.String(), Sender: alice, Recipient: room, Views: []View{{room, Shown}},
				Stanza: []byte(`<message from="cave@rooms.x.test/al"><body>` + text + `</body></message>`)}
		}
		add(t, a, entry(alice, bob, "needle one"), say("needle two"), say("needle three"))
		early := say("needle four")
		add(t, a, early)
		for _, indexed := range []bool{false, true} {
			if indexed {
				full(t, a, 0)
				if more, err := NewWords(a).block(t.Context()); !more || err != nil {
					t.Fatal(more, err)
				}
			} else if err := db.Write(t.Context(), func(tx *store.Tx) error {
				return Bury(tx, room, 2, []byte(`<message from="cave@rooms.x.test/al"><retracted xmlns="urn:xmpp:message-retract:1"/></message>`))
			}); err != nil {
				t.Fatal(err)
			}
			found := func(q Query) (out string) {
				q.Owner, q.Text, q.Max = room, wanted(t, "needle"), 10
				p, err := a.ReadRoom(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range p.Messages {
					out += fmt.Sprintf("%d %s ", k.Pos, k.Sender)
				}
				return out
			}
			if got := found(Query{}); got != "3 alice@x.test/phone 4 alice@x.test/phone " {
				t.Errorf("indexed %v: the room: %s", indexed, got)
			}
			if got := found(Query{Floor: 3}); got != "4 alice@x.test/phone " {
				t.Errorf("indexed %v: a room that began later: %s", indexed, got)
			}
			if got := found(Query{With: bob}); got != "" {
				t.Errorf("indexed %v: by bob: %s", indexed, got)
			}
			if got := found(Query{With: alice.Bare(), Backwards: true}); got != "3 alice@x.test/phone 4 alice@x.test/phone " {
				t.Errorf("indexed %v: by alice: %s", indexed, got)
			}
			if p := read(t, a, Query{Owner: bob, Text: wanted(t, "needle"), Max: 10}); len(p.Messages) != 1 {
				t.Errorf("indexed %v: bob: %+v", indexed, p)
			}
		}
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return a.Forget(tx, bob) }); err != nil {
			t.Fatal(err)
		}
		if p := read(t, a, Query{Owner: bob, Text: wanted(t, "needle"), Max: 10}); len(p.Messages) != 0 {
			t.Errorf("the next bob: %+v", p)
		}
	})
}

// What is erased is nowhere in the index, and the record's place stays.
func TestEraseContent_takesTheWords(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		add(t, a, entry(alice, bob, "xylophone"), entry(alice, bob, "other"))
		full(t, a, 0)
		if more, err := NewWords(a).block(t.Context()); !more || err != nil {
			t.Fatal(more, err)
		}
		holds := func() (yes bool) {
			err := db.Read(t.Context(), func(tx *store.Tx) error {
				return tx.Each(func(row store.RowScanner) error {
					var first, list []byte
					err := row.Scan(&first, &list)
					yes = yes || bytes.Contains(append(first, list...), []byte("xylo"))
					return err
				}, `SELECT first, list FROM word`)
			})
			if err != nil {
				t.Fatal(err)
			}
			return yes
		}
		if !holds() {
			t.Fatal("the index does not have the word")
		}
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return EraseContent(tx, 1) }); err != nil {
			t.Fatal(err)
		}
		if holds() {
			t.Error("the word is still in the index")
		}
		if p := read(t, a, Query{Owner: bob, Text: wanted(t, "other"), Max: 10}); len(p.Messages) != 1 {
			t.Errorf("%+v", p)
		}
		err := db.Write(t.Context(), func(tx *store.Tx) error { return EraseContent(tx, 1<<40) })
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("no such record: %v", err)
		}
	})
}
