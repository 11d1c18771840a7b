package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

const (
	// DefaultTokenLife is how long a device's token lives without being used.
	DefaultTokenLife = 14 * 24 * time.Hour
	// rotations is the part of its life after which a token is replaced.
	rotations = 14
	// devicesMost is how many devices of one account may have tokens; one more
	// takes the place of that which is over first.
	devicesMost = 50
)

const (
	sqlFast = `SELECT f.slot, f.mechanism, f.seed, f.created, f.expires, f.counter FROM fast_token f
		JOIN account a ON a.jid = f.jid WHERE f.jid = $1 AND f.device = $2 AND a.disabled = 0`
	sqlFastAdd = `INSERT INTO fast_token (jid, device, slot, mechanism, seed, created, expires, used, counter, software, name)
		VALUES ($1, $2, 1, $3, $4, $5, $6, 0, 0, $7, $8)
		ON CONFLICT (jid, device, slot) DO UPDATE SET mechanism = EXCLUDED.mechanism, seed = EXCLUDED.seed, created = EXCLUDED.created,
		expires = EXCLUDED.expires, used = 0, counter = 0, software = EXCLUDED.software, name = EXCLUDED.name`
	sqlFastUse     = `UPDATE fast_token SET slot = 0, used = $4, counter = $5 WHERE jid = $1 AND device = $2 AND seed = $3 AND counter < $6`
	sqlFastOlder   = `DELETE FROM fast_token WHERE jid = $1 AND device = $2 AND slot = 0 AND seed <> $3`
	sqlFastRemove  = `DELETE FROM fast_token WHERE jid = $1 AND device = $2 AND seed = $3`
	sqlFastDevice  = `DELETE FROM fast_token WHERE jid = $1 AND device = $2`
	sqlFastForget  = `DELETE FROM fast_token WHERE jid = $1`
	sqlFastOver    = `DELETE FROM fast_token WHERE expires <= $1`
	sqlFastDevices = `SELECT device, software, name, created, used, expires FROM fast_token WHERE jid = $1 ORDER BY expires DESC, device`
)

// Device is what a client says of itself (XEP-0388 §2.3). It is for its owner alone.
type Device struct {
	ID       string // of the installation
	Software string
	Name     string
}

// Devices are the tokens people's devices log in with (XEP-0484).
type Devices struct {
	s        *Store
	onRevoke []func(jid.JID, string) // owner: s.mu
}

// fastToken is one token of a device. It is not kept: a proof can only be checked
// with the token itself, so that a hash of it would be as good to a thief. It is
// made again of its row and a key that is not in the data set.
type fastToken struct {
	slot, created, expires, counter int64
	mechanism                       string
	seed                            []byte
}

func (d *Devices) secret(who jid.JID, device, mech string, seed []byte) []byte {
	m := hmac.New(sha256.New, d.s.conf.TokenKey)
	for _, part := range []string{"fast", who.String(), device, mech, string(seed)} {
		fmt.Fprintf(m, "%d:%s", len(part), part)
	}
	return base64.RawURLEncoding.AppendEncode(nil, m.Sum(nil)) // 256 bits (HARDENING A10)
}

// Mint gives a device another token, good for one mechanism (XEP-0484 §3.3).
// What it has stays good until the new one is used; one it never used does not.
// since is when the login began that asks for it. ErrNoToken says that tokens are
// switched off.
func (d *Devices) Mint(ctx context.Context, who jid.JID, dev Device, mech string, since time.Time) (token string, expires time.Time, err error) {
	s := d.s
	if s.conf.TokenLife < 0 {
		return "", expires, ErrNoToken
	}
	now := s.now()
	seed := make([]byte, 32)
	rand.Read(seed) // never fails
	expires = now.Add(s.conf.TokenLife).UTC().Truncate(time.Second)
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		if d.Revoked(who, dev.ID, since) {
			return ErrRevoked
		}
		if _, err := tx.Exec(sqlFastOver, now.UnixMicro()); err != nil {
			return err
		}
		if err := active(tx, who); err != nil {
			return err
		}
		if err := thinDevices(tx, who, dev.ID); err != nil {
			return err
		}
		_, err := tx.Exec(sqlFastAdd, who.String(), dev.ID, mech, seed, now.UnixMicro(), expires.UnixMicro(), clip(dev.Software), clip(dev.Name))
		return err
	})
	if err != nil {
		return "", expires, fmt.Errorf("account: mint token of a device: %w", err)
	}
	return string(d.secret(who, dev.ID, mech, seed)), expires, nil
}

// active is ErrNotFound for an account that may not log in.
func active(tx *store.Tx, who jid.JID) error {
	var there int
	err := tx.Row(`SELECT 1 FROM account WHERE jid = $1 AND disabled = 0`, who.String()).Scan(&there)
	if isNoRows(err) {
		return ErrNotFound
	}
	return err
}

// clip bounds what a client says of itself.
func clip(s string) string {
	r := []rune(s)
	return string(r[:min(len(r), 100)])
}

// thinDevices makes room for one more device.
func thinDevices(tx *store.Tx, who jid.JID, device string) error {
	list, err := readDevices(tx, who)
	if err != nil || len(list) < devicesMost {
		return err
	}
	for _, d := range list {
		if d.ID == device {
			return nil
		}
	}
	_, err = tx.Exec(sqlFastDevice, who.String(), list[len(list)-1].ID)
	return err
}

// Secrets gives a device's tokens, the newer one first (XEP-0484 §5.1), or
// made-up ones: always two.
func (l *Login) Secrets(ctx context.Context, who jid.JID, mech string, u sasl.Use) (sasl.Secrets, error) {
	if err := l.allow(ctx, who); err != nil {
		return sasl.Secrets{}, err
	}
	var found [2]*fastToken
	err := l.s.db.Read(ctx, func(tx *store.Tx) error { return readFast(tx, who, u.Device, &found) })
	if err != nil {
		return sasl.Secrets{}, fmt.Errorf("account: tokens of a device: %w", err)
	}
	var out sasl.Secrets
	for i, f := range found {
		seed := l.s.fake.secret
		// A token is good for the mechanism it was asked for and no other (XEP-0484 §3.4).
		if f != nil && f.mechanism == mech && l.s.conf.TokenLife >= 0 {
			seed = f.seed
		} else {
			found[i] = nil
		}
		out.Tokens = append(out.Tokens, l.s.Devices.secret(who, u.Device, mech, seed))
	}
	out.Verdict = func(ctx context.Context, proven int) (bool, error) {
		var f *fastToken
		if proven >= 0 {
			f = found[proven]
		}
		if err := l.verdict(ctx, who, f != nil); err != nil {
			return false, err
		}
		if f == nil {
			return false, sasl.Denied()
		}
		return l.s.Devices.use(ctx, who, u, f)
	}
	return out, nil
}

func readFast(tx *store.Tx, who jid.JID, device string, out *[2]*fastToken) error {
	rows, err := tx.Query(sqlFast, who.String(), device)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		f := new(fastToken)
		if err := rows.Scan(&f.slot, &f.mechanism, &f.seed, &f.created, &f.expires, &f.counter); err != nil {
			return err
		}
		out[1-f.slot&1] = f
	}
	return rows.Err()
}

// use takes a token that was proven.
func (d *Devices) use(ctx context.Context, who jid.JID, u sasl.Use, f *fastToken) (due bool, err error) {
	s := d.s
	now := s.now()
	switch {
	case f.expires <= now.UnixMicro():
		return false, sasl.Fail(sasl.CredentialsExpired, "This device has not been here for long. Log in with the password.") // XEP-0484 §4.2
	case u.Count <= f.counter && (u.Count > 0 || f.counter > 0):
		return false, replayed() // XEP-0484 §3.4: each count once
	}
	due = !u.Invalidate && now.Sub(time.UnixMicro(f.created)) >= s.conf.TokenLife/rotations
	if f.slot == 0 && u.Count == 0 && !u.Invalidate {
		return due, nil // nothing to write down
	}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		if u.Invalidate {
			return one(tx.Exec(sqlFastRemove, who.String(), u.Device, f.seed)) // XEP-0484 §3.6
		}
		// XEP-0484 §3.5: whoever uses a token has no need of older ones.
		if _, err := tx.Exec(sqlFastOlder, who.String(), u.Device, f.seed); err != nil {
			return err
		}
		return one(tx.Exec(sqlFastUse, who.String(), u.Device, f.seed, now.UnixMicro(), u.Count, max(u.Count, 1)))
	})
	if errors.Is(err, ErrNotFound) {
		return false, replayed() // somebody was faster with the same count, or it was revoked
	}
	return due, err
}

func replayed() error { return sasl.Denied() }

// Known is a device with a token, as its owner sees it.
type Known struct {
	Device
	Created, Used, Expires time.Time // Used is zero for one that never came back
}

// List is the devices of an account that may log in with a token: of their own
// (XEP-0484), or, browsers, with a cookie.
func (d *Devices) List(ctx context.Context, who jid.JID) (list []Known, err error) {
	err = d.s.db.Read(ctx, func(tx *store.Tx) error {
		if list, err = readDevices(tx, who); err != nil {
			return err
		}
		browsers, err := readBrowsers(tx, who, d.s.now())
		list = append(list, browsers...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("account: devices: %w", err)
	}
	return list, nil
}

// readDevices gives each once, that which is over last first.
func readDevices(tx *store.Tx, who jid.JID) (list []Known, err error) {
	rows, err := tx.Query(sqlFastDevices, who.String())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	at := map[string]int{}
	for rows.Next() {
		var k Known
		var created, used, expires int64
		if err := rows.Scan(&k.ID, &k.Software, &k.Name, &created, &used, &expires); err != nil {
			return nil, err
		}
		k.Created, k.Expires = time.UnixMicro(created), time.UnixMicro(expires)
		if used > 0 {
			k.Used = time.UnixMicro(used)
		}
		if i, ok := at[k.ID]; ok {
			if k.Used.After(list[i].Used) {
				list[i].Used = k.Used
			}
			continue
		}
		at[k.ID] = len(list)
		list = append(list, k)
	}
	return list, rows.Err()
}

// Revoke kills the tokens of a device and has its sessions ended (HARDENING A12).
func (d *Devices) Revoke(ctx context.Context, who jid.JID, device string) error {
	s := d.s
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		// Before the commit: what a login of this device asks for behind it is refused.
		d.mark(who, device)
		if Browser(device) {
			return signOut(tx, who, device, s.now())
		}
		return one(tx.Exec(sqlFastDevice, who.String(), device))
	})
	if err != nil {
		return wrap("revoke device", err)
	}
	d.mark(who, device)
	s.mu.Lock()
	callbacks := d.onRevoke
	s.mu.Unlock()
	for _, f := range callbacks {
		f(who, device)
	}
	return nil
}

// mark notes that logins of a device that began until now do not count.
func (d *Devices) mark(who jid.JID, device string) {
	// What can't be a resource is no device's id either.
	if full, err := who.WithResource(device); err == nil {
		markRevoked(d.s, full)
	}
}

// Revoked says whether logins of a device were revoked at or after since, or all of
// its account's: a session that binds asks, as it does with Store.Revoked.
func (d *Devices) Revoked(who jid.JID, device string, since time.Time) bool {
	if d.s.Revoked(who, since) {
		return true
	}
	full, err := who.Bare().WithResource(device)
	if err != nil {
		return false
	}
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	at, ok := d.s.revoked[full]
	return ok && !at.Before(since)
}

// OnRevoke registers who must end the sessions of a device whose tokens were revoked.
func (d *Devices) OnRevoke(f func(who jid.JID, device string)) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.onRevoke = append(d.onRevoke[:len(d.onRevoke):len(d.onRevoke)], f)
}
