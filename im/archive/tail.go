package archive

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/session"
)

// tail is what is on disk as records and not yet in the tables that find them:
// view, place and sending. Written with each message these would touch a page
// of their own four times; written in sorted runs of thousands, neighbours share
// a page. After a crash the tail is read back from the records behind the mark.
type tail struct {
	mu    sync.Mutex
	cur   *run // takes what is appended
	old   *run // is being written to the tables; nil: no run is under way
	spare *run // an empty one, for its memory; may be nil
	gen   int  // counts reloads: what was cut before one is not to be dropped after it
	piece cut  // what slice returns; there is one at a time
}

// run is the index rows of consecutive records.
type run struct {
	views    chains[string] // by owner
	places   chains[int64]  // by conversation
	sendings map[Sending]sent
	keys     []Sending // sorted, once the run is written
	records  int
	upto     session.Pos // of its last record
	since    time.Time   // of its first one
}

type sent struct {
	pos session.Pos
	at  int64
}

func newTail() *tail { return &tail{cur: newRun()} }

func newRun() *run {
	return &run{views: newChains[string](), places: newChains[int64](), sendings: make(map[Sending]sent)}
}

// next is an empty run; mu is held.
func (t *tail) next() *run {
	r := t.spare
	if r == nil {
		return newRun()
	}
	t.spare = nil
	r.views.reset()
	r.places.reset()
	clear(r.sendings)
	r.keys, r.records = nil, 0
	return r
}

// runs are both, the newer first.
func (t *tail) runs() [2]*run { return [2]*run{t.cur, t.old} }

// reset forgets everything; the records are about to be read again.
func (t *tail) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cur, t.old = newRun(), nil
	t.gen++
}

// indexed is one record as the tail takes it.
type indexed struct {
	pos   session.Pos
	at    int64
	conv  int64
	seq   int64
	dedup Sending
	views []ownerFlags
}

type ownerFlags struct {
	owner string
	flags int64
}

// add takes records that are on disk.
func (t *tail) add(now time.Time, records []indexed) {
	if len(records) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.cur
	if r.records == 0 {
		r.since = now
	}
	same := func(conv int64) int64 { return conv }
	for i := range records {
		x := &records[i]
		for _, v := range x.views {
			// An owner's name may be part of a stanza.
			r.views.add(v.owner, row{pos: x.pos, conv: x.conv, n: v.flags}, strings.Clone)
		}
		r.places.add(x.conv, row{pos: x.pos, conv: x.conv, n: x.seq}, same)
		if !x.dedup.IsZero() {
			r.sendings[x.dedup] = sent{x.pos, x.at}
		}
	}
	r.records += len(records)
	r.upto = records[len(records)-1].pos
}

// sending finds one that is not in the table yet.
func (t *tail) sending(k Sending) (sent, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.runs() {
		if r != nil {
			if s, ok := r.sendings[k]; ok {
				return s, true
			}
		}
	}
	return sent{}, false
}

// seq is the last place taken in a conversation, 0 if the tail knows none.
func (t *tail) seq(conv int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.runs() {
		if r != nil {
			if p := r.places.last(conv); p != nil {
				return p.n
			}
		}
	}
	return 0
}

// cut is a copy of rows to be written, and how to drop them afterwards.
type cut struct {
	views    []cutView
	places   []cutPlace
	sendings []cutSending
	gen      int
	from     *run        // the run a slice is of; nil: an owner's rows
	done     bool        // the run ends with this slice
	upto     session.Pos // and then every record up to here is indexed
}

type cutView struct {
	owner      string
	pos, flags int64
}

type cutPlace struct{ conv, pos int64 }

type cutSending struct {
	key    Sending
	pos    int64
	column []byte // key, as the tables have it
}

func (c *cut) rows() int { return len(c.views) + len(c.places) + len(c.sendings) }

// owner cuts what one owner's archive lacks, so that it can be read from the tables.
func (t *tail) owner(owner string) *cut {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &cut{gen: t.gen}
	for _, r := range [2]*run{t.old, t.cur} {
		if r == nil {
			continue
		}
		r.views.each(owner, func(v *row) bool {
			c.views = append(c.views, cutView{owner, int64(v.pos), v.n})
			c.places = append(c.places, cutPlace{v.conv, int64(v.pos)})
			return true
		})
	}
	return c
}

// has says whether the tables lack something of an owner's archive.
func (t *tail) has(owner string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.runs() {
		if r != nil && r.views.last(owner) != nil {
			return true
		}
	}
	return false
}

// begin makes the current run the one to be written, if none is under way and
// it is long enough, or older than before. It says whether a run is under way.
func (t *tail) begin(long int, before time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.old != nil {
		return true
	}
	if r := t.cur; r.records == 0 || r.records < long && !r.since.Before(before) {
		return false
	}
	t.old, t.cur = t.cur, t.next()
	r := t.old
	r.views.sort()
	r.places.sort()
	r.keys = slices.SortedFunc(maps.Keys(r.sendings), func(a, b Sending) int { return bytes.Compare(a[:], b[:]) })
	return true
}

// slice cuts n rows of the run under way, in the tables' order; nil if there
// is none. The same rows are cut again until drop; the value is good until the
// next slice. Places come before views: an owner whose views are written lacks nothing.
func (t *tail) slice(n int) *cut {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.old
	if r == nil {
		return nil
	}
	c := &t.piece
	*c = cut{views: c.views[:0], places: c.places[:0], sendings: c.sendings[:0], gen: t.gen, from: r, upto: r.upto}
	n = r.places.cut(n, func(conv int64, p *row) { c.places = append(c.places, cutPlace{conv, int64(p.pos)}) })
	n = r.views.cut(n, func(owner string, v *row) { c.views = append(c.views, cutView{owner, int64(v.pos), v.n}) })
	for _, k := range r.keys[:min(len(r.keys), n)] {
		c.sendings = append(c.sendings, cutSending{key: k, pos: int64(r.sendings[k].pos)})
	}
	c.done = n > len(c.sendings)
	return c
}

// drop forgets rows that are in the tables now.
func (t *tail) drop(c *cut) {
	if c == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case c.gen != t.gen:
	case c.from == nil:
		for _, r := range t.runs() {
			if r != nil {
				r.drop(c, false)
			}
		}
	default:
		c.from.drop(c, true)
		if c.done && t.old == c.from {
			t.old, t.spare = nil, t.old
		}
	}
}

// drop takes rows off, which somebody's reading may have taken off before. Places
// go only with the run: that an owner has them written says nothing of the other's.
func (r *run) drop(c *cut, slice bool) {
	for i, v := range c.views {
		if i+1 == len(c.views) || c.views[i+1].owner != v.owner {
			r.views.drop(v.owner, session.Pos(v.pos))
		}
	}
	if !slice {
		return
	}
	for i, p := range c.places {
		if i+1 == len(c.places) || c.places[i+1].conv != p.conv {
			r.places.drop(p.conv, session.Pos(p.pos))
		}
	}
	for _, s := range c.sendings {
		delete(r.sendings, s.key)
	}
	r.views.trim()
	r.places.trim()
	r.keys = r.keys[len(c.sendings):]
}
