package presence

import (
	"context"

	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Subscriptions carries requests to see somebody's presence, the answers to
// them, and what each change of a roster gives to see or takes away.
type Subscriptions struct{ *herald }

// Subscription takes subscribe, subscribed, unsubscribe and unsubscribed of a
// local session (RFC 6121 §3).
func (u *Subscriptions) Subscription(ctx context.Context, s *session.Session, st *stanza.Stanza) error {
	user, contact := s.JID().Bare(), st.To.Bare()
	switch {
	case contact.IsZero():
		return stanza.Fail("bad-request", "presence of this type needs an address")
	case contact == user:
		return stanza.Fail("not-allowed", "you see your own presence without a subscription")
	case !u.cfg.LocalDomain(contact.Domain()) && (st.Type == stanza.Subscribe || st.Type == stanza.Subscribed):
		return errRemote // the other two may still clean up our own side
	case contact.Local() == "" && u.cfg.LocalDomain(contact.Domain()):
		return stanza.Fail("service-unavailable", "the server itself has no presence")
	}
	local, err := u.Local(ctx, contact)
	if err != nil {
		return err
	}
	out := *st
	out.From, out.To = user, contact // RFC 6121 §3.1.2 and its like: stamped with the bare JID
	r := roster.Request{Type: st.Type, User: user, Contact: contact, Local: local, Deaf: !u.cfg.May(user, contact)}
	if st.Type == stanza.Subscribe {
		r.Stanza = out.AppendTo(nil)
	}
	return u.cfg.Rosters.Apply(ctx, r, func(step roster.Step) {
		if step.Do == roster.Deliver && step.Type == st.Type && step.Other == user {
			u.deliver(&out)
			return
		}
		u.Carry(step)
	})
}

// Local says whether a bare JID is an account of ours.
func (u *Subscriptions) Local(ctx context.Context, account jid.JID) (bool, error) {
	if account.Local() == "" || !u.cfg.LocalDomain(account.Domain()) {
		return false, nil
	}
	return u.cfg.Accounts.Exists(ctx, account)
}

// Carry does one step of a roster change, in the owner's name.
func (u *Subscriptions) Carry(step roster.Step) {
	switch step.Do {
	case roster.Deliver:
		u.deliver(&stanza.Stanza{Kind: stanza.Presence, Type: step.Type, From: step.Other, To: step.Owner})
	case roster.Announce:
		u.announce(step.Owner, step.Other)
	case roster.Withdraw:
		u.withdraw(step.Owner, step.Other)
	}
}

// deliver gives a subscription stanza to the contact's sessions: requests to
// the available ones (RFC 6121 §3.1.3), answers and cancellations to those that
// asked for the roster (RFC 6121 §3.1.6, §3.2.3, §3.3.3).
func (u *Subscriptions) deliver(st *stanza.Stanza) {
	sessions := u.cfg.Routes.Sessions(st.To)
	if len(sessions) == 0 || !u.cfg.May(st.From, st.To) {
		return // XEP-0191 §3.3: nothing from somebody blocked
	}
	var fr *session.Frame
	for _, t := range sessions {
		if st.Type == stanza.Subscribe && !t.Standing().Available || st.Type != stanza.Subscribe && !t.Flags().Interested {
			continue
		}
		if fr == nil {
			fr = route.Encode(st)
			fr.Urgent = true
		}
		u.cfg.Routes.Push(t, fr)
	}
}

// announce sends an account's present presence to a new subscriber (RFC 6121 §3.1.5).
func (u *Subscriptions) announce(owner, to jid.JID) {
	mu := u.lock(owner)
	mu.Lock()
	defer mu.Unlock()
	if rel := u.cfg.Rosters.Peek(owner); rel != nil && !rel.Of(to).Is(roster.From) {
		return
	}
	for _, s := range u.cfg.Routes.Sessions(owner) {
		if p := s.Presence(); p.Available {
			u.send(p.Stanza, to, u.cfg.May)
		}
	}
}

// withdraw sends unavailable presence of all an account's sessions to somebody
// who is no subscriber any more (RFC 6121 §3.2.2, §3.3.3).
func (u *Subscriptions) withdraw(owner, to jid.JID) {
	mu := u.lock(owner)
	mu.Lock()
	defer mu.Unlock()
	for _, s := range u.cfg.Routes.Sessions(owner) {
		if s.Standing().Available {
			u.send(unavailable(s.JID()), to, u.cfg.May)
		}
	}
}
