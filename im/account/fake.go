package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// faker makes up keys for accounts that do not exist (HARDENING A6). It never
// changes after newFaker.
type faker struct {
	secret []byte
	shapes map[sasl.Hash]shape
}

func newFaker(ctx context.Context, db *store.DB, iterations int) (f faker, err error) {
	if f.secret, err = serverSecret(ctx, db); err != nil {
		return f, err
	}
	f.shapes, err = commonShapes(ctx, db, iterations)
	return f, err
}

const (
	sqlSettingGet = `SELECT value FROM setting WHERE name = $1`
	sqlSettingAdd = `INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
	secretName    = "account.fake-salt-key"
)

// serverSecret reads the key of made-up salts, and makes it at the first start.
func serverSecret(ctx context.Context, db *store.DB) (key []byte, err error) {
	get := func(tx *store.Tx) error { return tx.Row(sqlSettingGet, secretName).Scan(&key) }
	if err = db.Read(ctx, get); !errors.Is(err, store.ErrNoRows) {
		return key, err
	}
	fresh := make([]byte, 32)
	rand.Read(fresh) // never fails
	err = db.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(sqlSettingAdd, secretName, fresh); err != nil {
			return err
		}
		return get(tx)
	})
	return key, err
}

// shape is how keys look from outside: what a made-up one must resemble.
type shape struct{ iterations, salt int }

const sqlShapes = `SELECT iterations, length(salt) FROM account_key WHERE mechanism = $1 LIMIT 1000`

// commonShapes looks at some accounts: imported ones may have other iteration
// counts than new ones, and then a made-up count would give itself away.
func commonShapes(ctx context.Context, db *store.DB, iterations int) (map[sasl.Hash]shape, error) {
	out := map[sasl.Hash]shape{}
	err := db.Read(ctx, func(tx *store.Tx) error {
		for _, h := range hashes() {
			best, err := commonShape(tx, h)
			if err != nil {
				return err
			}
			if best.iterations == 0 {
				best = shape{iterations, 16}
			}
			out[h] = best
		}
		return nil
	})
	return out, err
}

func commonShape(tx *store.Tx, h sasl.Hash) (best shape, err error) {
	rows, err := tx.Query(sqlShapes, string(h))
	if err != nil {
		return best, err
	}
	defer rows.Close()
	seen := map[shape]int{}
	for rows.Next() {
		var sh shape
		if err := rows.Scan(&sh.iterations, &sh.salt); err != nil {
			return best, err
		}
		seen[sh]++
		if seen[sh] > seen[best] {
			best = sh
		}
	}
	return best, rows.Err()
}

// keys makes the keys of an account that is not there: always the same ones,
// and to nobody without the secret different from real ones.
func (f faker) keys(who jid.JID, h sasl.Hash) sasl.Keys {
	sh := f.shapes[h]
	return sasl.Keys{
		Salt:       f.mac("salt", h, who, sh.salt),
		Iterations: sh.iterations,
		StoredKey:  f.mac("stored", h, who, h.Size()),
		ServerKey:  f.mac("server", h, who, h.Size()),
	}
}

func (f faker) mac(what string, h sasl.Hash, who jid.JID, n int) []byte {
	var out []byte
	for i := byte(0); len(out) < n; i++ {
		m := hmac.New(sha256.New, f.secret)
		m.Write([]byte(what + "\x00" + string(h) + "\x00" + who.String()))
		m.Write([]byte{0, i})
		out = m.Sum(out)
	}
	return out[:n]
}
