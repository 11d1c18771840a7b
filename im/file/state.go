package file

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parlance-im/parlance/store"
)

// State is how far a file has come. It is the gate of its download.
type State string

// The states. A file is a slot until its content is there; then it waits for
// a verdict (or, where nobody gives one, is clean at once).
const (
	Slot      State = "slot"      // announced, nothing received
	Uploading State = "uploading" // being received
	Pending   State = "pending"   // whole, waits for a verdict
	Clean     State = "clean"     // may be downloaded
	Held      State = "held"      // somebody must decide
	Refused   State = "refused"   // for ever
)

// after are the transitions a verdict may make. The upload's own (slot →
// uploading → pending or clean, and back to slot) are lines in put.go.
var after = map[State][]State{
	Pending: {Clean, Held, Refused},
	Clean:   {Held, Refused}, // what is known later
	Held:    {Clean, Refused},
}

// May says whether a verdict can lead from one state to another.
func May(from, to State) bool { return slices.Contains(after[from], to) }

// Why a file is not given out, or a verdict not taken.
var (
	ErrUnknown = errors.New("file: there is no such file")
	ErrGone    = errors.New("file: its time is over")
	ErrPending = errors.New("file: it is being looked at")
	ErrHeld    = errors.New("file: it is held")
	ErrRefused = errors.New("file: it is refused")
	ErrState   = errors.New("file: not from this state to that")
)

// Gate says whether the file may be downloaded now; nil if so.
func (f *File) Gate(now time.Time) error {
	switch f.State {
	case Clean:
		// XEP-0363 §5.3: not available after the time its sender gave.
		if !f.Until.IsZero() && !now.Before(f.Until) {
			return ErrGone
		}
		return nil
	case Pending:
		return ErrPending
	case Held:
		return ErrHeld
	case Refused:
		return ErrRefused
	}
	return ErrUnknown // there is nothing to download yet
}

// Move takes a verdict; reason is for people. A file that is in that state
// already stays as it is.
func (s *Store) Move(ctx context.Context, id string, to State, reason string) error {
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		f, err := scan(tx.Row(sqlFind, id))
		if errors.Is(err, store.ErrNoRows) {
			return ErrUnknown
		}
		if err != nil {
			return err
		}
		if f.State == to {
			return nil
		}
		if !May(f.State, to) {
			return fmt.Errorf("%w: %s to %s", ErrState, f.State, to)
		}
		_, err = tx.Exec(sqlMove, id, string(f.State), string(to), reason)
		return err
	})
	if err != nil && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrState) {
		return fmt.Errorf("file: verdict: %w", err)
	}
	return err
}

// In lists files in a state in the order of their ids, beginning after one
// ("" for the first page): for whoever gives verdicts.
func (s *Store) In(ctx context.Context, state State, after string, n int) (list []File, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		list, err = all(tx, sqlByState, string(state), after, n)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("file: list: %w", err)
	}
	return list, nil
}
