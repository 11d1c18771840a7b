package block

import (
	"github.com/parlance-im/parlance/xmpp/jid"
)

// List is one account's block list. It is immutable.
type List struct {
	jids map[jid.JID]struct{}
}

func newList(jids []jid.JID) *List {
	l := &List{}
	if len(jids) == 0 {
		return l
	}
	l.jids = make(map[jid.JID]struct{}, len(jids))
	for _, j := range jids {
		l.jids[j] = struct{}{}
	}
	return l
}

// Len is how many entries there are.
func (l *List) Len() int { return len(l.jids) }

// Matches says whether j is blocked, in the order of XEP-0191 §6: the address
// itself (a full JID, or a domain with that resource), the bare JID, the domain
// with everybody and everything at it.
func (l *List) Matches(j jid.JID) bool {
	if len(l.jids) == 0 {
		return false
	}
	for _, a := range [...]jid.JID{j, j.Bare(), j.DomainJID()} {
		if _, ok := l.jids[a]; ok {
			return true
		}
	}
	return false
}

// changed returns the list with some entries added and others taken out.
func (l *List) changed(add, remove []jid.JID) *List {
	gone := make(map[jid.JID]bool, len(remove))
	for _, j := range remove {
		gone[j] = true
	}
	next := make([]jid.JID, 0, len(l.jids)+len(add))
	for j := range l.jids {
		if !gone[j] {
			next = append(next, j)
		}
	}
	return newList(append(next, add...))
}

// under are the blocked full addresses of a bare one: a room's occupants.
func (l *List) under(bare jid.JID) (out []jid.JID) {
	for j := range l.jids {
		if j.IsFull() && j.Bare() == bare {
			out = append(out, j)
		}
	}
	return out
}
