package roster

import "github.com/parlance-im/parlance/xmpp/stanza"

// State is how an owner stands with a contact: the subscription states of RFC
// 6121 Appendix A.1 as bits, and what the server keeps beside them.
type State uint8

const (
	To         State = 1 << iota // the owner is subscribed to the contact
	From                         // the contact is subscribed to the owner
	PendingOut                   // the owner has asked (ask='subscribe')
	PendingIn                    // the contact has asked and waits for the answer
	Approved                     // the owner approved a request to come (RFC 6121 §3.4)
	Listed                       // there is a roster item; a pending request alone makes none
)

// None is the state of strangers.
const None State = 0

// core are the bits Appendix A speaks of.
const core = To | From | PendingOut | PendingIn

// Subscription is the value of an item's subscription attribute (RFC 6121 §2.1.2.5).
func (s State) Subscription() string {
	switch s & (To | From) {
	case To:
		return "to"
	case From:
		return "from"
	case To | From:
		return "both"
	}
	return "none"
}

// Is says whether all bits of f are set.
func (s State) Is(f State) bool { return s&f == f }

// step is one cell of Appendix A's tables: the new state and whether the stanza
// is routed (outbound) or delivered (inbound).
type step struct {
	next State
	pass bool
}

// The nine states of RFC 6121 Appendix A.1 by their names there.
const (
	noneOut   = PendingOut
	noneIn    = PendingIn
	noneOutIn = PendingOut | PendingIn
	toIn      = To | PendingIn
	fromOut   = From | PendingOut
	both      = To | From
)

// outbound is RFC 6121 Appendix A.2: what the owner's own stanza does.
func outbound(typ stanza.Type, s State) step {
	switch typ {
	case stanza.Subscribe: // RFC 6121 §A.2.1: always routed
		switch s {
		case None:
			return step{noneOut, true}
		case noneIn:
			return step{noneOutIn, true}
		case From:
			return step{fromOut, true}
		}
		return step{s, true}
	case stanza.Unsubscribe: // RFC 6121 §A.2.2: always routed
		switch s {
		case noneOut, To:
			return step{None, true}
		case noneOutIn, toIn:
			return step{noneIn, true}
		case fromOut, both:
			return step{From, true}
		}
		return step{s, true}
	case stanza.Subscribed: // RFC 6121 §A.2.3: routed only as an answer
		switch s {
		case noneIn:
			return step{From, true}
		case noneOutIn:
			return step{fromOut, true}
		case toIn:
			return step{both, true}
		}
	case stanza.Unsubscribed: // RFC 6121 §A.2.4
		switch s {
		case noneIn, From:
			return step{None, true}
		case noneOutIn, fromOut:
			return step{noneOut, true}
		case toIn, both:
			return step{To, true}
		}
	}
	return step{s, false}
}

// inbound is RFC 6121 Appendix A.3: what the contact's stanza does to the owner.
func inbound(typ stanza.Type, s State) step {
	switch typ {
	case stanza.Subscribe: // RFC 6121 §A.3.1
		switch s {
		case None:
			return step{noneIn, true}
		case noneOut:
			return step{noneOutIn, true}
		case To:
			return step{toIn, true}
		}
	case stanza.Unsubscribe: // RFC 6121 §A.3.2
		switch s {
		case noneIn, From:
			return step{None, true}
		case noneOutIn, fromOut:
			return step{noneOut, true}
		case toIn, both:
			return step{To, true}
		}
	case stanza.Subscribed: // RFC 6121 §A.3.3: only what was asked for
		switch s {
		case noneOut:
			return step{To, true}
		case noneOutIn:
			return step{toIn, true}
		case fromOut:
			return step{both, true}
		}
	case stanza.Unsubscribed: // RFC 6121 §A.3.4
		switch s {
		case noneOut, To:
			return step{None, true}
		case noneOutIn, toIn:
			return step{noneIn, true}
		case fromOut, both:
			return step{From, true}
		}
	}
	return step{s, false}
}

// Outbound applies the owner's own subscription stanza: the new state, and
// whether it goes on to the contact (RFC 6121 Appendix A.2, §3.4.2).
func Outbound(typ stanza.Type, s State) (next State, route bool) {
	st := outbound(typ, s&core)
	next = st.next | s&^core
	switch {
	case typ == stanza.Subscribe && st.next&PendingOut != 0:
		next |= Listed // RFC 6121 §3.1.2: the request makes an item
	case typ == stanza.Subscribed && st.pass:
		next |= Listed // RFC 6121 §3.1.5
	case typ == stanza.Subscribed && s&From == 0:
		next |= Approved | Listed // RFC 6121 §3.4.2: kept for a request to come, not routed
	case typ == stanza.Unsubscribed:
		next &^= Approved // RFC 6121 §3.4.2: cancels the pre-approval
	}
	return next, st.pass
}

// Inbound applies a contact's subscription stanza: the new state, whether the
// owner gets to see it, and what is answered in the owner's name ("" for
// nothing; RFC 6121 Appendix A.3, §3.1.3, §3.4.2).
func Inbound(typ stanza.Type, s State) (next State, deliver bool, reply stanza.Type) {
	if typ == stanza.Subscribe {
		switch {
		case s&From != 0:
			// RFC 6121 §3.1.3: subscribed already, answered without asking again.
			return s, false, stanza.Subscribed
		case s&Approved != 0:
			// RFC 6121 §3.4.2: approved before it was asked.
			return s&^PendingIn | From, false, stanza.Subscribed
		}
	}
	st := inbound(typ, s&core)
	return st.next | s&^core, st.pass, ""
}
