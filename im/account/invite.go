package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Invites are invitations (XEP-0401): tokens that let somebody make an account,
// become somebody's contact, or both, once.
type Invites struct{ s *Store }

// Invite is what a token is good for.
type Invite struct {
	Inviter jid.JID // bare
	Name    string  // the localpart of the account; "" if the invited one chooses it
	Account bool    // an account can be made with it (XEP-0445)
	Contact bool    // inviter and invited become contacts (XEP-0379)
	Expires time.Time
}

// ErrReserved says that a name waits for somebody who was invited.
var ErrReserved = errors.New("account: the name is reserved for somebody who was invited")

// ErrInvites says that somebody has too many invitations that nobody has taken up.
var ErrInvites = errors.New("account: too many open invitations")

const (
	// invitesMost is how many invitations of one inviter may be open.
	invitesMost = 100
	// inviteGrace is how long one that is over may still be finished: its end was
	// looked at when the registration began, and is not looked at again (XEP-0445 §4).
	inviteGrace = time.Hour
)

const (
	sqlInviteAdd = `INSERT INTO invite (hash, inviter, name, account, contact, created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	// An invitation of somebody who is disabled or gone is none.
	sqlInvite = `SELECT i.inviter, i.name, i.account, i.contact, i.expires FROM invite i JOIN account a ON a.jid = i.inviter
		WHERE i.hash = $1 AND a.disabled = 0`
	sqlInviteTake   = `DELETE FROM invite WHERE hash = $1`
	sqlInviteOver   = `DELETE FROM invite WHERE expires <= $1`
	sqlInviteOpen   = `SELECT count(*) FROM invite WHERE inviter = $1`
	sqlInviteNamed  = `SELECT count(*) FROM invite WHERE name = $1 AND expires > $2`
	sqlInviteForget = `DELETE FROM invite WHERE inviter = $1`
)

// Mint makes a token for one invitation: 130 random bits (HARDENING A10).
func (v *Invites) Mint(ctx context.Context, i Invite, ttl time.Duration) (token string, expires time.Time, err error) {
	token, now := strings.ToLower(rand.Text()), v.s.now()
	expires = now.Add(ttl).UTC().Truncate(time.Second)
	err = v.s.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(sqlInviteOver, now.Add(-inviteGrace).UnixMicro()); err != nil {
			return err
		}
		var open int
		if err := tx.Row(sqlInviteOpen, i.Inviter.String()).Scan(&open); err != nil {
			return err
		}
		if open >= invitesMost {
			return ErrInvites
		}
		if i.Name != "" {
			if err := free(tx, i.Inviter.Domain(), i.Name, now); err != nil {
				return err
			}
		}
		_, err := tx.Exec(sqlInviteAdd, hashToken(token), i.Inviter.String(), i.Name, i.Account, i.Contact, now.UnixMicro(), expires.UnixMicro())
		return err
	})
	if err != nil {
		return "", expires, inviteError("mint invitation", err)
	}
	return token, expires, nil
}

// free says whether a name can still become an account's.
func free(tx *store.Tx, domain, name string, now time.Time) error {
	who, err := jid.New(name, domain, "")
	if err != nil {
		return ErrName
	}
	var n int
	if err := tx.Row(`SELECT count(*) FROM account WHERE jid = $1`, who.String()).Scan(&n); err != nil || n > 0 {
		return errors.Join(err, map[bool]error{true: ErrExists}[n > 0])
	}
	return unreserved(tx, name, now)
}

// unreserved is ErrReserved for a name that waits for somebody (XEP-0401 §6.2).
func unreserved(tx *store.Tx, name string, now time.Time) error {
	var n int
	if err := tx.Row(sqlInviteNamed, name, now.UnixMicro()).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return ErrReserved
	}
	return nil
}

// Find gives what a token is good for; ErrNoToken if for nothing.
func (v *Invites) Find(ctx context.Context, token string) (i Invite, err error) {
	err = v.s.db.Read(ctx, func(tx *store.Tx) error {
		i, err = readInvite(tx, token)
		return err
	})
	if err == nil && !v.s.now().Before(i.Expires) {
		err = ErrNoToken
	}
	if err != nil {
		return Invite{}, inviteError("find invitation", err)
	}
	return i, nil
}

func readInvite(tx *store.Tx, token string) (i Invite, err error) {
	var inviter string
	var expires int64
	if err = tx.Row(sqlInvite, hashToken(token)).Scan(&inviter, &i.Name, &i.Account, &i.Contact, &expires); err != nil {
		return i, err
	}
	i.Expires = time.UnixMicro(expires)
	i.Inviter, err = jid.Parse(inviter)
	return i, err
}

// Register makes an account, and uses the invitation up in the same transaction:
// of several at the same time one gets it, and one that fails leaves it good
// (XEP-0445 §4). Without a token the name must not be reserved.
func (v *Invites) Register(ctx context.Context, token string, who jid.JID, password string) (i Invite, err error) {
	err = v.s.Create(ctx, who, password, Options{with: func(tx *store.Tx) error {
		if token == "" {
			return unreserved(tx, who.Local(), v.s.now())
		}
		if i, err = readInvite(tx, token); err != nil {
			return err
		}
		switch {
		case !i.Account || i.Inviter.Domain() != who.Domain():
			return ErrNoToken
		case i.Name != "" && i.Name != who.Local():
			return ErrReserved
		}
		if n, err := tx.Exec(sqlInviteTake, hashToken(token)); err != nil || n == 0 {
			return errors.Join(err, map[bool]error{true: ErrNoToken}[n == 0])
		}
		if i.Name != "" {
			return nil
		}
		return unreserved(tx, who.Local(), v.s.now())
	}})
	if err != nil {
		return Invite{}, inviteError("register", err)
	}
	return i, nil
}

// Spend uses an invitation of inviter up to become a contact, and says whether
// there was one (XEP-0379 §3.5).
func (v *Invites) Spend(ctx context.Context, token string, inviter jid.JID) (bool, error) {
	i, err := v.Find(ctx, token)
	if errors.Is(err, ErrNoToken) || err == nil && (!i.Contact || i.Inviter != inviter) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var n int64
	err = v.s.db.Write(ctx, func(tx *store.Tx) error {
		n, err = tx.Exec(sqlInviteTake, hashToken(token))
		return err
	})
	if err != nil {
		return false, inviteError("spend invitation", err)
	}
	return n > 0, nil
}

func inviteError(what string, err error) error {
	for _, known := range []error{ErrNoToken, ErrExists, ErrReserved, ErrInvites, ErrName} {
		if errors.Is(err, known) {
			return known
		}
	}
	if _, ok := errors.AsType[*Refused](err); ok {
		return err
	}
	if isNoRows(err) || errors.Is(err, ErrNotFound) {
		return ErrNoToken
	}
	return fmt.Errorf("account: %s: %w", what, err)
}
