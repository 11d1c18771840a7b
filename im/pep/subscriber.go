package pep

import (
	"context"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// wants says whether a session is to be told, as the options of its subscription
// say (XEP-0060 §6.3); without one, whoever named the node is.
func wants(n *pubsub.Node, of *session.Session) bool {
	sub := n.Governs(of.JID())
	if sub == nil || sub.State != pubsub.Subscribed {
		return true
	}
	show := ""
	if st := of.Presence().Stanza; st != nil {
		show = st.Text(stanza.Space, "show")
	}
	return sub.Options.Wants(show)
}

// standing says in what state a subscription is now (XEP-0060 §12.14, §12.19).
func standing(c *pubsub.Change) event {
	e := elem.New(pubsub.EventSpace, "subscription", "node", c.Node.Name, "jid", c.Whom.String(), "subscription", string(c.State))
	if c.Until != 0 {
		e.Set("expiry", stanza.Stamp(time.UnixMicro(c.Until)))
	}
	return event{node: c.Node, body: e}
}

// tellOwners is pubsub#notify_sub.
func tellOwners(s *Flow, c *pubsub.Change) {
	if !c.Node.Config.NotifySub {
		return
	}
	ev := standing(c)
	for _, owner := range c.Node.Owners() {
		for _, to := range s.at(owner) {
			s.push(to, &ev, false)
		}
	}
}

// ask asks the owners that are there whether somebody may subscribe (XEP-0060
// §8.6, §12.13: the first answer counts). Whoever is not there is asked on
// coming back (remind).
func ask(s *Flow, c *pubsub.Change) {
	if !c.To.IsZero() {
		if of := s.cfg.Routes.Session(c.To); of != nil {
			s.cfg.Routes.Push(of, authorization(c, of.JID()))
		}
		return
	}
	for _, owner := range c.Node.Owners() {
		for _, to := range s.at(owner) {
			s.cfg.Routes.Push(to, authorization(c, to.JID()))
		}
	}
}

// authorization is the message of XEP-0060 §8.6. Whom the answer is about is in
// the form, so nothing is remembered of the question.
func authorization(c *pubsub.Change, to jid.JID) *session.Frame {
	st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.Normal, From: c.Node.Service, To: to, ID: freshID()}
	st.Add(pubsub.Authorization(c.Node, c.Whom).Element())
	return route.Encode(st)
}

// remind asks a session that has just come about what waits for its account.
func remind(s *Flow, ctx context.Context, of *session.Session) {
	v, err := s.nodes.Root(ctx, of.JID().Bare())
	if err != nil {
		s.cfg.Log.Error("pep: requests that wait", "session", of.JID().String(), "err", err)
		return
	}
	for _, c := range v.Pending() {
		s.cfg.Routes.Push(of, authorization(&c, of.JID()))
	}
}

// Take takes an owner's answer out of what a session sends (XEP-0060 §8.6): st is
// nil then. Other messages come back as they are.
func (s *Flow) Take(ctx context.Context, st *stanza.Stanza) (*stanza.Stanza, error) {
	if !st.To.IsBare() || !s.cfg.LocalDomain(st.To.Domain()) {
		return st, nil
	}
	k, ok := st.Child(form.Space, "x")
	if !ok {
		return st, nil
	}
	e, err := st.Element(k)
	if err != nil {
		return st, nil // it is judged with the rest of the message
	}
	f := form.Read(e)
	if !pubsub.IsDecision(f) {
		return st, nil
	}
	if err := s.nodes.Decide(ctx, st.To, st.From, f); err != nil {
		return nil, err
	}
	s.Settle(ctx)
	return nil, nil
}

// borrowings are the subscriptions that end with their holder's presence
// (XEP-0060 §12.5), by account: at which services.
type borrowings struct {
	mu sync.Mutex
	at map[jid.JID]map[jid.JID]struct{} // owner: mu
}

func (b *borrowings) add(who, service jid.JID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at == nil {
		b.at = map[jid.JID]map[jid.JID]struct{}{}
	}
	if b.at[who.Bare()] == nil {
		b.at[who.Bare()] = map[jid.JID]struct{}{}
	}
	b.at[who.Bare()][service] = struct{}{}
}

// of gives an account's services; last forgets them.
func (b *borrowings) of(account jid.JID, last bool) (out []jid.JID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for service := range b.at[account] {
		out = append(out, service)
	}
	if last {
		delete(b.at, account)
	}
	return out
}

// leave ends what was to last as long as a session's presence, and empties the
// account's nodes that are configured so if it was the last one.
func leave(s *Flow, ctx context.Context, of *session.Session) {
	account, last := of.JID().Bare(), true
	for _, o := range s.cfg.Routes.Sessions(account) {
		if o != of && o.Standing().Available {
			last = false
		}
	}
	for _, service := range s.borrowed.of(account, last) {
		if err := s.nodes.Return(ctx, service, of.JID(), last); err != nil {
			s.cfg.Log.Error("pep: a temporary subscription was not ended", "service", service.String(), "err", err)
		}
	}
	if !last {
		return
	}
	if err := s.nodes.Offline(ctx, account); err != nil {
		s.cfg.Log.Error("pep: nodes were not emptied", "account", account.String(), "err", err)
	}
}
