package search

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func wordsOf(texts ...string) string {
	var w words
	for _, t := range texts {
		w.add([]byte(t))
	}
	var out []string
	for i := range w.list {
		out = append(out, string(w.word(i)))
	}
	return strings.Join(out, "|")
}

func TestWords_table(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{" ,.!? ", ""},
		{"Hello, World", "hello|world"},
		{"don't @foo-bar_baz2", "don|t|foo|bar|baz2"},
		{"Crème BRÛLÉE", "creme|brulee"},
		{"Straße STRASSE", "strasse|strasse"},
		{"ＡＢＣ１２", "abc12"},
		{"Ёлка ЁЛКА", "елка|елка"},
		{"Ἀθῆναι", "αθηναι"},
		{"東京", "東京|京"},
		{"東京都", "東京|京都|都"},
		{"東", "東"},
		{"東京tower", "東京|京|tower"},
		{"カメラ ｶﾒﾗ", "カメ|メラ|ラ|カメ|メラ|ラ"},
		{"がか", "がか|か"}, // voiced and not voiced differ
		{"한국어", "한국|국어|어"},
		{"สวัสดี", "สว|วั|ัส|สด|ดี|ี"},
		{"مَرْحَبًا مرحبا", "مرحبا|مرحبا"},
		{"ok 👍🏽 👍", "ok|👍|👍"},
		{"co\u00adop", "coop"},
		{"İstanbul", "istanbul"},
		{"\xff\xfeabc", "abc"},
		{strings.Repeat("x", 60), strings.Repeat("x", maxWord)},
	}
	for _, tt := range tests {
		if got := wordsOf(tt.text); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
	if got := wordsOf("a b", "c"); got != "a|b||c" {
		t.Errorf("two texts: %q", got)
	}
}

func body(text string) []byte { return []byte("<message><body>" + text + "</body></message>") }

// XEP-0431 §2.2 leaves the meaning to us: this is it.
func TestQuery_matches(t *testing.T) {
	tests := []struct {
		query, text string
		want        bool
	}{
		{"hello", "Hello, World", true},
		{"world hello", "Hello, World", true},
		{"hell", "Hello, World", false},
		{"hell*", "Hello, World", true},
		{`"hello world"`, "Hello, World", true},
		{`"world hello"`, "Hello, World", false},
		{`"hello wor*`, "Hello, World", true}, // a quote that does not end
		{`"hello wor*"`, "Hello, World", true},
		{"foo-bar", "foo bar", true},
		{"foo-bar", "bar foo", false},
		{"creme brulee", "Crème brûlée!", true},
		{"ÉCOLE", "l'ecole", true},
		{"京", "東京都", true},
		{"都", "東京都", true},
		{"東京", "東京都", true},
		{"京都", "東京都", true},
		{"東都", "東京都", false},
		{"東京都", "東京 京都", false}, // both pairs, not in a row
		{"東京 都", "京都と東京", true},
		{"tower", "東京tower", true},
		{"東京tower", "東京tower!", true},
		{"メラ", "ｶﾒﾗ", true},
		{"👍", "fine 👍🏽", true},
		{"", "anything", false},
		{"?!", "anything", false},
		{"AND OR NOT NEAR", "and or not near", true},
		{"hello OR nothing", "hello", false},
		{"amp", "&amp;amp;", true},
		{"x", "a<!-- x -->", false},
	}
	for _, tt := range tests {
		q, err := Parse(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		var r Reader
		if got := q.Matches(&r, body(tt.text)); got != tt.want {
			t.Errorf("%q in %q: %v", tt.query, tt.text, got)
		}
	}
}

func TestParse_tooLong(t *testing.T) {
	if _, err := Parse(strings.Repeat("x ", 32<<10)); !errors.Is(err, ErrLong) {
		t.Errorf("64 KiB: %v", err)
	}
	q, err := Parse(strings.Repeat("a1 b2 c3 d4 e5 f6 ", 50))
	if err != nil || len(q.terms()) != 6 {
		t.Errorf("repeated words: %d terms, %v", len(q.terms()), err)
	}
}

// What of a message is its text.
func TestReader_takesText(t *testing.T) {
	tests := []struct{ name, message, want string }{
		{"bodies, a subject", `<message><subject>Sub</subject><body>one</body><body xml:lang="de">eins</body></message>`, "sub||one||eins"},
		{"with references and CDATA", `<message><body>a&amp;b &#x43;<![CDATA[ <d>]]></body></message>`, "a|b|c|d"},
		{"not what is beside", `<message><body>x</body><html xmlns="http://jabber.org/protocol/xhtml-im"><body xmlns="http://www.w3.org/1999/xhtml">y</body></html></message>`, "x"},
		{"in a prefixed form", `<message xmlns:j="jabber:client"><j:body>x</j:body></message>`, "x"},
		{"a quoted message (XEP-0461, XEP-0428 §2.2)", `<message><body>&gt; alt
neu</body><fallback xmlns="urn:xmpp:fallback:0" for="urn:xmpp:reply:0"><body start="0" end="6"/></fallback></message>`, "neu"},
		{"all of it stands in", `<message><body>reacted</body><fallback xmlns="urn:xmpp:fallback:0" for="urn:xmpp:reactions:0"><body/></fallback></message>`, ""},
		{"all of it, short", `<message><body>reacted</body><fallback xmlns="urn:xmpp:fallback:0"/></message>`, ""},
		{"of the subject only", `<message><subject>s</subject><body>b</body><fallback xmlns="urn:xmpp:fallback:0"><subject/></fallback></message>`, "b"},
		{"a range that is none", `<message><body>b</body><fallback xmlns="urn:xmpp:fallback:0"><body start="-4" end="x"/></fallback></message>`, ""},
		{"encrypted", `<message><body>I sent you an encrypted message</body><encryption xmlns="urn:xmpp:eme:0" namespace="x"/></message>`, ""},
		{"a file's name", `<message><file-sharing xmlns="urn:xmpp:sfs:0"><file xmlns="urn:xmpp:file:metadata:0"><name>plan.pdf</name><desc>for May</desc></file></file-sharing></message>`, "plan|pdf||for|may"},
		{"damaged", `<message><body>one</body>`, ""},
		{"no message", `\x00`, ""},
	}
	var r Reader
	for _, tt := range tests {
		r.read([]byte(tt.message))
		var out []string
		for i := range r.words.list {
			out = append(out, string(r.words.word(i)))
		}
		if got := strings.Join(out, "|"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("<message><body>x</body></message>"), "x")
	f.Add([]byte("<message><body>東京</body><fallback xmlns='urn:xmpp:fallback:0'><body start='1' end='99999999999999999999'/></fallback></message>"), `"東*`)
	f.Fuzz(func(t *testing.T, message []byte, query string) {
		q, err := Parse(query)
		if err != nil {
			return
		}
		var r Reader
		q.Matches(&r, message)
		b := NewBlock(0, &r)
		b.Add(1, message)
		for _, row := range b.Rows() {
			if err := each(row.List, func(_, list []byte) bool { return readList(list, func(uint16) {}) == nil }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzPack(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 1, 5})
	f.Fuzz(func(_ *testing.T, row []byte) {
		_ = each(row, func(_, list []byte) bool { return readList(list, func(uint16) {}) == nil })
	})
}

// library is messages of chance and what a search of them has to find.
type library struct {
	texts map[int64]string
	whose map[int64]string
}

func newLibrary(r *rand.Rand, blocks int64, each int) *library {
	l := &library{map[int64]string{}, map[int64]string{}}
	for b := range blocks {
		for range each {
			pos := b<<blockShift + r.Int64N(blockSize)
			var s []string
			for range 1 + r.IntN(8) {
				s = append(s, fmt.Sprintf("w%d", int(r.ExpFloat64()*20)))
			}
			l.texts[pos], l.whose[pos] = strings.Join(s, " "), fmt.Sprintf("u%d@x.test", r.IntN(5))
		}
	}
	return l
}

func (l *library) write(t *testing.T, db *store.DB) {
	t.Helper()
	var all []int64
	for pos := range l.texts {
		all = append(all, pos)
	}
	slices.Sort(all)
	var b *Block
	done := func() {
		if b == nil {
			return
		}
		if err := db.Write(t.Context(), func(tx *store.Tx) error {
			return errors.Join(Begin(tx, b.Number), Put(tx, b.Number, b.Rows()), b.Done(tx))
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, pos := range all {
		if b == nil || b.Number != BlockOf(pos) {
			done()
			b = NewBlock(BlockOf(pos), new(Reader))
		}
		b.Add(pos, body(l.texts[pos]), Owner(l.whose[pos]), Conversation(pos%3))
	}
	done()
}

func find(t *testing.T, db *store.DB, query string, in Range, scopes ...[]byte) (out []int64) {
	t.Helper()
	q, err := Parse(query)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Read(t.Context(), func(tx *store.Tx) error {
		return q.Find(tx, in, scopes, func(pos int64) (bool, error) {
			out = append(out, pos)
			return true, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The index names what reading everything finds, in order, both ways, within any range.
func TestFind_asReadingDoes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(seed, 1))
		l := newLibrary(r, 70, 40)
		l.write(t, db)
		for range 60 {
			query := fmt.Sprintf("w%d", r.IntN(60))
			if r.IntN(2) == 0 {
				query += fmt.Sprintf(" w%d", r.IntN(30))
			}
			if r.IntN(3) == 0 {
				query += "*"
			}
			who, conv := fmt.Sprintf("u%d@x.test", r.IntN(6)), r.Int64N(4)
			in := Range{From: r.Int64N(80 << blockShift), To: r.Int64N(80 << blockShift), Down: r.IntN(2) == 0}
			q, _ := Parse(query)
			var rd Reader
			var want []int64
			for pos, text := range l.texts {
				if pos >= in.From && pos <= in.To && l.whose[pos] == who && pos%3 == conv && q.Matches(&rd, body(text)) {
					want = append(want, pos)
				}
			}
			slices.Sort(want)
			if in.Down {
				slices.Reverse(want)
			}
			if got := find(t, db, query, in, Owner(who), Conversation(conv)); !slices.Equal(got, want) {
				t.Fatalf("%q of %s in %+v: %v, want %v", query, who, in, got, want)
			}
		}
	})
}

// A message of more words than are taken is a candidate always.
func TestFind_restIsNamed(t *testing.T) {
	db := storetest.SQLite(t)
	if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
		t.Fatal(err)
	}
	b := NewBlock(2, new(Reader))
	first, _ := Bounds(2)
	b.Add(first+7, body(strings.Repeat("many words ", maxWords)+"needle"), Owner("a@x"))
	b.Add(first+9, body("needle"), Owner("a@x"))
	b.Add(first+11, body("needle"), Owner("b@x"))
	if err := db.Write(t.Context(), func(tx *store.Tx) error { return errors.Join(Put(tx, 2, b.Rows()), b.Done(tx)) }); err != nil {
		t.Fatal(err)
	}
	if got := find(t, db, "needle", Range{0, 1 << 40, false}, Owner("a@x")); !slices.Equal(got, []int64{first + 7, first + 9}) {
		t.Errorf("got %v", got)
	}
	if got := find(t, db, "?", Range{0, 1 << 40, false}, Owner("a@x")); got != nil {
		t.Errorf("a query without words: %v", got)
	}
}

// Erased words are in no row any more, be they the first of theirs or not; the others stay.
func TestErase_leavesNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(seed, 2))
		l := newLibrary(r, 2, 300)
		var secret []int64
		for pos := range l.texts {
			if len(secret) < 40 {
				secret = append(secret, pos)
				for range 5 {
					l.texts[pos] += fmt.Sprintf(" %cq%dsecret", 'a'+r.IntN(26), r.IntN(1000))
				}
			}
		}
		l.write(t, db)
		if n := len(find(t, db, "w1", Range{0, 1 << 40, false})); n == 0 {
			t.Fatal("nothing to find")
		}
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			for _, pos := range secret {
				if err := Erase(tx, pos, body(l.texts[pos])); err != nil {
					return err
				}
				delete(l.texts, pos)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Read(t.Context(), func(tx *store.Tx) error {
			return tx.Each(func(row store.RowScanner) error {
				var first, list []byte
				if err := row.Scan(&first, &list); err != nil {
					return err
				}
				if bytes.Contains(first, []byte("secret")) {
					t.Errorf("%q begins a row", first)
				}
				return each(list, func(w, _ []byte) bool {
					if bytes.Contains(w, []byte("secret")) {
						t.Errorf("%q is in the index", w)
					}
					return true
				})
			}, `SELECT first, list FROM word`)
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, query := range []string{"w0", "w1", "w7", "w30"} {
			q, _ := Parse(query)
			var rd Reader
			var want []int64
			for pos, text := range l.texts {
				if q.Matches(&rd, body(text)) {
					want = append(want, pos)
				}
			}
			slices.Sort(want)
			if got := find(t, db, query, Range{0, 1 << 40, false}); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
	})
}

func TestClear_takesAll(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		newLibrary(rand.New(rand.NewPCG(1, 1)), 40, 3).write(t, db)
		steps := 0
		for more := true; more; steps++ {
			if err := db.Write(t.Context(), func(tx *store.Tx) (err error) { more, err = Clear(tx); return err }); err != nil {
				t.Fatal(err)
			}
		}
		var n int64
		err := db.Read(t.Context(), func(tx *store.Tx) error {
			return tx.Row(`SELECT (SELECT count(*) FROM word) + (SELECT count(*) FROM word_block)`).Scan(&n)
		})
		if n != 0 || err != nil || steps < 3 {
			t.Errorf("%d rows left after %d steps, %v", n, steps, err)
		}
	})
}

func BenchmarkBlock_add(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	texts := make([][]byte, blockSize)
	for i := range texts {
		var s []string
		for range 3 + r.IntN(14) {
			s = append(s, fmt.Sprintf("w%d", int(r.ExpFloat64()*1500)))
		}
		texts[i] = []byte(`<message from="alice@x.test/desk" to="bob@x.test" type="chat" id="c1f0"><body>` + strings.Join(s, " ") +
			`</body><active xmlns="http://jabber.org/protocol/chatstates"/><origin-id xmlns="urn:xmpp:sid:0" id="c1f0"/></message>`)
	}
	b.ReportAllocs()
	var rd Reader
	for b.Loop() {
		bl := NewBlock(0, &rd)
		for i, text := range texts {
			bl.Add(int64(i), text, Owner(fmt.Sprintf("u%d@x.test", i%500)), Conversation(int64(i%900)))
		}
		rows := bl.Rows()
		b.ReportMetric(float64(len(rows)), "rows")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/blockSize, "ns/message")
}
