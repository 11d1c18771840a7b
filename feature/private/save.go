package private

import (
	"context"
	"fmt"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

const (
	sqlAll = `SELECT payload FROM private_xml WHERE owner = $1 ORDER BY space, local`
	sqlAdd = `INSERT INTO private_xml (owner, space, local, payload) VALUES ($1, $2, $3, $4) ON CONFLICT (owner, space, local) DO NOTHING`
)

// Save is all an account keeps here as XEP-0227 §4.6 has it, nil if that is nothing.
func Save(ctx context.Context, db *store.DB, owner jid.JID) (*elem.Element, error) {
	out := elem.New(space, "query")
	err := db.Read(ctx, func(tx *store.Tx) error {
		return tx.Each(func(r store.RowScanner) error {
			var payload []byte
			err := r.Scan(&payload)
			out.Verbatim = append(out.Verbatim, payload...)
			return err
		}, sqlAll, owner.String())
	})
	if err != nil {
		return nil, fmt.Errorf("private: save: %w", err)
	}
	if len(out.Verbatim) == 0 {
		return nil, nil
	}
	return out, nil
}

// Restore keeps what Save gave, or another server; what is there stays. left is
// how many elements are none that can be kept.
func Restore(ctx context.Context, db *store.DB, owner jid.JID, query *elem.Element) (left int, err error) {
	err = db.Write(ctx, func(tx *store.Tx) error {
		left = 0
		for i, k := range query.Children {
			payload := k.AppendTo(nil, "")
			if own(k.Name) != nil || len(payload) > maxBytes || i >= maxElements {
				left++
				continue
			}
			if _, err := tx.Exec(sqlAdd, owner.String(), k.Space, k.Local, payload); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("private: restore: %w", err)
	}
	return left, nil
}
