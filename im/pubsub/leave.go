package pubsub

import (
	"context"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Return ends the subscriptions at a service that were to last as long as
// somebody's presence (XEP-0060 §12.5): those of a resource that left, and with
// last those of its whole account.
func (s *Store) Return(ctx context.Context, service, full jid.JID, last bool) error {
	v, err := s.Root(ctx, service)
	if err != nil {
		return err
	}
	for _, n := range v.Nodes() {
		for _, sub := range n.subs {
			if !sub.Options.Presence || sub.JID != full && (!last || sub.JID.Bare() != full.Bare()) {
				continue
			}
			err := s.Do(ctx, service, full, func(w *Writing) error {
				w.altered = true
				_, err := w.tx.Exec(sqlDropSub, service.String(), n.Name, sub.JID.String())
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Offline empties the nodes of an account that are to be empty when nobody of it
// is there (pubsub#purge_offline).
func (s *Store) Offline(ctx context.Context, account jid.JID) error {
	v, err := s.Root(ctx, account)
	if err != nil {
		return err
	}
	for _, n := range v.Nodes() {
		if !n.Config.PurgeOffline {
			continue
		}
		err := s.Do(ctx, account, account, func(w *Writing) error {
			now, err := w.Node(n.Name)
			if err != nil || now == nil || !now.Config.PurgeOffline {
				return err
			}
			return w.Purge(now)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
