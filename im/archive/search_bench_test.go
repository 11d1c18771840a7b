package archive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/search"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// BenchmarkSearch fills a data set with PARLANCE_SEARCH_MESSAGES messages (100,000) of 500 people, one of whom writes or gets a
// tenth of all, indexes it, and searches it. It reports the CPU of the index per message, its size, and how long a page takes.
func BenchmarkSearch(b *testing.B) {
	n, _ := strconv.Atoi(os.Getenv("PARLANCE_SEARCH_MESSAGES"))
	if n == 0 {
		n = 100_000
	}
	engines := []string{"sqlite", "postgresql"}
	if os.Getenv(storetest.SQLiteOnly) == "1" {
		engines = engines[:1]
	}
	for _, engine := range engines {
		b.Run(engine, func(b *testing.B) {
			dsn := "sqlite:" + filepath.Join(b.TempDir(), "parlance.db")
			if engine == "postgresql" {
				dsn = storetest.PostgreSQL(b)
			}
			benchmarkSearch(b, storetest.Open(b, dsn), n)
		})
	}
}

func cpu() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// writer makes messages of words that are as often as words are.
type writer struct {
	r     *rand.Rand
	zipf  *rand.Zipf
	words []string
}

func newWriter() *writer {
	r := rand.New(rand.NewPCG(1, 2))
	w := &writer{r: r, words: make([]string, 20_000)}
	for i := range w.words {
		word := make([]byte, 2+r.IntN(4)+min(5, i/40))
		for j := range word {
			word[j] = byte('a' + r.IntN(26))
		}
		w.words[i] = string(word)
	}
	w.zipf = rand.NewZipf(r, 1.1, 4, uint64(len(w.words)-1))
	return w
}

func (w *writer) word() string { return w.words[w.zipf.Uint64()] }

func (w *writer) text() string {
	var s []string
	for range 3 + w.r.IntN(14) {
		s = append(s, w.word())
	}
	return strings.Join(s, " ")
}

func (w *writer) person() jid.JID {
	if w.r.IntN(20) == 0 {
		return jid.MustParse("heavy@x.test")
	}
	return jid.MustParse(fmt.Sprintf("user%d@x.test", w.r.IntN(500)))
}

func (w *writer) message() *Entry {
	from, to := w.person(), w.person()
	e := entry(from, to, "")
	e.Stanza = []byte(`<message from="` + from.String() + `/desk" to="` + to.String() + `" type="chat" id="c1f0"><body>` + w.text() +
		`</body><active xmlns="http://jabber.org/protocol/chatstates"/><request xmlns="urn:xmpp:receipts"/><origin-id xmlns="urn:xmpp:sid:0" id="c1f0"/></message>`)
	if from == to {
		e.Views = e.Views[:1]
	}
	return e
}

func benchmarkSearch(b *testing.B, db *store.DB, n int) {
	if err := db.Migrate(b.Context(), []store.Migrations{Migrations(), search.Migrations()}); err != nil {
		b.Fatal(err)
	}
	a, err := Open(b.Context(), db, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	w := newWriter()
	var kept time.Duration // CPU of Append: what the index is to be compared with on a busy machine
	for range n / 1000 {
		es := make([]*Entry, 1000)
		for i := range es {
			es[i] = w.message()
		}
		began := cpu()
		if err := a.Append(b.Context(), es); err != nil {
			b.Fatal(err)
		}
		kept += cpu() - began
	}
	if err := a.indexAll(b.Context()); err != nil {
		b.Fatal(err)
	}
	began, wall := cpu(), time.Now()
	for more := true; more; {
		if more, err = NewWords(a).block(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	took, wallTook := cpu()-began, time.Since(wall)
	var size, searched int64
	err = db.Read(b.Context(), func(tx *store.Tx) (err error) {
		if searched, err = mark(tx, markSearched); err != nil {
			return err
		}
		return tx.Row(`SELECT COALESCE(SUM(LENGTH(first) + LENGTH(list) + 12), 0) FROM word`).Scan(&size)
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d of %d indexed: keeping %.2f, indexing %.2f µs CPU of this process each (%.0f a second), %.1f B each", searched, n, float64(kept.Nanoseconds())/1000/float64(n),
		float64(took.Nanoseconds())/1000/float64(searched), float64(searched)/wallTook.Seconds(), float64(size)/float64(searched))
	kinds := []struct {
		name string
		make func() Query
	}{
		{"one word, the newest page", func() Query { return Query{Text: parsed(w.word()), Backwards: true} }},
		{"one word, the first page", func() Query { return Query{Text: parsed(w.word())} }},
		{"two words", func() Query { return Query{Text: parsed(w.word() + " " + w.word()), Backwards: true} }},
		{"two words in a row", func() Query { return Query{Text: parsed(`"` + w.word() + " " + w.word() + `"`), Backwards: true} }},
		{"a rare word", func() Query { return Query{Text: parsed(w.words[w.r.IntN(len(w.words))]), Backwards: true} }},
		{"with one", func() Query { return Query{Text: parsed(w.word()), With: w.person(), Backwards: true} }},
		{"a word nobody said", func() Query { return Query{Text: parsed("nobodysaidthis"), Backwards: true} }},
	}
	for _, who := range []string{"user7@x.test", "heavy@x.test"} {
		for _, k := range kinds {
			b.Run(who+"/"+k.name, func(b *testing.B) {
				var took []time.Duration
				was := cpu()
				for b.Loop() {
					q := k.make()
					q.Owner, q.Max = jid.MustParse(who), 50
					began := time.Now()
					if _, err := a.Read(context.Background(), q); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(began))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
				b.ReportMetric(float64((cpu()-was).Microseconds())/1000/float64(len(took)), "cpu-ms")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func parsed(text string) *search.Query {
	q, err := search.Parse(text)
	if err != nil {
		return nil
	}
	return q
}
