package archive

import (
	"cmp"
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
	mu  sync.Mutex
	cur *run // takes what is appended
	old *run // is being written to the tables; nil: no run is under way
	gen int  // counts reloads: what was cut before one is not to be dropped after it
}

// run is the index rows of consecutive records.
type run struct {
	views    map[string][]viewRow
	places   map[int64]*placeRows
	sendings map[Sending]sent
	records  int
	upto     session.Pos // of its last record
	since    time.Time   // of its first one

	// In which order it is written; nil until it has begun.
	owners []string
	convs  []int64
	keys   []Sending
}

type viewRow struct {
	pos   session.Pos
	conv  int64
	flags int64
}

type placeRows struct {
	pos []session.Pos
	seq int64 // of the last one
}

type sent struct {
	pos session.Pos
	at  int64
}

func newTail() *tail { return &tail{cur: newRun()} }

func newRun() *run {
	return &run{views: map[string][]viewRow{}, places: map[int64]*placeRows{}, sendings: map[Sending]sent{}}
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
	for i := range records {
		x := &records[i]
		for _, v := range x.views {
			rows, known := r.views[v.owner]
			if !known {
				v.owner = strings.Clone(v.owner) // it is part of a stanza
			}
			r.views[v.owner] = append(rows, viewRow{x.pos, x.conv, v.flags})
		}
		p := r.places[x.conv]
		if p == nil {
			p = &placeRows{}
			r.places[x.conv] = p
		}
		p.pos, p.seq = append(p.pos, x.pos), x.seq
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
			if p := r.places[conv]; p != nil {
				return p.seq
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
	owner string
	viewRow
}

type cutPlace struct {
	conv int64
	pos  session.Pos
}

type cutSending struct {
	key Sending
	pos session.Pos
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
		for _, v := range r.views[owner] {
			c.views = append(c.views, cutView{owner, v})
			c.places = append(c.places, cutPlace{v.conv, v.pos})
		}
	}
	return c
}

// has says whether the tables lack something of an owner's archive.
func (t *tail) has(owner string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.runs() {
		if r != nil && len(r.views[owner]) > 0 {
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
	t.old, t.cur = t.cur, newRun()
	r := t.old
	r.owners = slices.Sorted(maps.Keys(r.views))
	r.convs = slices.Sorted(maps.Keys(r.places))
	r.keys = slices.SortedFunc(maps.Keys(r.sendings), func(a, b Sending) int { return slices.Compare(a[:], b[:]) })
	return true
}

// slice cuts n rows of the run under way, in the tables' order; nil if there
// is none. The same rows are cut again until drop. Places come before views: an
// owner whose views are written lacks nothing.
func (t *tail) slice(n int) *cut {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.old
	if r == nil {
		return nil
	}
	c := &cut{gen: t.gen, from: r, upto: r.upto}
	left := func() int { return n - c.rows() }
	for _, k := range r.convs {
		if p := r.places[k]; p != nil {
			for _, pos := range p.pos[:min(len(p.pos), left())] {
				c.places = append(c.places, cutPlace{k, pos})
			}
		}
		if left() == 0 {
			return c
		}
	}
	for _, o := range r.owners {
		rows := r.views[o]
		for _, v := range rows[:min(len(rows), left())] {
			c.views = append(c.views, cutView{o, v})
		}
		if left() == 0 {
			return c
		}
	}
	for _, k := range r.keys[:min(len(r.keys), left())] {
		c.sendings = append(c.sendings, cutSending{k, r.sendings[k].pos})
	}
	c.done = left() > 0
	return c
}

// drop forgets rows that are in the tables now.
func (t *tail) drop(c *cut) {
	if c == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.gen != t.gen {
		return
	}
	if c.from != nil {
		c.from.drop(c)
		if c.done && t.old == c.from {
			t.old = nil
		}
		return
	}
	for _, r := range t.runs() {
		if r != nil {
			r.dropViews(c.views)
		}
	}
}

// drop takes a slice off the run.
func (r *run) drop(c *cut) {
	r.dropViews(c.views)
	for _, x := range c.places {
		p := r.places[x.conv]
		if p.pos = p.pos[1:]; len(p.pos) == 0 {
			delete(r.places, x.conv)
		}
	}
	for _, s := range c.sendings {
		delete(r.sendings, s.key)
	}
	r.owners = trim(r.owners, func(o string) bool { return len(r.views[o]) == 0 })
	r.convs = trim(r.convs, func(k int64) bool { return r.places[k] == nil })
	r.keys = r.keys[len(c.sendings):]
}

// trim drops the keys at the front that are gone.
func trim[K cmp.Ordered](keys []K, gone func(K) bool) []K {
	n := 0
	for n < len(keys) && gone(keys[n]) {
		n++
	}
	return keys[n:]
}

// dropViews takes rows off, which come owner by owner. Somebody's reading may
// have taken the same ones off before, and others may stand behind them.
func (r *run) dropViews(views []cutView) {
	for i, v := range views {
		if i+1 < len(views) && views[i+1].owner == v.owner {
			continue
		}
		rows := r.views[v.owner]
		n, _ := slices.BinarySearchFunc(rows, v.pos+1, func(a viewRow, p session.Pos) int { return cmp.Compare(a.pos, p) })
		if n == len(rows) {
			delete(r.views, v.owner)
		} else {
			r.views[v.owner] = rows[n:]
		}
	}
}
