package search

import (
	"bytes"
	"errors"
	"strings"
)

// Bounds of a query (HARDENING I9).
const (
	maxQuery = 1024 // bytes
	maxTerms = 24   // words that are looked up; more are only compared
)

// ErrLong says that a query is longer than anything a person asks for.
var ErrLong = errors.New("search: the query is too long")

// Query is what somebody looks for: parts, each of which a message has to have. Its syntax is small and has no errors:
// words between spaces, in any order; "words in quotes" next to each other; wor* for words that begin so.
type Query struct{ parts []part }

// part is words that stand next to each other.
type part struct {
	words  [][]byte
	prefix bool // the last is the beginning of a word
}

// Parse reads a query. Whatever is no word separates words, so that no other syntax can be in it.
func Parse(text string) (*Query, error) {
	if len(text) > maxQuery {
		return nil, ErrLong
	}
	q := new(Query)
	for i, quoted := range strings.Split(text, `"`) {
		if i%2 == 1 {
			q.add(quoted)
			continue
		}
		for chunk := range strings.FieldsSeq(quoted) {
			q.add(chunk)
		}
	}
	return q, nil
}

// add takes words that belong together.
func (q *Query) add(text string) {
	var w words
	w.add([]byte(text))
	n := len(w.list)
	if n == 0 {
		return
	}
	p := part{prefix: strings.HasSuffix(text, "*")}
	last := w.list[n-1]
	if n > 1 && last.end == w.list[n-2].end { // the tail of a run of characters says nothing its pair does not
		n--
	} else if oneUnspaced(w.buf[last.start:last.end]) {
		p.prefix = true // one character: whatever follows it
	}
	for i := range n {
		p.words = append(p.words, bytes.Clone(w.word(i)))
	}
	q.parts = append(q.parts, p)
}

func oneUnspaced(word []byte) bool {
	r := bytes.Runes(word)
	return len(r) == 1 && kind(r[0]) == unspaced
}

// Empty says that there is no word in it: no message is an answer.
func (q *Query) Empty() bool { return len(q.parts) == 0 }

// Matches says whether a stored message is an answer.
func (q *Query) Matches(r *Reader, message []byte) bool {
	r.read(message)
	for i := range q.parts {
		if !q.parts[i].in(&r.words) {
			return false
		}
	}
	return len(q.parts) > 0
}

func (p *part) in(w *words) bool {
	for i := 0; i+len(p.words) <= len(w.list); i++ {
		if p.at(w, i) {
			return true
		}
	}
	return false
}

func (p *part) at(w *words, i int) bool {
	for j, want := range p.words {
		have := w.word(i + j)
		if p.prefix && j == len(p.words)-1 && bytes.HasPrefix(have, want) {
			continue
		}
		if !bytes.Equal(have, want) {
			return false
		}
	}
	return true
}

// term is what the index is asked for: every word from low up to and without end.
type term struct{ low, end []byte }

func exactly(word []byte) term { return term{word, append(bytes.Clone(word), 0)} }

// beginning is the words that begin so; 0xff is in no word.
func beginning(word []byte) term { return term{word, append(bytes.Clone(word), 0xff)} }

// terms are a query's words, longest first: they are in the fewest messages.
func (q *Query) terms() (out []term) {
	seen := make(map[string]bool)
	for _, p := range q.parts {
		for j, word := range p.words {
			prefix := p.prefix && j == len(p.words)-1
			key := string(word)
			if prefix {
				key += "*"
			}
			if seen[key] || len(out) == maxTerms {
				continue
			}
			seen[key] = true
			if prefix {
				out = append(out, beginning(word))
			} else {
				out = append(out, exactly(word))
			}
		}
	}
	return out
}
