package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/parlance-im/parlance/im/file/picture"
	"github.com/parlance-im/parlance/store"
)

// ThumbMedia is the type of every thumbnail.
const ThumbMedia = "image/jpeg"

// ErrNoThumb says that the file is no picture we show.
var ErrNoThumb = errors.New("file: no thumbnail of it")

// Thumb opens the thumbnail of a picture, which is made when it is first asked
// for and kept. At most as many as there are workers are made at a time; who
// waits too long gets ErrBusy. The caller has asked Gate.
func (s *Store) Thumb(ctx context.Context, f *File) (c io.ReadSeekCloser, size int64, hash string, err error) {
	switch {
	case f.Hash == "":
		return nil, 0, "", ErrUnknown
	case f.thumbed == "none":
		return nil, 0, "", ErrNoThumb
	case f.thumbed == "made":
		if c, err = s.blobs.Open(ctx, f.thumb, f.thumbSize); err != nil {
			return nil, 0, "", fmt.Errorf("file: thumbnail: %w", err)
		}
		return c, f.thumbSize, f.thumb, nil
	}
	small, err := s.makeThumb(ctx, f)
	if err != nil {
		return nil, 0, "", err
	}
	sum := sha256.Sum256(small)
	hash = hex.EncodeToString(sum[:])
	if err := s.keepThumb(ctx, f, small, hash); err != nil {
		// It was made; it is made again next time.
		s.conf.Log.Warn("file: a thumbnail is not kept", "err", err)
	}
	return memory{bytes.NewReader(small)}, int64(len(small)), hash, nil
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func (s *Store) makeThumb(ctx context.Context, f *File) ([]byte, error) {
	c, err := s.Open(ctx, f)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	small, err := s.thumbs.Make(ctx, c, f.Stored)
	switch {
	case err == nil:
		return small, nil
	case errors.Is(err, picture.ErrBusy):
		return nil, ErrBusy
	case errors.Is(err, picture.ErrNot):
		werr := s.db.Write(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(sqlThumbed, f.ID, "none")
			return err
		})
		if werr != nil {
			return nil, fmt.Errorf("file: thumbnail: %w", werr)
		}
		return nil, ErrNoThumb
	}
	return nil, fmt.Errorf("file: thumbnail: %w", err)
}

// keepThumb goes the same way as an upload: refer, put, show.
func (s *Store) keepThumb(ctx context.Context, f *File, small []byte, hash string) error {
	sp, err := s.sink()
	if err != nil {
		return err
	}
	defer sp.discard()
	sp.hash = hash
	if sp.size, err = io.Copy(sp.f, bytes.NewReader(small)); err != nil {
		return full(fmt.Errorf("file: thumbnail: %w", err))
	}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		if err := tighten(tx, hash); err != nil {
			return err
		}
		n, err := tx.Exec(sqlThumbing, f.ID, hash, sp.size)
		if err == nil && n == 0 {
			return ErrTaken // another request was faster, or the file is gone
		}
		return err
	})
	if errors.Is(err, ErrTaken) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("file: thumbnail: %w", err)
	}
	if err := s.blobs.Put(ctx, hash, sp); err != nil {
		return full(fmt.Errorf("file: thumbnail: %w", err))
	}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec(sqlThumbed, f.ID, "made")
		if err == nil && n == 0 { // the file was removed meanwhile
			_, err = tx.Exec(sqlLoosen, hash)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("file: thumbnail: %w", err)
	}
	return nil
}
