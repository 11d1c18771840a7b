package room

import (
	"context"
	"maps"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Accounts says who exists here.
type Accounts interface {
	Exists(ctx context.Context, bare jid.JID) (bool, error)
}

// Forget removes an account's affiliations and nicknames with the account: who
// gets its name later is somebody else. What it said stays in the record.
func Forget(tx *store.Tx, who jid.JID) error {
	for _, q := range []string{sqlForgetAsks, sqlForgetHat} {
		if _, err := tx.Exec(q, who.String()); err != nil {
			return err
		}
	}
	_, err := tx.Exec(sqlForget, who.String())
	return err
}

// Drop forgets an account that was removed in the rooms that are in memory.
func (rs *Rooms) Drop(ctx context.Context, who jid.JID, accounts Accounts) {
	if rs == nil {
		return
	}
	if here, err := accounts.Exists(ctx, who); err != nil || here {
		return
	}
	rs.mu.Lock()
	all := maps.Clone(rs.loaded)
	rs.mu.Unlock()
	for _, r := range all {
		r.mu.Lock()
		if _, known := r.grants[who]; known && !r.gone {
			grants := maps.Clone(r.grants) // a change under way may be reading the old one
			delete(grants, who)
			r.grants = grants
			r.versions = versions{} // nobody was told: who asks gets all
			r.reserve()
		}
		delete(r.requests, who)
		if _, wears := r.hats.worn[who]; wears {
			worn := maps.Clone(r.hats.worn)
			delete(worn, who)
			r.hats.worn = worn
		}
		r.mu.Unlock()
	}
}
