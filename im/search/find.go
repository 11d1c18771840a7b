package search

import (
	"github.com/parlance-im/parlance/store"
)

// atOnce is how many blocks are looked at together.
const atOnce = 64

// Range is a part of the log: both ends inclusive.
type Range struct {
	From, To int64
	Down     bool // the newest first
}

// set is places of a block.
type set [blockSize / 64]uint64

func (s *set) put(at uint16)      { s[at>>6] |= 1 << (at & 63) }
func (s *set) has(at uint16) bool { return s[at>>6]&(1<<(at&63)) != 0 }

// Find calls f for the records of a range that belong to all scopes and may be answers, in order, until f
// wants no more. f may use tx.
func (q *Query) Find(tx *store.Tx, in Range, scopes [][]byte, f func(pos int64) (more bool, err error)) error {
	low, high := BlockOf(in.From), BlockOf(in.To)
	for low <= high {
		page, err := readBlocks(tx, low, high, in.Down)
		if err != nil || len(page) == 0 {
			return err
		}
		first, last := page[0].block, page[len(page)-1].block
		if in.Down {
			high, first, last = last-1, last, first
		} else {
			low = last + 1
		}
		found, err := q.candidates(tx, page, first, last, scopes)
		if err != nil {
			return err
		}
		for i := range page {
			if more, err := page[i].call(in, found[page[i].block], f); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// indexed is a block of the index.
type indexed struct {
	block int64
	rest  []byte
}

func readBlocks(tx *store.Tx, low, high int64, down bool) (out []indexed, err error) {
	text := sqlUp
	if down {
		text = sqlDown
	}
	err = tx.Each(func(row store.RowScanner) error {
		var b indexed
		err := row.Scan(&b.block, &b.rest)
		out = append(out, b)
		return err
	}, text, low, high, atOnce)
	return out, err
}

// call gives the places of a block to f, in order.
func (b *indexed) call(in Range, places *set, f func(pos int64) (bool, error)) (more bool, err error) {
	if places == nil {
		return true, nil
	}
	first, last := Bounds(b.block)
	for i := range int64(blockSize) {
		pos := first + i
		if in.Down {
			pos = last - i
		}
		at := uint16(pos & (blockSize - 1))
		if places[at>>6] == 0 || !places.has(at) || pos < in.From || pos > in.To {
			continue
		}
		if more, err := f(pos); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// candidates looks a query up in some blocks.
func (q *Query) candidates(tx *store.Tx, page []indexed, first, last int64, scopes [][]byte) (map[int64]*set, error) {
	var found map[int64]*set
	for i, s := range scopes {
		got, err := lists(tx, first, last, exactly(s))
		if err != nil {
			return nil, err
		}
		if found = both(found, got, i == 0); len(found) == 0 {
			return nil, nil
		}
	}
	if q.Empty() {
		return nil, nil
	}
	words := map[int64]*set{}
	for i, t := range q.terms() {
		got, err := lists(tx, first, last, t)
		if err != nil {
			return nil, err
		}
		words = both(words, got, i == 0)
		if len(words) == 0 {
			break
		}
	}
	for i := range page { // what was not taken word by word may be an answer all the same
		if len(page[i].rest) == 0 {
			continue
		}
		s := words[page[i].block]
		if s == nil {
			s = new(set)
			words[page[i].block] = s
		}
		list, _, ok := field(page[i].rest)
		if !ok {
			return nil, errPack
		}
		if err := readList(list, s.put); err != nil {
			return nil, err
		}
	}
	return both(found, words, len(scopes) == 0), nil
}

// both is what is in a and b; a does not count if b is the first.
func both(a, b map[int64]*set, first bool) map[int64]*set {
	if first {
		return b
	}
	for block, s := range a {
		other, any := b[block], uint64(0)
		if other != nil {
			for i := range s {
				s[i] &= other[i]
				any |= s[i]
			}
		}
		if any == 0 {
			delete(a, block)
		}
	}
	return a
}

// lists reads in which records of some blocks a term is.
func lists(tx *store.Tx, first, last int64, t term) (map[int64]*set, error) {
	out := make(map[int64]*set)
	err := tx.Each(func(row store.RowScanner) error {
		var block int64
		var list []byte
		if err := row.Scan(&block, &list); err != nil {
			return err
		}
		var bad error
		err := each(list, func(word, list []byte) bool {
			if string(word) < string(t.low) {
				return true
			}
			if string(word) >= string(t.end) {
				return false
			}
			s := out[block]
			if s == nil {
				s = new(set)
				out[block] = s
			}
			bad = readList(list, s.put)
			return bad == nil
		})
		if err == nil {
			err = bad
		}
		return err
	}, sqlLists, first, last, t.low, t.end, atOnce)
	return out, err
}
