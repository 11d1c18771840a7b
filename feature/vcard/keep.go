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
