package roster

import (
	"errors"
	"fmt"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

const (
	sqlItem = `SELECT name, in_groups, subscription, ask, approved FROM roster_item WHERE owner = $1 AND contact = $2`

	sqlItems = `SELECT contact, name, in_groups, subscription, ask, approved FROM roster_item
WHERE owner = $1 ORDER BY contact`

	sqlStates = `SELECT contact, subscription, ask, approved FROM roster_item WHERE owner = $1`

	sqlPutItem = `INSERT INTO roster_item (owner, contact, name, in_groups, subscription, ask, approved)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (owner, contact) DO UPDATE SET name = excluded.name, in_groups = excluded.in_groups,
subscription = excluded.subscription, ask = excluded.ask, approved = excluded.approved`

	sqlDropItem = `DELETE FROM roster_item WHERE owner = $1 AND contact = $2`

	sqlHasPending = `SELECT 1 FROM roster_pending WHERE owner = $1 AND contact = $2`

	sqlPendingOf = `SELECT contact FROM roster_pending WHERE owner = $1`

	sqlPending = `SELECT contact, stanza FROM roster_pending WHERE owner = $1 ORDER BY at, contact`

	sqlPutPending = `INSERT INTO roster_pending (owner, contact, stanza, at) VALUES ($1, $2, $3, $4)
ON CONFLICT (owner, contact) DO NOTHING`

	sqlDropPending = `DELETE FROM roster_pending WHERE owner = $1 AND contact = $2`

	sqlVersion = `SELECT ver, seq FROM roster_version WHERE owner = $1`

	// The number of a change is the time in microseconds, or one more than the
	// last where the clock is behind, so that it stays unique even when an account
	// is removed and made again. $3 is what clients see of it: 0 for nothing.
	sqlBump = `INSERT INTO roster_version (owner, ver, seq) VALUES ($1, $3, $2)
ON CONFLICT (owner) DO UPDATE SET
seq = CASE WHEN roster_version.seq >= excluded.seq THEN roster_version.seq + 1 ELSE excluded.seq END,
ver = CASE WHEN excluded.ver = 0 THEN roster_version.ver
           WHEN roster_version.seq >= excluded.seq THEN roster_version.seq + 1 ELSE excluded.seq END
RETURNING seq`

	sqlForgetItems   = `DELETE FROM roster_item WHERE owner = $1`
	sqlForgetPending = `DELETE FROM roster_pending WHERE owner = $1`
	sqlForgetVersion = `DELETE FROM roster_version WHERE owner = $1`
)

func readItem(tx *store.Tx, owner, contact jid.JID) (it Item, ok bool, err error) {
	it.JID = contact
	var groups string
	err = tx.Row(sqlItem, owner.String(), contact.String()).Scan(&it.Name, &groups, &it.Subscription, &it.Ask, &it.Approved)
	if errors.Is(err, store.ErrNoRows) {
		return Item{JID: contact, Subscription: "none"}, false, nil
	}
	if err == nil {
		it.Groups, err = decodeGroups(groups)
	}
	return it, err == nil, err
}

func readItems(tx *store.Tx, owner jid.JID) ([]Item, error) {
	rows, err := tx.Query(sqlItems, owner.String())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var items []Item
	for rows.Next() {
		var it Item
		var contact, groups string
		if err := rows.Scan(&contact, &it.Name, &groups, &it.Subscription, &it.Ask, &it.Approved); err != nil {
			return nil, err
		}
		if it.JID, err = jid.Parse(contact); err != nil {
			return nil, fmt.Errorf("contact of %s: %w", owner, err)
		}
		if it.Groups, err = decodeGroups(groups); err != nil {
			return nil, fmt.Errorf("groups of a contact of %s: %w", owner, err)
		}
		items = append(items, it)
	}
	return items, rows.Err()
}

func readVersion(tx *store.Tx, owner jid.JID) (ver, seq int64, err error) {
	err = tx.Row(sqlVersion, owner.String()).Scan(&ver, &seq)
	if errors.Is(err, store.ErrNoRows) {
		return 0, 0, nil
	}
	return ver, seq, err
}

// readStates collects the states of an account's contacts.
func readStates(tx *store.Tx, owner jid.JID) (map[jid.JID]State, error) {
	states := map[jid.JID]State{}
	rows, err := tx.Query(sqlStates, owner.String())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var it Item
		var contact string
		if err := rows.Scan(&contact, &it.Subscription, &it.Ask, &it.Approved); err != nil {
			return nil, err
		}
		c, err := jid.Parse(contact)
		if err != nil {
			return nil, fmt.Errorf("contact of %s: %w", owner, err)
		}
		states[c] = it.state()
	}
	return states, rows.Err()
}

// addPending marks those whose requests wait.
func addPending(tx *store.Tx, owner jid.JID, states map[jid.JID]State) error {
	rows, err := tx.Query(sqlPendingOf, owner.String())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var contact string
		if err := rows.Scan(&contact); err != nil {
			return err
		}
		c, err := jid.Parse(contact)
		if err != nil {
			return fmt.Errorf("request to %s: %w", owner, err)
		}
		states[c] |= PendingIn
	}
	return rows.Err()
}
