package transfer

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// item is one account's copy of a message on its way into the common order.
type item struct {
	key   int64 // the order: position if positions are kept, else time
	seq   int64 // the order within a key: as read
	at    int64 // microseconds since 1970, UTC
	pos   int64 // 0: none
	owner string
	// sender is who wrote a message of a room, whose archive shows its nickname; "": it is no room's.
	sender string
	waits  bool // it waits for the owner; else it is in the owner's archive
	text   []byte
}

func (i *item) size() int { return len(i.text) + len(i.owner) + len(i.sender) + 64 }

func (i *item) compare(o *item) int {
	return cmp.Or(cmp.Compare(i.key, o.key), cmp.Compare(i.seq, o.seq))
}

// sorter brings any number of items into order with bounded memory: sorted runs
// go to disk and are merged.
type sorter struct {
	dir    string
	memory int
	items  []*item
	size   int
	runs   []string
	seq    int64
}

func (s *sorter) add(i *item) error {
	s.seq++
	i.seq = s.seq
	s.items = append(s.items, i)
	if s.size += i.size(); s.size < s.memory {
		return nil
	}
	return s.spill()
}

// spill writes what is in memory as a run.
func (s *sorter) spill() (err error) {
	if len(s.items) == 0 {
		return nil
	}
	slices.SortFunc(s.items, (*item).compare)
	f, err := os.CreateTemp(s.dir, "run-")
	if err != nil {
		return err
	}
	s.runs = append(s.runs, f.Name())
	w := bufio.NewWriterSize(f, 256<<10)
	for _, i := range s.items {
		if err = i.write(w); err != nil {
			break
		}
	}
	clear(s.items)
	s.items, s.size = s.items[:0], 0
	return errors.Join(err, w.Flush(), f.Close())
}

// each gives all items in order.
func (s *sorter) each(f func(*item) error) (err error) {
	if err := s.spill(); err != nil {
		return err
	}
	var h runHeap
	defer func() {
		for _, r := range h {
			err = errors.Join(err, r.f.Close())
		}
	}()
	for _, name := range s.runs {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		r := &run{f: file, r: bufio.NewReaderSize(file, 64<<10)}
		h = append(h, r)
		if err := r.next(); err != nil {
			return fmt.Errorf("run: %w", err) // a run has one item at least
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		r := h[0]
		if err := f(r.at); err != nil {
			return err
		}
		switch err := r.next(); {
		case err == io.EOF:
			heap.Pop(&h)
			if err := r.f.Close(); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			heap.Fix(&h, 0)
		}
	}
	return nil
}

// run is a sorted file being read.
type run struct {
	f  *os.File
	r  *bufio.Reader
	at *item
}

func (r *run) next() (err error) {
	r.at, err = readItem(r.r)
	return err
}

type runHeap []*run

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return h[i].at.compare(h[j].at) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	*h = (*h)[:last]
	return r
}

// write appends an item: numbers as varints, then owner, sender and text with their lengths.
func (i *item) write(w *bufio.Writer) error {
	var b []byte
	waits := int64(0)
	if i.waits {
		waits = 1
	}
	for _, n := range []int64{i.key, i.seq, i.at, i.pos, waits, int64(len(i.owner)), int64(len(i.sender)), int64(len(i.text))} {
		b = binary.AppendVarint(b, n)
	}
	b = append(append(append(b, i.owner...), i.sender...), i.text...)
	_, err := w.Write(b)
	return err
}

func readItem(r *bufio.Reader) (*item, error) {
	var n [8]int64
	for k := range n {
		v, err := binary.ReadVarint(r)
		if err != nil {
			if k > 0 && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		n[k] = v
	}
	b := make([]byte, n[5]+n[6]+n[7])
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	return &item{key: n[0], seq: n[1], at: n[2], pos: n[3], waits: n[4] == 1, owner: string(b[:n[5]]), sender: string(b[n[5] : n[5]+n[6]]), text: b[n[5]+n[6]:]}, nil
}
