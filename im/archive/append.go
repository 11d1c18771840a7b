package archive

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// View flags.
const (
	Shown = 1 // in the owner's archive as clients read it (XEP-0313)
	Keep  = 2 // waits for a session of the owner if none takes it (XEP-0160)
)

// View puts a record into one owner's archive.
type View struct {
	Owner jid.JID
	Flags int64
}

// Entry is one message to be kept. Append fills in the last three fields.
type Entry struct {
	Conversation      string // Pair(…) for two people
	Sender, Recipient jid.JID
	Stanza            []byte // the whole stanza, as sent on
	Views             []View
	Waiting           jid.JID // waits for this account from the start; zero: it has a session
	Dedup             Sending // zero if the sender gave it no origin-id (XEP-0359 §2.2)
	Held              bool    // kept and acknowledged, but delivered to nobody
	// With, if not nil, writes in the same transaction what goes with the record (a
	// room's subject, a tombstone). It may be called again after a failure.
	With func(tx *store.Tx, pos session.Pos, at time.Time) error
	// Had is the position an import had elsewhere; it keeps it where the log is not
	// beyond it, so that clients go on reading where they were. Zero: none.
	Had session.Pos

	Pos   session.Pos
	At    time.Time
	Again bool // it was in the archive already, at Pos
}

// Sending identifies a sending, so that the same message sent again is kept
// once. Its first four bytes are the sender's, so that one's sendings stand together.
type Sending [16]byte

// IsZero says that it identifies nothing.
func (s Sending) IsZero() bool { return s == Sending{} }

// Pair is the conversation of two people.
func Pair(a, b jid.JID) string {
	x, y := a.Bare().String(), b.Bare().String()
	if y < x {
		x, y = y, x
	}
	return x + " " + y
}

// ErrUnknown says that the outcome of an append can't be known any more: the
// entries may be on disk. They are neither acknowledged nor refused.
var ErrUnknown = errors.New("archive: append: outcome unknown")

const (
	sqlConvGet = `SELECT c.id, COALESCE((SELECT r.conv_seq FROM place p JOIN record r ON r.pos = p.pos WHERE p.conv = c.id
		ORDER BY p.pos DESC LIMIT 1), 0) FROM conversation c WHERE c.key = $1`
	sqlConvNew = `INSERT INTO conversation (key) VALUES ($1) RETURNING id`
	sqlSeal    = `SELECT seal FROM record WHERE pos = $1`
)

// ErrBefore says that an append failed, and that an entry of it may be in the
// archive all the same: it was kept when it was sent the first time, or nobody
// could tell (ErrUnknown) and the archive could not be asked since. It is not refused either.
var ErrBefore = errors.New("archive: append: it may have been kept when it was sent before")

// Append keeps entries, in order, in one transaction, and returns when they are
// on disk. On an error none of them is, except with ErrUnknown.
func (a *Archive) Append(ctx context.Context, entries []*Entry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var b *batch
	err := a.db.Write(ctx, func(tx *store.Tx) error {
		if a.stale {
			if err := a.load(tx); err != nil {
				return err
			}
		}
		b = a.newBatch(entries)
		return b.write(tx)
	})
	if err != nil && store.IsAmbiguous(err) && b != nil {
		err = settleDoubt(ctx, a, b, err)
	}
	if err == nil {
		a.adopt(b)
		return nil
	}
	if a.db.Err() != nil && !errors.Is(err, ErrUnknown) {
		// The disk is gone and this process with it. What was not kept now may have been
		// kept before, when it was sent the first time: no refusal is true any more.
		err = errors.Join(ErrUnknown, err)
	}
	// A place that is taken: what is known of the log's end is wrong. It is read again.
	a.stale = a.stale || store.IsUnique(err)
	return fmt.Errorf("archive: append: %w", a.doubted(entries, err))
}

// doubted notes the entries of an append of unknown outcome, and tells of a
// failed one whether it holds such an entry.
func (a *Archive) doubted(entries []*Entry, err error) error {
	unknown := errors.Is(err, ErrUnknown)
	for _, e := range entries {
		switch {
		case e.Dedup.IsZero():
		case unknown:
			a.doubt[e.Dedup] = struct{}{}
		default:
			if a.before(e.Dedup) {
				return errors.Join(ErrBefore, err)
			}
		}
	}
	return err
}

// before says whether a sending may be in the archive already, as far as memory tells.
func (a *Archive) before(s Sending) bool {
	if s.IsZero() {
		return false
	}
	_, doubt := a.doubt[s]
	_, kept := a.tail.sending(s)
	return doubt || kept
}

// MayHave says of a message that can't be appended whether it may be in the archive all the
// same, from when it was sent before: then it is not refused.
func (a *Archive) MayHave(s Sending) bool {
	if s.IsZero() {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.before(s)
}

// Has says whether a sending is in the archive. What is on its way there when it
// is asked may be missed.
func Has(ctx context.Context, a *Archive, s Sending) (bool, error) {
	if s.IsZero() {
		return false, nil
	}
	a.mu.Lock()
	_, kept := a.tail.sending(s)
	a.mu.Unlock()
	if kept {
		return true, nil
	}
	err := a.db.Read(ctx, func(tx *store.Tx) error {
		found, err := findSent(tx, []Sending{s})
		kept = len(found) > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("archive: sent before: %w", err)
	}
	return kept, nil
}

// adopt makes what a committed batch used up the writer's state.
func (a *Archive) adopt(b *batch) {
	a.last, a.lastAt, a.stepped = b.last, b.lastAt, b.stepped
	if b.probe != nil {
		a.witness.saw(Claim{b.last, [32]byte(b.probe)})
	}
	clear(a.doubt) // the archive can be asked again
	if len(a.convs) > convCache {
		clear(a.convs)
	}
	for i := range b.rows {
		r := &b.rows[i]
		r.c.seq = r.seq
		if r.c.fresh {
			r.c.fresh = false
			a.convs[r.c.key] = r.c
		}
	}
	a.tail.drop(b.slice)
	a.tail.add(a.now(), b.indexed)
}

// settleDoubt finds out whether a transaction whose commit was cut off took
// place: its last new record is there with its seal, or it is not.
func settleDoubt(ctx context.Context, a *Archive, b *batch, cause error) error {
	a.stale = true
	if a.db.Err() != nil || b.probe == nil {
		return errors.Join(ErrUnknown, cause)
	}
	for try := 0; try < 10; try++ {
		var seal []byte
		err := a.db.Write(ctx, func(tx *store.Tx) error {
			return tx.Row(sqlSeal, int64(b.last)).Scan(&seal)
		})
		switch {
		case err == nil && string(seal) == string(b.probe):
			a.stale = false
			return nil
		case err == nil || errors.Is(err, store.ErrNoRows):
			return cause
		}
	}
	return errors.Join(ErrUnknown, cause)
}

// batch is one append in the making; the archive's state changes only after
// its commit.
type batch struct {
	a       *Archive
	entries []*Entry
	last    session.Pos
	lastAt  int64
	stepped int64
	convs   map[string]*conversation // that the archive does not know yet
	seen    map[Sending]*Entry
	probe   []byte // seal of the last record
	salts   []byte // random, saltSize an entry
	sealing []byte // scratch

	rows    []recordRow
	waiting []cutView // flags are not used
	indexed []indexed
	views   []ownerFlags // room for indexed.views
	slice   *cut         // of an earlier run's index, written along
}

// recordRow is a record as the table has it.
type recordRow struct {
	c                        *conversation
	pos, at, seq, state      int64
	sender, recipient, views string
	dedup, stanza, salt      []byte
	seal                     [32]byte
	sealColumn               []byte
}

func (a *Archive) newBatch(entries []*Entry) *batch {
	n := len(entries)
	b := &batch{a: a, entries: entries, last: a.last, lastAt: a.lastAt, stepped: a.stepped,
		rows: make([]recordRow, 0, n), indexed: make([]indexed, 0, n), views: make([]ownerFlags, 0, 2*n)}
	for _, e := range entries { // what an earlier batch left that failed
		if c := a.convs[e.Conversation]; c != nil {
			c.next = c.seq
		}
	}
	return b
}

// write inserts the batch, and a piece of the index of what came long before:
// pages that are flushed anyway cost no flush of their own.
func (b *batch) write(tx *store.Tx) error {
	if err := b.findAgain(tx); err != nil {
		return err
	}
	b.salts = make([]byte, saltSize*len(b.entries))
	_, _ = rand.Read(b.salts) // never fails (crypto/rand)
	now := b.a.now()
	for _, e := range b.entries {
		if e.Again {
			continue
		}
		if err := b.add(tx, e, now.UnixMicro()); err != nil {
			return err
		}
	}
	if err := b.insert(tx); err != nil {
		return err
	}
	if err := b.with(tx); err != nil {
		return err
	}
	if b.a.tail.begin(runLength, now.Add(-runAge)) {
		b.slice = b.a.tail.slice(sliceRest + sliceShare*len(b.entries))
		return writeCut(tx, b.slice)
	}
	return nil
}

// with writes what goes with new records.
func (b *batch) with(tx *store.Tx) error {
	for _, e := range b.entries {
		if e.With == nil || e.Again || e.Held {
			continue
		}
		if err := e.With(tx, e.Pos, e.At); err != nil {
			return err
		}
	}
	return nil
}

// findAgain marks the entries that are in the archive already.
func (b *batch) findAgain(tx *store.Tx) error {
	ask := make([]Sending, 0, len(b.entries))
	for _, e := range b.entries {
		e.Again = false
		if e.Dedup.IsZero() {
			continue
		}
		if s, ok := b.a.tail.sending(e.Dedup); ok {
			e.again(s)
			continue
		}
		ask = append(ask, e.Dedup)
	}
	found, err := findSent(tx, ask)
	if err != nil || len(found) == 0 {
		return err
	}
	for _, e := range b.entries {
		if s, ok := found[e.Dedup]; ok && !e.Dedup.IsZero() {
			e.again(s)
		}
	}
	return nil
}

func (e *Entry) again(s sent) { e.Pos, e.At, e.Again = s.pos, time.UnixMicro(s.at).UTC(), true }

const saltSize = 16

// add gives an entry its place and collects its rows.
func (b *batch) add(tx *store.Tx, e *Entry, now int64) error {
	if !e.Dedup.IsZero() {
		if first := b.seen[e.Dedup]; first != nil { // twice in the batch
			e.Pos, e.At, e.Again = first.Pos, first.At, true
			return nil
		}
		if b.seen == nil {
			b.seen = make(map[Sending]*Entry, len(b.entries))
		}
		b.seen[e.Dedup] = e
	}
	c, err := b.conversation(tx, e.Conversation)
	if err != nil {
		return err
	}
	c.next++
	b.last = max(b.last+1, e.Had)
	at := b.time(e, now)
	e.Pos, e.At = b.last, time.UnixMicro(at).UTC()
	b.record(e, c, at)
	first := len(b.views)
	if !e.Held {
		for _, v := range e.Views {
			b.views = append(b.views, ownerFlags{v.Owner.String(), v.Flags})
		}
		if !e.Waiting.IsZero() {
			b.waiting = append(b.waiting, cutView{owner: e.Waiting.String(), pos: int64(e.Pos)})
		}
	}
	b.indexed = append(b.indexed, indexed{pos: e.Pos, at: at, conv: c.id, seq: c.next, dedup: e.Dedup, views: b.views[first:len(b.views):len(b.views)]})
	return nil
}

// record makes an entry's row.
func (b *batch) record(e *Entry, c *conversation, at int64) {
	b.rows = append(b.rows, recordRow{c: c, pos: int64(e.Pos), at: at, seq: c.next, sender: e.Sender.String(), recipient: e.Recipient.String(),
		views: viewsText(e), stanza: e.Stanza, salt: b.salts[:saltSize:saltSize]})
	b.salts = b.salts[saltSize:]
	r := &b.rows[len(b.rows)-1]
	if e.Held {
		r.state = 1
	}
	if !e.Dedup.IsZero() {
		r.dedup = e.Dedup[:]
	}
	b.sealing = appendSealed(b.sealing[:0], r.salt, at, r.sender, r.recipient, r.stanza)
	r.seal = sha256.Sum256(b.sealing)
	r.sealColumn = r.seal[:]
	b.probe = r.sealColumn
}

// time is when an entry counts as sent. A small step back of the clock does not
// show; after a large one the clock is believed again, so that one wrong hour
// does not stamp years.
func (b *batch) time(e *Entry, now int64) int64 {
	at := now
	if !e.At.IsZero() {
		at = e.At.UnixMicro()
	}
	if at < b.lastAt && b.lastAt-at < int64(time.Hour/time.Microsecond) {
		at = b.lastAt
	}
	if at < b.lastAt {
		b.stepped = max(b.stepped, b.lastAt)
	}
	b.lastAt = at
	return at
}

// conversation returns a conversation's state, whose next the batch moves.
func (b *batch) conversation(tx *store.Tx, key string) (*conversation, error) {
	if c := b.a.convs[key]; c != nil {
		return c, nil
	}
	if c := b.convs[key]; c != nil {
		return c, nil
	}
	c := &conversation{key: strings.Clone(key), fresh: true}
	err := tx.Row(sqlConvGet, key).Scan(&c.id, &c.seq)
	if errors.Is(err, store.ErrNoRows) {
		err = tx.Row(sqlConvNew, key).Scan(&c.id)
	}
	if err != nil {
		return nil, err
	}
	c.seq = max(c.seq, b.a.tail.seq(c.id))
	c.next = c.seq
	if b.convs == nil {
		b.convs = make(map[string]*conversation)
	}
	b.convs[c.key] = c
	return c, nil
}

func (b *batch) insert(tx *store.Tx) error {
	err := intoRecord.rows(tx, len(b.rows), func(i int, args []any) {
		r := &b.rows[i]
		args[0], args[1], args[2], args[3], args[4] = &r.pos, &r.at, &r.c.id, &r.seq, &r.state
		args[5], args[6], args[7], args[8] = &r.sender, &r.recipient, &r.dedup, &r.views
		args[9], args[10], args[11] = &r.stanza, &r.salt, &r.sealColumn
	})
	if err != nil {
		return err
	}
	if b.stepped != b.a.stepped {
		if _, err := tx.Exec(sqlStep, b.stepped); err != nil {
			return err
		}
	}
	return intoWaits.rows(tx, len(b.waiting), func(i int, args []any) {
		args[0], args[1] = &b.waiting[i].owner, &b.waiting[i].pos
	})
}
