package pep

import (
	"context"

	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// notify tells whoever is to hear of the changes of one commit.
func (s *Flow) notify(ctx context.Context, service jid.JID, changes []pubsub.Change) {
	for i := range changes {
		c := &changes[i]
		switch c.Kind {
		case pubsub.Published, pubsub.Retracted, pubsub.Purged, pubsub.Deleted, pubsub.Configured:
			if c.Quiet {
				break
			}
			if err := s.spread(ctx, service, c); err != nil {
				s.cfg.Log.Error("pep: notify", "service", service.String(), "node", c.Node.Name, "err", err)
			}
		case pubsub.Joined:
			welcome(s, ctx, c)
			tellOwners(s, c)
		case pubsub.Left:
			tellOwners(s, c)
		case pubsub.Moved: // XEP-0060 §12.14
			ev := standing(c)
			for _, to := range s.at(c.Whom) {
				s.push(to, &ev, false)
			}
		case pubsub.Asked:
			ask(s, c)
		case pubsub.Borrowed:
			s.borrowed.add(c.Whom, c.Node.Service)
		}
	}
	if s.cfg.After != nil {
		s.cfg.After(ctx, service, changes)
	}
}

// at are the available sessions an address stands for.
func (s *Flow) at(who jid.JID) (out []*session.Session) {
	for _, o := range s.cfg.Routes.Sessions(who.Bare()) {
		if o.Standing().Available && (who.IsBare() || o.JID() == who) {
			out = append(out, o)
		}
	}
	return out
}

// spread sends one change to its audience, each session once (XEP-0163 §4.3.2).
func (s *Flow) spread(ctx context.Context, service jid.JID, c *pubsub.Change) error {
	n := c.Node
	if !n.Config.Deliver {
		return nil
	}
	ev := changed(c, s.nodes.Limits())
	for _, to := range s.interested(service, n.Name) {
		s.push(to, &ev, false)
	}
	rel, err := s.cfg.Rosters.Relations(ctx, service)
	if err != nil {
		return err
	}
	if n.Config.NoSubscribe {
		return nil
	}
	// Contacts whose presence the account gets: it is with that presence that they
	// say what they want to hear of (XEP-0163 §2.3, XEP-0060 §9.1).
	for contact := range rel.With(roster.To) {
		if to := s.interested(contact, n.Name); len(to) > 0 {
			if err := s.tell(ctx, &ev, contact, rel.Of(contact), to); err != nil {
				return err
			}
		}
	}
	return subscribed(s, ctx, &ev, rel)
}

// interested are an account's available sessions that want to hear of a node.
func (s *Flow) interested(account jid.JID, node string) (out []*session.Session) {
	for _, o := range s.cfg.Routes.Sessions(account) {
		if o.Standing().Available && s.caps.wantsNode(o, node) {
			out = append(out, o)
		}
	}
	return out
}

// tell notifies the sessions of one contact, if it may read the node now.
func (s *Flow) tell(ctx context.Context, ev *event, contact jid.JID, st roster.State, to []*session.Session) error {
	r, err := s.relation(ctx, ev.node, contact, st)
	if err != nil || ev.node.Reads(contact, r) != nil {
		return err
	}
	for _, o := range to {
		// XEP-0163 §4.3.3, 3: not to whom the owner has blocked, nor to whom has blocked the owner.
		if wants(ev.node, o) && s.cfg.May(ev.node.Service, o.JID()) {
			s.push(o, ev, st.Is(roster.From))
		}
	}
	return nil
}

// subscribed notifies those who subscribed explicitly: an entity's sessions that
// named the node in their capabilities, or, if none did, all that are available
// (XEP-0163 §4.3.2). A subscription its holder has lost the right to ends here
// (XEP-0163 §7.1).
func subscribed(s *Flow, ctx context.Context, ev *event, rel *roster.Relations) error {
	n := ev.node
	for _, sub := range n.Subscriptions() {
		bare := sub.JID.Bare()
		if sub.State != pubsub.Subscribed || !s.cfg.LocalDomain(bare.Domain()) {
			continue
		}
		r, err := s.relation(ctx, n, bare, rel.Of(bare))
		if err != nil {
			return err
		}
		if n.Reads(bare, r) != nil {
			end(ctx, s, n, bare)
			continue
		}
		to := s.at(sub.JID)
		if sub.JID.IsBare() {
			if keen := s.interested(bare, n.Name); len(keen) > 0 {
				to = keen
			}
		}
		if err := s.tell(ctx, ev, bare, rel.Of(bare), to); err != nil {
			return err
		}
	}
	return nil
}

// end cancels the subscriptions of somebody who may not read the node any more,
// and says so.
func end(ctx context.Context, s *Flow, n *pubsub.Node, who jid.JID) {
	err := s.nodes.Do(ctx, n.Service, n.Service, func(w *pubsub.Writing) error {
		now, err := w.Node(n.Name)
		if err != nil || now == nil {
			return err
		}
		w.Move(now, who, pubsub.Unsubscribed)
		return w.Unsubscribe(now, who)
	})
	if err != nil {
		s.cfg.Log.Error("pep: a lost subscription was not ended", "service", n.Service.String(), "err", err)
	}
}

// push hands one notification to one session, once.
func (s *Flow) push(to *session.Session, ev *event, reply bool) {
	if ev.got == nil {
		ev.got = map[*session.Session]struct{}{}
	}
	if _, again := ev.got[to]; again {
		return
	}
	ev.got[to] = struct{}{}
	s.cfg.Routes.Push(to, ev.frame(to.JID(), reply))
}
