package roster

import (
	"iter"
	"sort"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Contact is one line of Relations.
type Contact struct {
	JID   jid.JID
	State State
}

// Relations is how an account stands with everybody, without names and groups:
// what presence needs. It is immutable.
type Relations struct {
	owner   jid.JID
	seq     int64
	list    []Contact // sorted by JID
	waiting int       // contacts with PendingIn
}

// Owner is the account.
func (r *Relations) Owner() jid.JID { return r.owner }

// Len is how many contacts there are, pending requests included.
func (r *Relations) Len() int { return len(r.list) }

// Waiting is how many inbound requests wait for an answer.
func (r *Relations) Waiting() int { return r.waiting }

// With yields the contacts that have all bits of f.
func (r *Relations) With(f State) iter.Seq[jid.JID] {
	return func(yield func(jid.JID) bool) {
		for i := range r.list {
			if r.list[i].State&f == f && !yield(r.list[i].JID) {
				return
			}
		}
	}
}

// Of is the state with one contact (a bare JID).
func (r *Relations) Of(contact jid.JID) State {
	if i, ok := r.find(contact); ok {
		return r.list[i].State
	}
	return None
}

func (r *Relations) find(contact jid.JID) (int, bool) {
	key := contact.String()
	i := sort.Search(len(r.list), func(i int) bool { return r.list[i].JID.String() >= key })
	return i, i < len(r.list) && r.list[i].JID == contact
}

// with returns a copy where contact has state s; None takes it out.
func (r *Relations) with(contact jid.JID, s State, seq int64) *Relations {
	if r.seq >= seq {
		return r // loaded after that change had been committed
	}
	i, found := r.find(contact)
	next := &Relations{owner: r.owner, seq: seq, list: make([]Contact, 0, len(r.list)+1)}
	next.list = append(next.list, r.list[:i]...)
	if s != None {
		next.list = append(next.list, Contact{contact, s})
	}
	if found {
		i++
	}
	next.list = append(next.list, r.list[i:]...)
	next.count()
	return next
}

func (r *Relations) count() {
	r.waiting = 0
	for i := range r.list {
		if r.list[i].State&PendingIn != 0 {
			r.waiting++
		}
	}
}
