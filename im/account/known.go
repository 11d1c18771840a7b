package account

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

const (
	// rememberEvery is how soon a source that is new to an account is on disk.
	rememberEvery = 2 * time.Second
	// maxKnown is how many sources of one account are remembered: the last used.
	maxKnown = 32
	// renewAfter is how much longer a source must be known for to be written again.
	renewAfter = 24 * time.Hour
)

const (
	sqlKnown    = `SELECT until FROM known_source WHERE account = $1 AND source = $2`
	sqlRemember = `INSERT INTO known_source (account, source, until) VALUES ($1, $2, $3)
		ON CONFLICT (account, source) DO UPDATE SET until = excluded.until`
	sqlForgetMost = `DELETE FROM known_source WHERE account = $1 AND source NOT IN
		(SELECT source FROM known_source WHERE account = $1 ORDER BY until DESC, source LIMIT 32)`
	sqlForgetOld  = `DELETE FROM known_source WHERE until < $1`
	sqlAccountHas = `SELECT 1 FROM account WHERE jid = $1`
)

// sources is what the data set has of known sources.
type sources struct {
	db      *store.DB
	limiter *Limiter
	secret  []byte
	now     func() time.Time
}

// Remember writes down which sources have become known for an account, until ctx ends, and then the rest. What it
// can't write it tries again.
func (s *Store) Remember(ctx context.Context, log *slog.Logger) {
	t := time.NewTicker(rememberEvery)
	defer t.Stop()
	for told := false; ; {
		done := false
		select {
		case <-ctx.Done():
			done = true
		case <-t.C:
		}
		err := s.sources.remember(context.WithoutCancel(ctx))
		if err != nil && !told {
			log.Warn("account: known sources are not written down; a restart forgets them", "err", err)
		}
		told = err != nil
		if done {
			return
		}
	}
}

func (s *sources) remember(ctx context.Context) error {
	fresh := s.limiter.takeFresh()
	if len(fresh) == 0 {
		return nil
	}
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		for _, f := range fresh {
			var one int64
			err := tx.Row(sqlAccountHas, f.user).Scan(&one)
			if errors.Is(err, store.ErrNoRows) {
				continue // it was removed meanwhile
			}
			if err != nil {
				return err
			}
			if _, err := tx.Exec(sqlRemember, f.user, s.key(f.source, f.user), f.until.UnixMicro()); err != nil {
				return err
			}
			if _, err := tx.Exec(sqlForgetMost, f.user); err != nil {
				return err
			}
		}
		_, err := tx.Exec(sqlForgetOld, s.now().UnixMicro())
		return err
	})
	if err != nil {
		s.limiter.giveBack(fresh)
		return fmt.Errorf("account: remember: %w", err)
	}
	return nil
}

// recall looks up whether a source is known for an account from before the start; the limiter knows it then. It is
// asked only where somebody would be refused, so that a login costs nothing.
func (s *sources) recall(ctx context.Context, source netip.Addr, who jid.JID) bool {
	if !source.IsValid() || s.limiter.knows(source, who.String()) {
		return false
	}
	var until int64
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Row(sqlKnown, who.String(), s.key(network(source), who.String())).Scan(&until)
	})
	if err != nil {
		return false // not known, or nobody can tell: he is refused as he would have been
	}
	return s.limiter.recalled(source, who.String(), time.UnixMicro(until))
}

// sourceKey is what the table has for an address.
func (s *sources) key(source netip.Addr, user string) []byte {
	m := hmac.New(sha256.New, s.secret)
	m.Write([]byte("known-source\x00" + user + "\x00"))
	b := source.As16()
	m.Write(b[:])
	return m.Sum(nil)[:16]
}
