package file

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/parlance-im/parlance/im/file/picture"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Purpose is what a file is for (XEP-0363 §5).
type Purpose string

// The purposes. Message is the default.
const (
	ForMessage   Purpose = "message"
	ForProfile   Purpose = "profile"
	ForEphemeral Purpose = "ephemeral"
	ForEver      Purpose = "permanent"
)

// File is one row: a slot, or a file that has been received.
type File struct {
	ID      string // the unguessable part of its address
	Owner   jid.JID
	Name    string // a plain name, fit for people and file systems
	Media   string // "image/png"; "" if nobody said
	Purpose Purpose
	Size    int64  // announced
	Stored  int64  // bytes of the content: fewer than Size where metadata was removed
	Hash    string // SHA-256 of the content, hexadecimal; "" without one
	State   State
	Reason  string // of the last verdict
	Created time.Time
	Expires time.Time // of the slot
	Until   time.Time // zero: for ever

	thumb     string
	thumbSize int64
	thumbed   string
}

// Limits bound what an account may bring.
type Limits struct {
	Size        int64 // bytes of one file
	PerDay      int64 // bytes in 24 hours
	FilesPerDay int
	Total       int64         // bytes in all
	Slot        time.Duration // a slot waits so long for its upload
	OpenSlots   int           // not used yet
	Profile     int64         // bytes in all for the purpose "profile"
	Uploads     int64         // at a time, of all accounts together
	AtATime     int64         // uploads of one account: nobody takes all there are
}

// DefaultLimits are what holds where the configuration says nothing.
func DefaultLimits() Limits {
	return Limits{Size: 100 << 20, PerDay: 1 << 30, FilesPerDay: 1000, Total: 10 << 30,
		Slot: 5 * time.Minute, // XEP-0363 §8: about 300 s
		// So many at once is a folder dropped on a window.
		OpenSlots: 100, Profile: 16 << 20, Uploads: 256, AtATime: 16}
}

// Config is what a Store is made of.
type Config struct {
	DB     *store.DB
	Dir    string // folder for uploads under way and, without S3, contents
	S3     *S3    // where contents are kept; nil: in Dir
	Limits Limits
	// LimitsOf are one account's; nil: all have the same.
	LimitsOf func(owner jid.JID) Limits
	Keep     time.Duration // files are removed when they are older; 0: never
	// Scanned says that somebody gives verdicts: a new file waits for one.
	Scanned  bool
	Strip    bool // remove metadata from pictures
	Pictures picture.Limits
	// Active says whether an account may still upload; nil: everybody may.
	Active func(ctx context.Context, who jid.JID) (bool, error)
	Now    func() time.Time
	Log    *slog.Logger
}

// Store keeps files. All methods may be called from any goroutine.
type Store struct {
	conf    Config
	db      *store.DB
	root    *os.Root // of Dir: nothing is opened outside (HARDENING H2)
	blobs   blobs
	uploads *semaphore.Weighted
	thumbs  *picture.Maker
}

// Open opens the store: the folder is made if it is not there, and what was
// being uploaded when the last process ended is forgotten. Run must be called
// too: it clears away.
func Open(ctx context.Context, conf Config) (*Store, error) {
	if conf.Now == nil {
		conf.Now = time.Now
	}
	if conf.Log == nil {
		conf.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{conf: conf, db: conf.DB,
		uploads: semaphore.NewWeighted(max(conf.Limits.Uploads, 1)), thumbs: picture.NewMaker(conf.Pictures)}
	var err error
	if s.root, err = openRoot(conf.Dir); err != nil {
		return nil, fmt.Errorf("file: open: %w", err)
	}
	if conf.S3 != nil {
		s.blobs, err = newBucket(conf.S3)
	} else {
		s.blobs, err = newDisk(s.root)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("file: open: %w", err), s.root.Close())
	}
	if err := s.forgetUploads(ctx); err != nil {
		return nil, errors.Join(err, s.root.Close())
	}
	return s, nil
}

// Close closes the folder.
func (s *Store) Close() error { return s.root.Close() }

// Find reads a file by the secret of its address, slots included: Gate tells
// them from what can be downloaded.
func (s *Store) Find(ctx context.Context, id string) (*File, error) {
	return s.one(ctx, sqlFind, id)
}

func (s *Store) one(ctx context.Context, query, key string) (f *File, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		f, err = scan(tx.Row(query, key))
		return err
	})
	if errors.Is(err, store.ErrNoRows) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("file: find: %w", err)
	}
	return f, nil
}

// Open opens a file's content, whatever its state: the caller has asked Gate.
func (s *Store) Open(ctx context.Context, f *File) (io.ReadSeekCloser, error) {
	if f.Hash == "" {
		return nil, ErrUnknown
	}
	c, err := s.blobs.Open(ctx, f.Hash, f.Stored)
	if err != nil {
		return nil, fmt.Errorf("file: content: %w", err)
	}
	return c, nil
}

func scan(row store.RowScanner) (*File, error) {
	var f File
	var owner, state, purpose string
	var hash, thumb sql.NullString
	var created, expires, until int64
	err := row.Scan(&f.ID, &owner, &f.Name, &f.Media, &purpose, &f.Size, &f.Stored, &hash, &state, &f.Reason,
		&created, &expires, &until, &thumb, &f.thumbSize, &f.thumbed)
	if err != nil {
		return nil, err
	}
	f.State, f.Purpose, f.Hash, f.thumb = State(state), Purpose(purpose), hash.String, thumb.String
	f.Created, f.Expires = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
	if until != 0 {
		f.Until = time.UnixMicro(until).UTC()
	}
	f.Owner, err = jid.Parse(owner)
	return &f, err
}

func all(tx *store.Tx, query string, args ...any) (list []File, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		f, err := scan(rows)
		if err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		list = append(list, *f)
	}
	return list, rows.Err()
}
