package server

import (
	"context"
	"time"

	"github.com/parlance-im/parlance/feature/avatar"
	"github.com/parlance-im/parlance/feature/bookmark"
	"github.com/parlance-im/parlance/feature/displayed"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/pep"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// personalConfig is what the personal services (XEP-0163) run on.
func (c *core) personalConfig(judge deliver.Judge) pep.Config {
	return pep.Config{
		DB: c.db, Routes: c.routes, Rosters: c.rosters, LocalDomain: c.local, Log: c.log, Now: time.Now,
		Limits: personalLimits(c.cfg), Convert: bookmark.Convert,
		After: func(ctx context.Context, account jid.JID, changes []pubsub.Change) {
			if err := c.avatars.Changed(ctx, account, changes, c.presence); err != nil {
				c.log.Error("server: contacts were not told of a new picture", "account", account.String(), "err", err)
			}
		},
		May: func(from, to jid.JID) bool {
			st := stanza.Stanza{Kind: stanza.Message, Type: stanza.Headline, From: from, To: to}
			return judge.Judge(context.Background(), &st).Action == deliver.Allow
		},
	}
}

// personalLimits are what one account may keep in its services.
func personalLimits(c *Config) pubsub.Limits {
	l := pubsub.DefaultLimits()
	l.Nodes, l.Items, l.Payload, l.Bytes = c.Limits.PersonalNodes, c.Limits.PersonalItems,
		int(c.Limits.PersonalItemBytes), int64(c.Limits.PersonalBytes)
	return l
}

// aside takes out of messages what is for their sender's account.
func aside(p *pep.Flow) func(context.Context, *session.Session, *stanza.Stanza) (*stanza.Stanza, error) {
	return func(ctx context.Context, s *session.Session, st *stanza.Stanza) (*stanza.Stanza, error) {
		st, err := displayed.Take(ctx, p, s.JID(), st)
		if err != nil {
			return nil, err
		}
		return p.Take(ctx, st)
	}
}

// followed is presence with those who follow it: first the picture's hash goes
// into it, then contacts are told, then the personal services.
type followed struct {
	arrivals
	personal *pep.Flow
	avatars  *avatar.Avatars
}

func (w followed) Update(ctx context.Context, s *session.Session, st *stanza.Stanza) (first bool, err error) {
	if st, err = w.avatars.Stamp(ctx, s.JID().Bare(), st); err != nil {
		return false, err
	}
	if first, err = w.arrivals.Update(ctx, s, st); err == nil {
		w.personal.Present(ctx, s, st, first)
	}
	return first, err
}

// Direct has the picture's hash in it too (XEP-0398 §4).
func (w followed) Direct(ctx context.Context, s *session.Session, st *stanza.Stanza) error {
	st, err := w.avatars.Stamp(ctx, s.JID().Bare(), st)
	if err != nil {
		return err
	}
	return w.arrivals.Direct(ctx, s, st)
}

// Subscription lets both sides see what they have come to share.
func (w followed) Subscription(ctx context.Context, s *session.Session, st *stanza.Stanza) error {
	if st.Type != stanza.Subscribe && st.Type != stanza.Subscribed {
		return w.arrivals.Subscription(ctx, s, st)
	}
	bond, err := w.personal.Bond(ctx, s.JID().Bare(), st.To.Bare())
	if err != nil {
		return err
	}
	if err := w.arrivals.Subscription(ctx, s, st); err != nil {
		return err
	}
	w.personal.Bonded(ctx, bond)
	return nil
}

func (w followed) Gone(ctx context.Context, s *session.Session) {
	w.arrivals.Gone(ctx, s)
	w.personal.Gone(ctx, s)
}
