package account

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

const (
	sqlBrowsers = `SELECT hash, created, expires FROM token WHERE jid = $1 AND kind = $2 AND expires > $3 ORDER BY expires DESC, hash`
	sqlBrowser  = `SELECT t.parent FROM token t WHERE t.hash = $1`
	sqlSignOut  = `DELETE FROM token WHERE hash = $1 OR parent = $1`

	// browserMark begins the id of a browser. Ids that clients give themselves are
	// in lower case (edge/c2s), so that none can pass for a browser.
	browserMark = "WEB-"
)

// browserID names the browser that holds a cookie, without giving the cookie away.
func browserID(cookie []byte) string {
	return browserMark + hex.EncodeToString(cookie[:min(len(cookie), 8)])
}

// Browser says whether a device is a browser that has signed in (Web). Its tabs are
// one device, and there may be several at once.
func Browser(device string) bool { return strings.HasPrefix(device, browserMark) }

// Browser is the browser whose token let somebody in here; "" if it was none.
func (l *Login) Browser() string { return l.browser }

// readBrowser is the browser that a token of the stream was made for.
func readBrowser(tx *store.Tx, token string) (string, error) {
	var parent []byte
	if err := tx.Row(sqlBrowser, hashToken(token)).Scan(&parent); err != nil || parent == nil {
		return "", err
	}
	return browserID(parent), nil
}

// eachBrowser goes through the cookies of an account.
func eachBrowser(tx *store.Tx, who jid.JID, now time.Time, f func(cookie []byte, created, expires time.Time) error) error {
	rows, err := tx.Query(sqlBrowsers, who.String(), string(Web), now.UnixMicro())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var cookie []byte
		var created, expires int64
		if err := rows.Scan(&cookie, &created, &expires); err != nil {
			return err
		}
		if err := f(cookie, time.UnixMicro(created), time.UnixMicro(expires)); err != nil {
			return err
		}
	}
	return rows.Err()
}

// readBrowsers are the browsers of an account, as devices.
func readBrowsers(tx *store.Tx, who jid.JID, now time.Time) (list []Known, err error) {
	err = eachBrowser(tx, who, now, func(cookie []byte, created, expires time.Time) error {
		list = append(list, Known{Device: Device{ID: browserID(cookie), Software: "Web client"}, Created: created, Expires: expires})
		return nil
	})
	return list, err
}

// signOut deletes the cookie of a browser and the tokens made from it.
func signOut(tx *store.Tx, who jid.JID, device string, now time.Time) error {
	var found []byte
	err := eachBrowser(tx, who, now, func(cookie []byte, _, _ time.Time) error {
		if browserID(cookie) == device {
			found = cookie
		}
		return nil
	})
	if err != nil {
		return err
	}
	if found == nil {
		return ErrNotFound
	}
	_, err = tx.Exec(sqlSignOut, found)
	return err
}

// check is Store.CheckToken for a token of the stream; it also takes note of the browser it is of.
func (l *Login) check(ctx context.Context, token string) (who jid.JID, err error) {
	s := l.s
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		if who, _, err = readToken(tx, token, Stream, s.now()); err != nil {
			return err
		}
		l.browser, err = readBrowser(tx, token)
		return err
	})
	if err != nil {
		return jid.JID{}, tokenError("check token", err)
	}
	return who, nil
}
