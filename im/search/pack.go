package search

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
)

const (
	blockShift = 13
	blockSize  = 1 << blockShift
	packSize   = 2048 // a row is begun anew beyond
	// What is taken of one message, and of a block: whoever writes more is found by reading.
	maxWords    = 2048
	maxPostings = 1 << 20
)

// BlockOf is the block of a position, Bounds the first and last position of a block.
func BlockOf(pos int64) int64 { return pos >> blockShift }

// Bounds is BlockOf's inverse.
func Bounds(block int64) (first, last int64) {
	return block << blockShift, (block+1)<<blockShift - 1
}

// Owner and Conversation are scopes: words that no text has, for whose archive a record is in and to
// which conversation it belongs.
func Owner(bare string) []byte { return scope('o', bare) }

// Conversation is the scope of a conversation's number.
func Conversation(id int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{0, 'c'}, uint64(id))
}

func scope(kind byte, text string) []byte {
	return append([]byte{0, kind}, text[:min(len(text), maxWord)]...)
}

// Block is the index of one block in the making.
type Block struct {
	Number int64
	index  map[string]int32 // of words
	words  []chain
	places []place // of all words, in the order they came
	rest   []uint16
	r      *Reader
}

// chain is a word and its places, which grow without a list of their own.
type chain struct {
	word        string
	n           int
	first, last int32
}

type place struct {
	next int32
	at   uint16
}

// NewBlock makes an empty one.
func NewBlock(number int64, r *Reader) *Block {
	return &Block{Number: number, index: make(map[string]int32, blockSize), words: make([]chain, 0, blockSize), places: make([]place, 0, 12*blockSize), r: r}
}

// Add takes a record; they come in order.
func (b *Block) Add(pos int64, message []byte, scopes ...[]byte) {
	at := uint16(pos & (blockSize - 1))
	for _, s := range scopes {
		b.put(s, at)
	}
	b.r.read(message)
	w := &b.r.words
	if len(w.list) > maxWords || len(b.places) > maxPostings {
		b.rest = append(b.rest, at)
		return
	}
	for i := range w.list {
		if word := w.word(i); len(word) > 0 {
			b.put(word, at)
		}
	}
}

func (b *Block) put(word []byte, at uint16) {
	here := int32(len(b.places))
	i, known := b.index[string(word)]
	if !known {
		w := string(word)
		b.index[w] = int32(len(b.words))
		b.words = append(b.words, chain{w, 1, here, here})
		b.places = append(b.places, place{at: at})
		return
	}
	c := &b.words[i]
	if b.places[c.last].at == at {
		return
	}
	b.places[c.last].next = here
	b.places = append(b.places, place{at: at})
	c.last = here
	c.n++
}

// Row is a row of the table word.
type Row struct{ First, List []byte }

// Rows are the block's, sorted. It takes no more records then.
func (b *Block) Rows() []Row {
	slices.SortFunc(b.words, func(x, y chain) int { return strings.Compare(x.word, y.word) })
	p := packer{}
	var list []uint16
	for i := range b.words {
		c := &b.words[i]
		list = list[:0]
		for at, n := c.first, c.n; n > 0; n-- {
			list = append(list, b.places[at].at)
			at = b.places[at].next
		}
		p.add([]byte(c.word), list)
	}
	return p.rows
}

// packer writes rows: an entry is how much of the word before it shares, the rest of it,
// and its records as distances.
type packer struct {
	rows []Row
	last []byte
}

func (p *packer) add(word []byte, list []uint16) {
	n := len(p.rows)
	if n == 0 || len(p.rows[n-1].List) > packSize {
		p.rows = append(p.rows, Row{First: word, List: make([]byte, 0, packSize+packSize/4)})
		p.last = nil
		n++
	}
	r := &p.rows[n-1]
	shared := 0
	for shared < min(len(p.last), len(word)) && p.last[shared] == word[shared] {
		shared++
	}
	r.List = binary.AppendUvarint(r.List, uint64(shared))
	r.List = binary.AppendUvarint(r.List, uint64(len(word)-shared))
	r.List = append(r.List, word[shared:]...)
	r.List = appendList(r.List, list)
	p.last = word
}

// appendList writes records as distances, behind their length in bytes.
func appendList(dst []byte, list []uint16) []byte {
	var size, was int
	for _, at := range list {
		size += uvarintLen(int(at) - was)
		was = int(at)
	}
	dst = binary.AppendUvarint(dst, uint64(size))
	was = 0
	for _, at := range list {
		dst = binary.AppendUvarint(dst, uint64(int(at)-was))
		was = int(at)
	}
	return dst
}

func uvarintLen(n int) int {
	if n < 1<<7 {
		return 1
	}
	return 2 // a block has fewer than 2^14 places
}

var errPack = errors.New("search: a row of the index is damaged")

// each calls f for the words of a row, with their lists as written. The word is f's until it returns.
func each(row []byte, f func(word, list []byte) (more bool)) error {
	var word []byte
	for len(row) > 0 {
		shared, n := binary.Uvarint(row)
		if n <= 0 || shared > uint64(len(word)) {
			return errPack
		}
		row = row[n:]
		suffix, rest, ok := field(row)
		if !ok {
			return errPack
		}
		list, rest, ok := field(rest)
		if !ok {
			return errPack
		}
		word = append(word[:shared], suffix...)
		if !f(word, list) {
			return nil
		}
		row = rest
	}
	return nil
}

// field reads bytes with their length in front.
func field(b []byte) (is, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return nil, nil, false
	}
	return b[k : k+int(n)], b[k+int(n):], true
}

// readList calls f for the places of a list.
func readList(list []byte, f func(at uint16)) error {
	var at uint64
	for len(list) > 0 {
		d, n := binary.Uvarint(list)
		if n <= 0 {
			return errPack
		}
		if at += d; at >= blockSize {
			return errPack
		}
		f(uint16(at))
		list = list[n:]
	}
	return nil
}
