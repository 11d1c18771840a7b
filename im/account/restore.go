package account

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Restored is an account of another server, with its password or what is kept of one.
type Restored struct {
	Account
	Password string
	Keys     map[sasl.Hash]sasl.Keys
}

// Keys are what a login of an account is checked with; for an export.
func Keys(ctx context.Context, s *Store, who jid.JID) (map[sasl.Hash]sasl.Keys, error) {
	r := &record{keys: map[sasl.Hash]sasl.Keys{}}
	if err := s.db.Read(ctx, func(tx *store.Tx) error { return readKeys(tx, who, r) }); err != nil {
		return nil, fmt.Errorf("account: keys: %w", err)
	}
	return r.keys, nil
}

// Restore adds an account; added is false if it was there, and then nothing of
// it changes. A password it has had is not held against the rules for new ones.
// Without password and keys nobody can log in until one is set.
func Restore(ctx context.Context, s *Store, r Restored) (added bool, err error) {
	if err := checkName(r.JID); err != nil {
		return false, err
	}
	if err := checkDisplayName(r.Name); err != nil {
		return false, err
	}
	keys := map[sasl.Hash]sasl.Keys{}
	if r.Password != "" {
		prepared, err := sasl.Prepare(r.Password)
		if err != nil {
			return false, &Refused{"the password can't be used here"}
		}
		if keys, err = derive(prepared, s.conf.Iterations); err != nil {
			return false, err
		}
	} else {
		for h, k := range r.Keys {
			if err := checkKeys(h, k); err != nil {
				return false, err
			}
			keys[h] = k
		}
	}
	if r.Created.IsZero() {
		r.Created = s.now()
	}
	err = s.db.Write(ctx, func(tx *store.Tx) (err error) {
		added, err = insert(tx, r.Account, keys)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("account: restore: %w", err)
	}
	s.cache.drop(r.JID)
	if added && !r.Disabled {
		s.lacking.found(keys)
	}
	return added, nil
}

// KnownHash says whether a login here can be checked with keys of a hash.
func KnownHash(h sasl.Hash) bool { return slices.Contains(hashes(), h) }

// checkKeys refuses what no login could be checked with (RFC 5802 §3).
func checkKeys(h sasl.Hash, k sasl.Keys) error {
	switch {
	case !KnownHash(h):
		return &Refused{"keys of " + string(h) + " are not known here"}
	case k.Iterations < minIterations || k.Iterations > maxIterations:
		return &Refused{fmt.Sprintf("from %d to %d iterations are possible", minIterations, maxIterations)}
	case len(k.Salt) == 0 || len(k.Salt) > 1024 || len(k.StoredKey) != h.Size() || len(k.ServerKey) != h.Size():
		return &Refused{fmt.Sprintf("the keys of %s have %d bytes each", h, h.Size())}
	}
	return nil
}

// IsRefused says why an account can't be added as it is; ok is false for other errors.
func IsRefused(err error) (why string, ok bool) {
	if errors.Is(err, ErrName) {
		return "an account is named like user@domain", true
	}
	if r, ok := errors.AsType[*Refused](err); ok {
		return r.Why, true
	}
	return "", false
}
