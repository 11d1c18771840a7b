package server

import (
	"context"
	"iter"
	"time"

	"github.com/parlance-im/parlance/feature/serviceadmin"
	"github.com/parlance-im/parlance/feature/vcard"
	"github.com/parlance-im/parlance/im/presence"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// administration is what the commands of XEP-0133 act on. The path is made after
// the features, which it needs: it is looked up when a command runs.
func (c *core) administration() serviceadmin.Config {
	return serviceadmin.Config{
		Accounts: c.accounts, Rosters: c.rosters, Blocks: c.blocks, Wall: c.wall, Routes: c.routes, Visits: c.visits,
		Notices: c.notices, Home: c.domain, Path: latePath{c}, Seen: c.presence.LastSeen, Now: time.Now, Stop: c.stopping.after,
		SetCard: func(ctx context.Context, owner jid.JID, card *elem.Element) error {
			return vcard.SetCard(ctx, c.db, owner, card)
		},
	}
}

type latePath struct{ c *core }

func (p latePath) Announce(ctx context.Context, msgs iter.Seq[*stanza.Stanza]) (int, error) {
	return p.c.path.Announce(ctx, msgs)
}

func (p latePath) Evict(ctx context.Context, who jid.JID, reason string) int {
	return p.c.path.Evict(ctx, who, reason)
}

// arrivals is presence, and greets whoever becomes available.
type arrivals struct {
	*presence.Flow
	greeter *serviceadmin.Greeter
}

func (c *core) arrivals() arrivals {
	return arrivals{c.presence, &serviceadmin.Greeter{Notices: c.notices, Visits: c.visits, Path: latePath{c},
		Seen: c.presence.LastSeen, Log: c.log}}
}

// Update meets deliver.Presence.
func (a arrivals) Update(ctx context.Context, s *session.Session, st *stanza.Stanza) (first bool, err error) {
	if first, err = a.Flow.Update(ctx, s, st); first && err == nil {
		a.greeter.Greet(ctx, s.JID().Bare())
	}
	return first, err
}
