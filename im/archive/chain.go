package archive

import (
	"cmp"
	"maps"
	"slices"

	"github.com/parlance-im/parlance/im/session"
)

// chains keeps rows by key, each key's in the order they came. All rows stand in
// one block, so that thousands of keys cost no allocation each.
type chains[K cmp.Ordered] struct {
	ends map[K]ends
	rows []row
	keys []K // sorted, once the run is written; nil before
}

type ends struct{ first, last int32 }

// row is a view of an owner (n: its flags) or a place in a conversation (n: its sequence).
type row struct {
	pos  session.Pos
	conv int64
	n    int64
	next int32 // -1: none
}

func newChains[K cmp.Ordered]() chains[K] { return chains[K]{ends: make(map[K]ends)} }

// add appends to a key's rows; clone makes the key safe to keep.
func (c *chains[K]) add(key K, r row, clone func(K) K) {
	r.next = -1
	at := int32(len(c.rows))
	c.rows = append(c.rows, r)
	e, known := c.ends[key]
	if known {
		c.rows[e.last].next = at
	} else {
		key, e.first = clone(key), at
	}
	e.last = at
	c.ends[key] = e
}

// each calls f for a key's rows until it says false.
func (c *chains[K]) each(key K, f func(*row) bool) {
	e, known := c.ends[key]
	if !known {
		return
	}
	for i := e.first; i >= 0; i = c.rows[i].next {
		if !f(&c.rows[i]) {
			return
		}
	}
}

// last is a key's newest row; nil if it has none.
func (c *chains[K]) last(key K) *row {
	e, known := c.ends[key]
	if !known {
		return nil
	}
	return &c.rows[e.last]
}

// drop takes a key's rows up to a position off, if they are there still.
func (c *chains[K]) drop(key K, upto session.Pos) {
	e, known := c.ends[key]
	if !known {
		return
	}
	for e.first >= 0 && c.rows[e.first].pos <= upto {
		e.first = c.rows[e.first].next
	}
	if e.first < 0 {
		delete(c.ends, key)
	} else {
		c.ends[key] = e
	}
}

// sort fixes the order in which the keys are written.
func (c *chains[K]) sort() {
	c.keys = slices.AppendSeq(c.keys[:0], maps.Keys(c.ends))
	slices.Sort(c.keys)
}

// cut calls f for at most n rows, key by key, and returns how many are left of n.
func (c *chains[K]) cut(n int, f func(K, *row)) int {
	for _, k := range c.keys {
		c.each(k, func(r *row) bool {
			if n == 0 {
				return false
			}
			n--
			f(k, r)
			return true
		})
		if n == 0 {
			return 0
		}
	}
	return n
}

// trim forgets the keys at the front that have no rows any more.
func (c *chains[K]) trim() {
	n := 0
	for ; n < len(c.keys); n++ {
		if _, left := c.ends[c.keys[n]]; left {
			break
		}
	}
	c.keys = c.keys[n:]
}

// reset empties it and keeps its memory.
func (c *chains[K]) reset() {
	clear(c.ends)
	c.rows, c.keys = c.rows[:0], nil
}
