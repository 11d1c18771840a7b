package vcard

import (
	"context"
	"errors"
	"fmt"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Card is an account's card as it was written; nil if it has none.
func Card(ctx context.Context, db *store.DB, owner jid.JID) (card []byte, err error) {
	err = db.Read(ctx, func(tx *store.Tx) error { return tx.Row(sqlGet, owner.String()).Scan(&card) })
	if err != nil && !errors.Is(err, store.ErrNoRows) {
		return nil, fmt.Errorf("vcard: get: %w", err)
	}
	return card, nil
}

// SetCard writes an account's card on its behalf: an administrator's, or an import's.
func SetCard(ctx context.Context, db *store.DB, owner jid.JID, card *elem.Element) error {
	err := db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(sqlSet, owner.String(), card.AppendTo(nil, ""))
		return err
	})
	if err != nil {
		return fmt.Errorf("vcard: set: %w", err)
	}
	return nil
}

// Cards are those of a domain's accounts from one address to another, by address.
func Cards(ctx context.Context, db *store.DB, domain string, from, to jid.JID) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := db.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(sqlSome, from.String(), to.String(), domain)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var owner string
			var card []byte
			if err := rows.Scan(&owner, &card); err != nil {
				return err
			}
			out[owner] = card
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("vcard: some: %w", err)
	}
	return out, nil
}
