package presence

import (
	"context"

	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Hide makes the owner look offline to those for whom who answers true
// (XEP-0191 §3.3): subscribers and those who got directed
// presence. The block list says no to them already, so nothing newer follows.
func (f *Flow) Hide(owner jid.JID, who func(jid.JID) bool) {
	mu := f.lock(owner)
	mu.Lock()
	defer mu.Unlock()
	sieve := func(_, to jid.JID) bool { return who(to) }
	rel := f.cfg.Rosters.Peek(owner)
	for _, s := range f.cfg.Routes.Sessions(owner) {
		st := unavailable(s.JID())
		if rel != nil && s.Standing().Available {
			for contact := range rel.With(roster.From) {
				f.send(st, contact, sieve)
			}
		}
		for _, to := range s.Directed(false) {
			if !who(to) {
				continue
			}
			s.RemoveDirected(to)
			if t := f.cfg.Routes.Session(to); t != nil {
				f.cfg.Routes.Push(t, frame(st, to, s.JID().String()))
			} else if !to.IsFull() {
				f.send(st, to, nil)
			}
		}
	}
}

// Show is its opposite: they get the owner's present presence, if they are
// subscribers, and the owner theirs (XEP-0191 §3.4).
func (f *Flow) Show(owner jid.JID, who func(jid.JID) bool) {
	rel := f.cfg.Rosters.Peek(owner)
	if rel == nil {
		return // no session of the owner has been available
	}
	sieve := func(from, to jid.JID) bool { return who(to) && f.cfg.May(from, to) }
	mu := f.lock(owner)
	mu.Lock()
	for _, s := range f.cfg.Routes.Sessions(owner) {
		p := s.Presence()
		if !p.Available {
			continue
		}
		for contact := range rel.With(roster.From) {
			f.send(p.Stanza, contact, sieve)
		}
	}
	mu.Unlock()
	for contact := range rel.With(roster.To) {
		f.reveal(contact, owner, who)
	}
}

// reveal tells the owner's sessions the presence of a contact's.
func (f *Flow) reveal(contact, owner jid.JID, who func(jid.JID) bool) {
	mu := f.lock(contact)
	mu.Lock()
	defer mu.Unlock()
	theirs := f.cfg.Rosters.Peek(contact)
	if theirs == nil || !theirs.Of(owner).Is(roster.From) {
		return
	}
	for _, o := range f.cfg.Routes.Sessions(contact) {
		if !who(o.JID()) {
			continue
		}
		for _, s := range f.cfg.Routes.Sessions(owner) {
			if s.Standing().Available {
				f.show(o, s)
			}
		}
	}
}

// Revise changes the present presence of an account's available sessions and
// tells those who see it, as if each had sent it anew (XEP-0398 §4: a new
// picture). change returns nil where nothing changes; it must not alter what it
// gets, and is called under a lock.
func (f *Flow) Revise(ctx context.Context, account jid.JID, change func(*stanza.Stanza) *stanza.Stanza) error {
	return f.with(ctx, account, func(rel *roster.Relations) {
		for _, s := range f.cfg.Routes.Sessions(account) {
			p := s.Presence()
			if !p.Available {
				continue
			}
			next := change(p.Stanza)
			if next == nil {
				continue
			}
			p.Stanza = next
			s.SetPresence(p)
			f.tell(rel, next, nil)
		}
	})
}
