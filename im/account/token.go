package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Kind is what a token is for; it is good for nothing else.
type Kind string

// The kinds and how long they should live.
const (
	Web    Kind = "web"    // the cookie of a browser: WebTTL
	Stream Kind = "stream" // OAUTHBEARER (RFC 7628), child of a web token: StreamTTL
	Setup  Kind = "setup"  // makes the first account, once: SetupTTL

	WebTTL    = 12 * time.Hour
	StreamTTL = 5 * time.Minute
	SetupTTL  = 30 * time.Minute // HARDENING V8
)

// ErrNoToken says that a token is unknown, over, of another kind, or its
// account may not log in. Nobody is told which.
var ErrNoToken = errors.New("account: no such token")

const (
	sqlTokenAdd = `INSERT INTO token (hash, jid, kind, created, expires, parent) VALUES ($1, $2, $3, $4, $5, $6)`
	// A token of a disabled account is none, and one of a removed account either.
	sqlToken = `SELECT t.jid, t.expires FROM token t LEFT JOIN account a ON a.jid = t.jid
		WHERE t.hash = $1 AND t.kind = $2 AND t.expires > $3 AND (t.jid = '' OR a.disabled = 0)`
	sqlTokenRemove  = `DELETE FROM token WHERE hash = $1 OR parent = $1`
	sqlTokensRemove = `DELETE FROM token WHERE jid = $1`
	sqlTokensKind   = `DELETE FROM token WHERE kind = $1`
	sqlTokensOver   = `DELETE FROM token WHERE expires <= $1`
)

// newToken makes 256 random bits (HARDENING A10) and the hash that is stored.
func newToken() (token string, hash []byte) {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	token = base64.RawURLEncoding.EncodeToString(b)
	return token, hashToken(token)
}

// hashToken needs no salt and no rounds: a token can't be guessed.
func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// MintToken makes a token for an account; a set-up token has none (the zero JID).
func (s *Store) MintToken(ctx context.Context, who jid.JID, kind Kind, ttl time.Duration) (string, error) {
	token, hash := newToken()
	now := s.now()
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		if err := sweep(tx, now); err != nil {
			return err
		}
		if kind == Setup { // the newest is the only one
			if _, err := tx.Exec(sqlTokensKind, string(kind)); err != nil {
				return err
			}
		}
		_, err := tx.Exec(sqlTokenAdd, hash, who.Bare().String(), string(kind), now.UnixMicro(), now.Add(ttl).UnixMicro(), nil)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("account: mint token: %w", err)
	}
	return token, nil
}

// MintChild makes a token from another one of the kind `of`, for the same
// account. It lives no longer than its parent, and dies with it.
func (s *Store) MintChild(ctx context.Context, parent string, of, kind Kind, ttl time.Duration) (token string, who jid.JID, err error) {
	token, hash := newToken()
	now := s.now()
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		j, expires, err := readToken(tx, parent, of, now)
		if err != nil {
			return err
		}
		if err := sweep(tx, now); err != nil {
			return err
		}
		who = j
		end := min(now.Add(ttl).UnixMicro(), expires)
		_, err = tx.Exec(sqlTokenAdd, hash, who.String(), string(kind), now.UnixMicro(), end, hashToken(parent))
		return err
	})
	if err != nil {
		return "", jid.JID{}, tokenError("mint child", err)
	}
	return token, who, nil
}

// CheckToken gives the account a token stands for; ErrNoToken if it is none.
func (s *Store) CheckToken(ctx context.Context, token string, kind Kind) (who jid.JID, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		who, _, err = readToken(tx, token, kind, s.now())
		return err
	})
	if err != nil {
		return jid.JID{}, tokenError("check token", err)
	}
	return who, nil
}

// TakeToken is CheckToken for one that can be used once: of several callers at
// the same time one gets it.
func (s *Store) TakeToken(ctx context.Context, token string, kind Kind) (who jid.JID, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		if who, _, err = readToken(tx, token, kind, s.now()); err != nil {
			return err
		}
		_, err := tx.Exec(sqlTokenRemove, hashToken(token))
		return err
	})
	if err != nil {
		return jid.JID{}, tokenError("take token", err)
	}
	return who, nil
}

// RevokeToken kills a token and its children; one that is none is no error.
func (s *Store) RevokeToken(ctx context.Context, token string) error {
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(sqlTokenRemove, hashToken(token))
		return err
	})
	if err != nil {
		return fmt.Errorf("account: revoke token: %w", err)
	}
	return nil
}

func readToken(tx *store.Tx, token string, kind Kind, now time.Time) (who jid.JID, expires int64, err error) {
	var text string
	if err := tx.Row(sqlToken, hashToken(token), string(kind), now.UnixMicro()).Scan(&text, &expires); err != nil {
		return who, 0, err
	}
	if text == "" {
		return who, expires, nil
	}
	who, err = jid.Parse(text)
	return who, expires, err
}

// sweep deletes what is over. It rides on the transaction of a new token.
func sweep(tx *store.Tx, now time.Time) error {
	_, err := tx.Exec(sqlTokensOver, now.UnixMicro())
	return err
}

func tokenError(what string, err error) error {
	if isNoRows(err) {
		return ErrNoToken
	}
	return fmt.Errorf("account: %s: %w", what, err)
}

func isNoRows(err error) bool { return errors.Is(err, store.ErrNoRows) }
