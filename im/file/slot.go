package file

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Request asks for a slot.
type Request struct {
	Owner   jid.JID
	Name    string
	Media   string // "" if nobody said
	Size    int64
	Purpose Purpose
	Until   time.Time // zero: for ever
}

// Granted is a slot: one secret to bring the content with, another to get it.
type Granted struct {
	Put, ID string
	Name    string
}

// TooLargeError says how large a file may be.
type TooLargeError struct{ Max int64 }

func (e *TooLargeError) Error() string { return fmt.Sprintf("file: larger than %d bytes", e.Max) }

// QuotaError says that an account has brought what it may.
type QuotaError struct {
	Text  string    // for people
	Retry time.Time // when it may try again; zero: not by waiting
}

func (e *QuotaError) Error() string { return "file: quota: " + e.Text }

// ErrBusy says that the same can be tried again in a moment.
var ErrBusy = errors.New("file: busy")

const day = 24 * time.Hour

// Grant gives a slot. Its size counts from now on until it expires unused or
// the file is removed, so that quotas hold exactly however many ask at once:
// the store's one writer is what serialises them (HARDENING H4).
func (s *Store) Grant(ctx context.Context, r Request) (Granted, error) {
	limits := s.conf.Limits
	if s.conf.LimitsOf != nil {
		limits = s.conf.LimitsOf(r.Owner)
	}
	if r.Size > limits.Size {
		return Granted{}, &TooLargeError{limits.Size}
	}
	g := Granted{Put: rand.Text(), ID: rand.Text(), Name: PlainName(r.Name)} // 130 bits each (HARDENING A10)
	now := s.conf.Now()
	var until int64
	if !r.Until.IsZero() {
		until = r.Until.UnixMicro()
	}
	owner := r.Owner.Bare().String()
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		if err := expireOf(tx, owner, now); err != nil {
			return err
		}
		if err := room(tx, limits, owner, r, now); err != nil {
			return err
		}
		if err := charge(tx, owner, r.Purpose, r.Size, 1); err != nil {
			return err
		}
		_, err := tx.Exec(sqlAdd, g.ID, g.Put, owner, g.Name, r.Media, string(r.Purpose), r.Size,
			now.UnixMicro(), now.Add(limits.Slot).UnixMicro(), until)
		return err
	})
	if _, full := errors.AsType[*QuotaError](err); full {
		return Granted{}, err
	}
	if err != nil {
		return Granted{}, full(fmt.Errorf("file: slot: %w", err))
	}
	return g, nil
}

// charge counts a file to its owner, or with negative numbers off again.
func charge(tx *store.Tx, owner string, p Purpose, size int64, files int) error {
	profile := int64(0)
	if p == ForProfile {
		profile = size
	}
	_, err := tx.Exec(sqlCharge, owner, size, files, profile)
	return err
}

// room says why an account gets no slot; nil if it does.
func room(tx *store.Tx, l Limits, owner string, r Request, now time.Time) error {
	var bytes, files, profile int64
	if err := tx.Row(sqlUsage, owner).Scan(&bytes, &files, &profile); err != nil && !errors.Is(err, store.ErrNoRows) {
		return err
	}
	if bytes+r.Size > l.Total {
		return &QuotaError{Text: fmt.Sprintf("Your files take %d of %d bytes.", bytes, l.Total)}
	}
	if r.Purpose == ForProfile && profile+r.Size > l.Profile {
		return &QuotaError{Text: fmt.Sprintf("Your profile's files take %d of %d bytes.", profile, l.Profile)}
	}
	var open int
	if err := tx.Row(sqlSlots, owner, now.Add(-day).UnixMicro()).Scan(&open); err != nil {
		return err
	}
	if open >= l.OpenSlots {
		return &QuotaError{Text: fmt.Sprintf("%d uploads have been announced and not made yet.", open), Retry: now.Add(l.Slot)}
	}
	return roomToday(tx, l, owner, r, now)
}

// roomToday looks at the last 24 hours.
func roomToday(tx *store.Tx, l Limits, owner string, r Request, now time.Time) error {
	if r.Size > l.PerDay {
		return &QuotaError{Text: fmt.Sprintf("Not more than %d bytes a day.", l.PerDay)}
	}
	rows, err := tx.Query(sqlDay, owner, now.Add(-day).UnixMicro())
	if err != nil {
		return err
	}
	type brought struct{ size, at int64 }
	var list []brought
	sum := int64(0)
	for rows.Next() {
		var b brought
		if err := rows.Scan(&b.size, &b.at); err != nil {
			return errors.Join(err, rows.Close())
		}
		list, sum = append(list, b), sum+b.size
	}
	if err := rows.Err(); err != nil {
		return err
	}
	n := len(list)
	if sum+r.Size <= l.PerDay && n < l.FilesPerDay {
		return nil
	}
	text := fmt.Sprintf("You have brought %d files of %d bytes in 24 hours; %d files or %d bytes are the limit.", n, sum, l.FilesPerDay, l.PerDay)
	for _, b := range list { // the oldest leave first
		sum, n = sum-b.size, n-1
		if sum+r.Size <= l.PerDay && n < l.FilesPerDay {
			return &QuotaError{Text: text, Retry: time.UnixMicro(b.at).Add(day).UTC()}
		}
	}
	return &QuotaError{Text: text}
}

// expireOf removes an account's slots that were not used in time: what they
// reserved is free at that moment, not when the sweeper comes by.
func expireOf(tx *store.Tx, owner string, now time.Time) error {
	list, err := all(tx, sqlExpiredOf, owner, now.UnixMicro())
	if err != nil {
		return err
	}
	for i := range list {
		if err := drop(tx, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

// drop removes a row, takes it off its owner's account and lets go of its contents.
func drop(tx *store.Tx, f *File) error {
	if _, err := tx.Exec(sqlDelete, f.ID); err != nil {
		return err
	}
	for _, hash := range []string{f.Hash, f.thumb} {
		if hash == "" {
			continue
		}
		if _, err := tx.Exec(sqlLoosen, hash); err != nil {
			return err
		}
	}
	return charge(tx, f.Owner.String(), f.Purpose, -f.Size, -1)
}
