package archive

import (
	"context"
	"crypto/rand"
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
	// Dedup identifies the sending, so that the same message sent again is kept
	// once; nil if the sender gave it no origin-id (XEP-0359 §2.2).
	Dedup []byte
	Held  bool // kept and acknowledged, but delivered to nobody

	Pos   session.Pos
	At    time.Time
	Again bool // it was in the archive already, at Pos
}

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
	sqlConvGet = `SELECT c.id, COALESCE((SELECT r.conv_seq FROM record r WHERE r.conv = c.id
		ORDER BY r.pos DESC LIMIT 1), 0) FROM conversation c WHERE c.key = $1`
	sqlConvNew = `INSERT INTO conversation (key) VALUES ($1) RETURNING id`
	sqlDedup   = `SELECT pos, at FROM record WHERE dedup = $1`
	sqlRecord  = `INSERT INTO record (pos, at, conv, conv_seq, state, sender, recipient, dedup, stanza, salt, seal) VALUES `
	sqlOnce    = ` ON CONFLICT (dedup) WHERE dedup IS NOT NULL DO NOTHING`
	sqlView    = `INSERT INTO view (owner, pos, flags) VALUES `
	sqlWaiting = `INSERT INTO waiting (owner, pos) VALUES `
	sqlSeal    = `SELECT seal FROM record WHERE pos = $1`
)

// errAgain undoes an optimistic insert that met a message sent before.
var errAgain = errors.New("archive: sent before")

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
		return b.write(tx, false)
	})
	if errors.Is(err, errAgain) {
		err = a.db.Write(ctx, func(tx *store.Tx) error {
			b = a.newBatch(entries)
			return b.write(tx, true)
		})
	}
	if err != nil && store.IsAmbiguous(err) && b != nil {
		err = a.settleDoubt(ctx, b, err)
	}
	if err != nil {
		return fmt.Errorf("archive: append: %w", err)
	}
	a.adopt(b)
	return nil
}

// adopt makes what a committed batch used up the writer's state.
func (a *Archive) adopt(b *batch) {
	a.last, a.lastAt, a.stepped = b.last, b.lastAt, b.stepped
	if len(a.convs) > convCache {
		clear(a.convs)
	}
	for k, c := range b.convs {
		a.convs[k] = c
	}
}

// settleDoubt finds out whether a transaction whose commit was cut off took
// place: its last new record is there with its seal, or it is not.
func (a *Archive) settleDoubt(ctx context.Context, b *batch, cause error) error {
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
	convs   map[string]*conversation
	probe   []byte // seal of the last record

	records, views, waiting []any
}

func (a *Archive) newBatch(entries []*Entry) *batch {
	return &batch{a: a, entries: entries, last: a.last, lastAt: a.lastAt, stepped: a.stepped, convs: make(map[string]*conversation)}
}

// write inserts the batch. The first try assumes that nothing was sent before;
// with look, each message is looked up.
func (b *batch) write(tx *store.Tx, look bool) error {
	now := b.a.now().UnixMicro()
	seen := map[string]*Entry{}
	for _, e := range b.entries {
		if look && e.Dedup != nil {
			if first := seen[string(e.Dedup)]; first != nil {
				e.Pos, e.At, e.Again = first.Pos, first.At, true
				continue
			}
			again, err := findAgain(tx, e)
			if err != nil {
				return err
			}
			if again {
				continue
			}
			seen[string(e.Dedup)] = e
		}
		if err := b.add(tx, e, now); err != nil {
			return err
		}
	}
	return b.insert(tx)
}

func findAgain(tx *store.Tx, e *Entry) (bool, error) {
	var pos, at int64
	err := tx.Row(sqlDedup, e.Dedup).Scan(&pos, &at)
	if errors.Is(err, store.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	e.Pos, e.At, e.Again = session.Pos(pos), time.UnixMicro(at).UTC(), true
	return true, nil
}

// add gives an entry its place and collects its rows.
func (b *batch) add(tx *store.Tx, e *Entry, now int64) error {
	c, err := b.conversation(tx, e.Conversation)
	if err != nil {
		return err
	}
	c.seq++
	b.last++
	at := now
	if !e.At.IsZero() {
		at = e.At.UnixMicro()
	}
	// A small step back of the clock does not show; after a large one the clock
	// is believed again, so that one wrong hour does not stamp years.
	if at < b.lastAt && b.lastAt-at < int64(time.Hour/time.Microsecond) {
		at = b.lastAt
	}
	if at < b.lastAt {
		b.stepped = max(b.stepped, b.lastAt)
	}
	b.lastAt = at
	e.Pos, e.At, e.Again = b.last, time.UnixMicro(at).UTC(), false

	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	sender, recipient := e.Sender.String(), e.Recipient.String()
	seal := Seal(salt, at, sender, recipient, e.Stanza)
	b.probe = seal[:]
	var state int64
	if e.Held {
		state = 1
	}
	b.records = append(b.records, int64(e.Pos), at, c.id, c.seq, state, sender, recipient, e.Dedup, e.Stanza, salt, b.probe)
	if e.Held {
		return nil
	}
	for _, v := range e.Views {
		b.views = append(b.views, v.Owner.String(), int64(e.Pos), v.Flags)
	}
	if !e.Waiting.IsZero() {
		b.waiting = append(b.waiting, e.Waiting.String(), int64(e.Pos))
	}
	return nil
}

// conversation returns the batch's own copy of a conversation's state.
func (b *batch) conversation(tx *store.Tx, key string) (*conversation, error) {
	if c := b.convs[key]; c != nil {
		return c, nil
	}
	c := &conversation{}
	if known := b.a.convs[key]; known != nil {
		*c = *known
	} else {
		err := tx.Row(sqlConvGet, key).Scan(&c.id, &c.seq)
		if errors.Is(err, store.ErrNoRows) {
			err = tx.Row(sqlConvNew, key).Scan(&c.id)
		}
		if err != nil {
			return nil, err
		}
	}
	b.convs[strings.Clone(key)] = c
	return c, nil
}

func (b *batch) insert(tx *store.Tx) error {
	n, err := insertRows(tx, sqlRecord, 11, b.records, sqlOnce)
	if err != nil {
		return err
	}
	if int(n) != len(b.records)/11 {
		return errAgain
	}
	if b.stepped != b.a.stepped {
		if _, err := tx.Exec(sqlStep, b.stepped); err != nil {
			return err
		}
	}
	if _, err := insertRows(tx, sqlView, 3, b.views, ""); err != nil {
		return err
	}
	_, err = insertRows(tx, sqlWaiting, 2, b.waiting, "")
	return err
}
