package pep

import (
	"context"
	"slices"

	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// arrive sends a session the last items of the nodes it has come to want to hear
// of: its own account's, its contacts', and those it subscribed to (XEP-0163 §4.3.4).
func (s *Flow) arrive(ctx context.Context, of *session.Session, fresh []string) {
	if len(fresh) == 0 {
		return
	}
	s.work.wait(ctx, func(ctx context.Context) {
		if s.cfg.Routes.Session(of.JID()) != of || !of.Standing().Available {
			return
		}
		if err := s.catchUp(ctx, of, fresh); err != nil {
			s.cfg.Log.Error("pep: last items", "session", of.JID().String(), "err", err)
		}
	})
}

func (s *Flow) catchUp(ctx context.Context, of *session.Session, fresh []string) error {
	account := of.JID().Bare()
	seen := map[jid.JID]bool{account: true}
	if err := s.lasts(ctx, of, account, fresh, false); err != nil {
		return err
	}
	rel, err := s.cfg.Rosters.Relations(ctx, account)
	if err != nil {
		return err
	}
	// Those who get the account's presence, and with it what its client wants to hear of.
	for contact := range rel.With(roster.From) {
		seen[contact] = true
		if err := s.lasts(ctx, of, contact, fresh, false); err != nil {
			return err
		}
	}
	services, err := s.nodes.SubscribedAt(ctx, account)
	if err != nil {
		return err
	}
	for _, service := range services {
		if seen[service] {
			continue
		}
		if err := s.lasts(ctx, of, service, fresh, true); err != nil {
			return err
		}
	}
	return nil
}

// lasts sends the last item of each of a service's nodes that the session wants
// and may read; with subscribed only of those it has subscribed to.
func (s *Flow) lasts(ctx context.Context, of *session.Session, service jid.JID, fresh []string, subscribed bool) error {
	if !s.cfg.LocalDomain(service.Domain()) {
		return nil
	}
	v, err := s.nodes.Root(ctx, service)
	if err != nil {
		return err
	}
	for _, n := range v.Nodes() {
		_, wanted := slices.BinarySearch(fresh, n.Name)
		if !wanted || subscribed && n.Subscription(of.JID().Bare()) != pubsub.Subscribed && n.Subscription(of.JID()) != pubsub.Subscribed {
			continue
		}
		if err := s.lastOf(ctx, of, n, pubsub.OnSubAndPresence); err != nil {
			return err
		}
	}
	return nil
}

// lastOf sends a node's last item to a session, if the node's configuration has it
// sent on that occasion and the session may read it now.
func (s *Flow) lastOf(ctx context.Context, of *session.Session, n *pubsub.Node, when pubsub.SendLast) error {
	c := &n.Config
	if !c.Persist || !c.Deliver || c.SendLast == pubsub.Never || when == pubsub.OnSubAndPresence && c.SendLast != when {
		return nil
	}
	account := of.JID().Bare()
	subscriber := false
	if !wants(n, of) || c.NoSubscribe && account != n.Service {
		return nil
	}
	if account != n.Service {
		rel, err := s.cfg.Rosters.Relations(ctx, n.Service)
		if err != nil {
			return err
		}
		subscriber = rel.Of(account).Is(roster.From)
		r, err := s.relation(ctx, n, account, rel.Of(account))
		if err != nil || n.Reads(account, r) != nil || !s.cfg.May(n.Service, of.JID()) {
			return err
		}
	}
	it, ok, err := s.nodes.Last(ctx, n)
	if err != nil || !ok {
		return err
	}
	ev := last(n, &it)
	s.push(of, &ev, subscriber)
	return nil
}

// welcome is XEP-0060 §6.1.7: the last item for whoever has just subscribed.
func welcome(s *Flow, ctx context.Context, c *pubsub.Change) {
	for _, to := range s.at(c.Whom) {
		if err := s.lastOf(ctx, to, c.Node, pubsub.OnSub); err != nil {
			s.cfg.Log.Error("pep: last item", "session", to.JID().String(), "err", err)
		}
	}
}

// Bond is how two accounts stand to each other in both rosters.
type Bond struct {
	A, B   jid.JID
	ab, ba roster.State
}

// Bond reads it, before a subscription changes.
func (s *Flow) Bond(ctx context.Context, a, b jid.JID) (o Bond, err error) {
	o = Bond{A: a, B: b}
	for _, side := range []struct {
		owner, other jid.JID
		st           *roster.State
	}{{a, b, &o.ab}, {b, a, &o.ba}} {
		if !s.cfg.LocalDomain(side.owner.Domain()) {
			continue
		}
		rel, err := s.cfg.Rosters.Relations(ctx, side.owner)
		if err != nil {
			return o, err
		}
		*side.st = rel.Of(side.other)
	}
	return o, nil
}

// Bonded sends the last items two accounts have come to see of each other since
// (XEP-0163 §4.3.4: to all new subscribers).
func (s *Flow) Bonded(ctx context.Context, was Bond) {
	is, err := s.Bond(ctx, was.A, was.B)
	if err != nil || is == was {
		return
	}
	s.work.wait(ctx, func(ctx context.Context) {
		for _, dir := range []struct {
			service, reader jid.JID
			was, is         roster.State
		}{{was.A, was.B, was.ab, is.ab}, {was.B, was.A, was.ba, is.ba}} {
			if dir.was == dir.is || !dir.is.Is(roster.To) || !s.cfg.LocalDomain(dir.service.Domain()) {
				continue
			}
			if err := s.bonded(ctx, dir.service, dir.reader, dir.was); err != nil {
				s.cfg.Log.Error("pep: last items of a new contact", "service", dir.service.String(), "err", err)
			}
		}
	})
}

func (s *Flow) bonded(ctx context.Context, service, reader jid.JID, was roster.State) error {
	v, err := s.nodes.Root(ctx, service)
	if err != nil {
		return err
	}
	for _, n := range v.Nodes() {
		to := s.interested(reader, n.Name)
		if len(to) == 0 {
			continue
		}
		before, err := s.relation(ctx, n, reader, was)
		if err != nil {
			return err
		}
		if was.Is(roster.To) && n.Reads(reader, before) == nil {
			continue // it has heard of it
		}
		for _, of := range to {
			if err := s.lastOf(ctx, of, n, pubsub.OnSubAndPresence); err != nil {
				return err
			}
		}
	}
	return nil
}
