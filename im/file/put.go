package file

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/parlance-im/parlance/im/file/picture"
	"github.com/parlance-im/parlance/store"
)

// Why an upload is not taken.
var (
	ErrTaken     = errors.New("file: this slot has been used, or is being used")
	ErrSize      = errors.New("file: not the size that was announced")
	ErrMedia     = errors.New("file: not the type that was announced")
	ErrForbidden = errors.New("file: the account may not upload")
	ErrFull      = errors.New("file: the disk is full")
	ErrAborted   = errors.New("file: the upload broke off")
)

// Incoming is an upload as its request announces it.
type Incoming struct {
	Size  int64  // -1 if it does not say
	Media string // "" if it does not say
	Body  io.Reader
}

// Receive takes the content for a slot. It returns when the content is on
// disk and the file can be downloaded (or waits for its verdict). Whatever
// goes wrong leaves nothing behind; a slot whose upload broke off can be tried
// again until it expires. One of several uploads at once gets it.
func (s *Store) Receive(ctx context.Context, put string, in Incoming) (*File, error) {
	f, err := s.claim(ctx, put, in)
	if err != nil {
		return nil, err
	}
	if err = s.take(ctx, f, in); err != nil {
		// The request may be gone; the slot must not stay claimed for that.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if rerr := s.release(late, f); rerr != nil {
			s.conf.Log.Error("file: a slot stays claimed until the next start", "err", rerr)
		}
		return nil, err
	}
	return f, nil
}

// claim finds the slot, compares what was announced, and takes it.
func (s *Store) claim(ctx context.Context, put string, in Incoming) (*File, error) {
	f, err := s.one(ctx, sqlBySlot, put)
	if err != nil {
		return nil, err
	}
	switch {
	case f.State != Slot:
		return nil, ErrTaken
	case !s.conf.Now().Before(f.Expires):
		return nil, ErrGone
	case in.Size != f.Size:
		return nil, ErrSize // XEP-0363 §7: MUST be refused
	case f.Media != "" && essence(in.Media) != f.Media:
		return nil, ErrMedia // XEP-0363 §7: SHOULD be refused
	}
	if s.conf.Active != nil { // HARDENING A12: a slot is no way around a lock
		ok, err := s.conf.Active(ctx, f.Owner)
		if err != nil {
			return nil, fmt.Errorf("file: upload: %w", err)
		}
		if !ok {
			return nil, ErrForbidden
		}
	}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		var n int64
		if err := tx.Row(sqlBusy, f.Owner.String()).Scan(&n); err != nil {
			return err
		}
		if n >= s.conf.Limits.AtATime {
			return ErrBusy
		}
		n, err := tx.Exec(sqlClaim, f.ID, s.conf.Now().UnixMicro())
		if err == nil && n == 0 {
			return ErrTaken
		}
		return err
	})
	if errors.Is(err, ErrTaken) || errors.Is(err, ErrBusy) {
		return nil, err
	}
	if err != nil {
		return nil, full(fmt.Errorf("file: upload: %w", err))
	}
	return f, nil
}

// essence is a media type without its parameters: HTTP libraries add some.
func essence(media string) string {
	if media == "" {
		return "application/octet-stream" // XEP-0363 §7
	}
	t, _, err := mime.ParseMediaType(media)
	if err != nil {
		return ""
	}
	return t
}

// take brings the content of a claimed slot from the request to the blobs.
func (s *Store) take(ctx context.Context, f *File, in Incoming) error {
	if !s.uploads.TryAcquire(1) {
		return ErrBusy
	}
	defer s.uploads.Release(1)
	sp, err := s.spool(in.Body, f.Size)
	if err != nil {
		return err
	}
	defer func() { sp.discard() }()
	if s.conf.Strip {
		clean, err := s.strip(sp)
		if err != nil {
			return err
		}
		if clean != nil {
			sp.discard()
			sp = clean
		}
	}
	f.Hash, f.Stored = sp.hash, sp.size
	// The row refers to the content before it is there, and shows it after: a
	// crash in between leaves a reference, which Open lets go of, never an
	// orphan, and never a file that can't be read.
	if err := s.refer(ctx, f); err != nil {
		return err
	}
	if err := s.blobs.Put(ctx, sp.hash, sp); err != nil {
		return full(fmt.Errorf("file: store: %w", err))
	}
	f.State = Clean
	if s.conf.Scanned {
		f.State = Pending
	}
	return s.show(ctx, f)
}

// refer notes the hash of the content that comes.
func (s *Store) refer(ctx context.Context, f *File) error {
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		if err := tighten(tx, f.Hash); err != nil {
			return err
		}
		_, err := tx.Exec(sqlHash, f.ID, f.Hash, f.Stored)
		return err
	})
	if err != nil && !errors.Is(err, ErrBusy) {
		return full(fmt.Errorf("file: upload: %w", err))
	}
	return err
}

// tighten says that a content is wanted again. If the sweeper is about to
// remove that very content it is too late for a moment.
func tighten(tx *store.Tx, hash string) error {
	var removing bool
	err := tx.Row(sqlIsRemoving, hash).Scan(&removing)
	switch {
	case errors.Is(err, store.ErrNoRows):
		return nil
	case err != nil:
		return err
	case removing:
		return ErrBusy
	}
	_, err = tx.Exec(sqlTightened, hash)
	return err
}

func (s *Store) show(ctx context.Context, f *File) error {
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec(sqlShow, f.ID, string(f.State))
		if err == nil && n == 0 {
			return ErrUnknown
		}
		return err
	})
	if err != nil {
		return full(fmt.Errorf("file: upload: %w", err))
	}
	return nil
}

// release gives a claimed slot back.
func (s *Store) release(ctx context.Context, f *File) error {
	return s.db.Write(ctx, func(tx *store.Tx) error { return release(tx, f) })
}

func release(tx *store.Tx, f *File) error {
	if f.Hash != "" {
		if _, err := tx.Exec(sqlLoosen, f.Hash); err != nil {
			return err
		}
	}
	_, err := tx.Exec(sqlRelease, f.ID)
	return err
}

// forgetUploads releases what the last process was receiving.
func (s *Store) forgetUploads(ctx context.Context) error {
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		list, err := all(tx, sqlUploading)
		if err != nil {
			return err
		}
		for i := range list {
			if err := release(tx, &list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("file: open: %w", err)
	}
	return nil
}

// spooled is content on its way: a file under tmp, whole and hashed.
type spooled struct {
	root *os.Root
	name string
	f    *os.File
	size int64
	hash string
}

// discard closes and removes it; if it has been moved away there is nothing to remove.
func (sp *spooled) discard() {
	_ = sp.f.Close()            // read or synced before
	_ = sp.root.Remove(sp.name) // gone already if it was moved
}

// sink makes an empty file under tmp. Its name is our own (HARDENING H2).
func (s *Store) sink() (*spooled, error) {
	sp := &spooled{root: s.root, name: tmp + "/" + rand.Text()}
	var err error
	if sp.f, err = s.root.OpenFile(sp.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, full(fmt.Errorf("file: upload: %w", err))
	}
	return sp, nil
}

// spool reads exactly size bytes into a file under tmp.
func (s *Store) spool(body io.Reader, size int64) (*spooled, error) {
	sp, err := s.sink()
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	src := &reader{r: io.LimitReader(body, size+1)}
	sp.size, err = io.Copy(io.MultiWriter(sp.f, sum), src)
	switch {
	case src.err != nil:
		err = fmt.Errorf("%w: %w", ErrAborted, src.err)
	case err != nil:
		err = full(fmt.Errorf("file: upload: %w", err))
	case sp.size != size:
		err = ErrSize
	}
	if err != nil {
		sp.discard()
		return nil, err
	}
	sp.hash = hex.EncodeToString(sum.Sum(nil))
	return sp, nil
}

// reader remembers an error of the one who sends, to tell it from the disk's.
type reader struct {
	r   io.Reader
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// strip writes a picture again without its metadata; nil if it has none, or
// is no picture we can read.
func (s *Store) strip(sp *spooled) (*spooled, error) {
	plan, err := picture.Clean(sp.f, sp.size)
	if err != nil || !plan.Removes() {
		return nil, nil // it is kept as it came
	}
	out, err := s.sink()
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	if out.size, err = plan.Copy(io.MultiWriter(out.f, sum)); err != nil {
		out.discard()
		return nil, full(fmt.Errorf("file: metadata: %w", err))
	}
	out.hash = hex.EncodeToString(sum.Sum(nil))
	return out, nil
}

func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || store.IsFull(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// Media normalises a media type: the type without parameters, in small letters.
func Media(s string) (string, bool) {
	t, _, err := mime.ParseMediaType(s)
	if err != nil || len(t) > 127 || strings.Count(t, "/") != 1 {
		return "", false
	}
	return t, true
}
