package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
)

// Witness is a small file beside the data set that names the last record that was flushed: position
// and seal. A write-ahead log that is gone or ends earlier, and a database that was put back, look like lawful states to
// themselves; they show against the witness (HARDENING F23, docs/decisions/0007).
//
// It is written after each flush of the log and flushed itself by the clock, so it is exact after the end of the process and
// a second behind, at most, after a power cut. It never names what was not on the disk before: no false alarm.
type Witness struct {
	path string
	f    *os.File
	wake chan struct{} // room for one: something is to be flushed

	mu    sync.Mutex // a leaf; one short write to the page cache is done under it
	claim Claim      // what the file says
	slot  int        // of the two, which is written until the next flush: the other stays whole
	bad   error      // why the last write failed

	there, damaged bool // when it was opened: was it, and could it not be read
}

// Claim is one record that was flushed; a position of 0: none was.
type Claim struct {
	Pos  session.Pos
	Seal [sha256.Size]byte
}

const (
	witnessEvery = time.Second
	witnessSlot  = 512 // one sector: written whole or not at all
	witnessMagic = "parlance witness 1"
)

// LookWitness reads the file and changes nothing: what it returns is for Check and Claim. Without the file nothing is claimed.
func LookWitness(path string) (*Witness, error) {
	w := &Witness{path: path, wake: make(chan struct{}, 1)}
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w, nil
	case err != nil:
		return nil, fmt.Errorf("archive: witness: %w", err)
	}
	w.damaged, w.there = true, true
	for i := range 2 {
		if c, ok := readClaim(b, i); ok && (w.damaged || c.Pos > w.claim.Pos) {
			w.claim, w.slot, w.damaged = c, 1-i, false
		}
	}
	return w, nil
}

// OpenWitness opens the file, or makes it. One that can't be read is begun anew: it vouches for nothing then.
func OpenWitness(path string) (*Witness, error) {
	w, err := LookWitness(path)
	if err != nil {
		return nil, err
	}
	if !w.there || w.damaged {
		err = newWitness(path)
	}
	if err == nil {
		w.f, err = os.OpenFile(path, os.O_RDWR, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("archive: witness: %w", err)
	}
	return w, nil
}

// newWitness makes a file of full length that claims nothing, under its name only when it is on the disk.
func newWitness(path string) error {
	b := append(appendClaim(nil, Claim{}), appendClaim(nil, Claim{})...)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// appendClaim writes a slot: a line a person can read, its checksum, blanks up to the slot's end.
func appendClaim(dst []byte, c Claim) []byte {
	from := len(dst)
	dst = fmt.Appendf(dst, "%s pos=%d seal=%x", witnessMagic, c.Pos, c.Seal)
	sum := sha256.Sum256(dst[from:])
	dst = append(dst, " sum="...)
	dst = hex.AppendEncode(dst, sum[:8])
	for len(dst)-from < witnessSlot-1 {
		dst = append(dst, ' ')
	}
	return append(dst, '\n')
}

func readClaim(b []byte, slot int) (c Claim, ok bool) {
	if len(b) < (slot+1)*witnessSlot {
		return c, false
	}
	b = b[slot*witnessSlot : (slot+1)*witnessSlot]
	var seal []byte
	if _, err := fmt.Sscanf(strings.TrimPrefix(string(b), witnessMagic), " pos=%d seal=%x", &c.Pos, &seal); err != nil || len(seal) != len(c.Seal) {
		return c, false
	}
	c.Seal = [sha256.Size]byte(seal)
	return c, string(appendClaim(nil, c)) == string(b)
}

// Path is the file's name; Damaged says that it was there and could not be read.
func (w *Witness) Path() string  { return w.path }
func (w *Witness) Damaged() bool { return w.damaged }

// Claim is what the file says.
func (w *Witness) Claim() Claim {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.claim
}

// saw notes a record that was flushed. It does not wait for the disk: the page is in memory.
func (w *Witness) saw(c Claim) {
	if w == nil {
		return
	}
	var room [witnessSlot]byte
	w.mu.Lock()
	_, w.bad = w.f.WriteAt(appendClaim(room[:0], c), int64(w.slot)*witnessSlot)
	if w.bad == nil {
		w.claim = c
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it will be flushed
	}
}

// Run flushes what was noted, until ctx ends, and then once more. An error is a disk that can't be trusted any more;
// without room the witness stays behind, no more.
func (w *Witness) Run(ctx context.Context, log *slog.Logger) error {
	t := time.NewTimer(witnessEvery)
	defer t.Stop()
	for told := false; ; {
		select {
		case <-ctx.Done():
			return w.flush()
		case <-w.wake:
		}
		err := w.flush()
		if errors.Is(err, syscall.EIO) {
			return err
		}
		if err != nil && !told {
			log.Warn("archive: the witness stays behind", "err", err)
		}
		told = err != nil
		t.Reset(witnessEvery)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
}

func (w *Witness) flush() error {
	err := fdatasync(w.f)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err = errors.Join(err, w.bad); err != nil {
		return fmt.Errorf("archive: witness: %w", err)
	}
	w.slot = 1 - w.slot
	return nil
}

// Close closes the file; Run has ended.
func (w *Witness) Close() error { return w.f.Close() }

// LostError says that the data set does not reach as far as was acknowledged.
type LostError struct {
	Witness, Data string      // file names, or where the database is
	Was           Claim       // what the witness says
	Last          session.Pos // of the newest record there is
	Other         bool        // there is a record at that position, another one
}

func (e *LostError) Error() string {
	what := fmt.Sprintf("it ends at record %d: records %d to %d were acknowledged and are missing", e.Last, e.Last+1, e.Was.Pos)
	if e.Other {
		what = fmt.Sprintf("its record %d is another one: it is not the data set that was served last, or it was altered", e.Was.Pos)
	}
	return fmt.Sprintf("%s does not hold what was acknowledged: %s says that the log reached record %d (seal %x…), but %s. "+
		"No record was changed: keep a copy of the folder, then restore a newer backup or the file that is missing, or go on without these messages with `parlance repair --accept-loss`",
		e.Data, e.Witness, e.Was.Pos, e.Was.Seal[:6], what)
}

// Check compares the data set with the witness; data is its name, for people. It is asked before anything is written.
func (w *Witness) Check(ctx context.Context, db *store.DB, data string) error {
	was := w.Claim()
	if was.Pos == 0 {
		return nil
	}
	lost := &LostError{Witness: w.path, Data: data, Was: was}
	var seal []byte
	err := db.Read(ctx, func(tx *store.Tx) error {
		var last, at int64
		if err := tx.Row(sqlLast).Scan(&last, &at); err != nil && !errors.Is(err, store.ErrNoRows) {
			return err
		}
		lost.Last = session.Pos(last)
		return tx.Row(sqlSeal, int64(was.Pos)).Scan(&seal)
	})
	switch {
	case err == nil && string(seal) == string(was.Seal[:]):
		return nil
	case err == nil:
		lost.Other = true
		return lost
	case errors.Is(err, store.ErrNoRows):
		lost.Other = lost.Last > was.Pos
		return lost
	}
	return fmt.Errorf("archive: witness: %s says that record %d was kept, but %s can't be asked for it: %w", w.path, was.Pos, data, err)
}

// reset makes the file say c and nothing else, at once.
func (w *Witness) reset(c Claim) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := append(appendClaim(nil, c), appendClaim(nil, c)...)
	if _, err := w.f.WriteAt(b, 0); err != nil {
		return err
	}
	w.claim = c
	return w.f.Sync()
}
