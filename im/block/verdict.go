package block

import (
	"context"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// loadTime bounds the one query of a list that is not in memory.
const loadTime = 5 * time.Second

// Blocked says whether an account (bare JID) has blocked another entity. Its
// own resources and its own server can't be blocked. A list that can't be
// loaded blocks everybody: the caller who needs to know the reason asks Verdict.
func (s *Store) Blocked(owner, other jid.JID) bool {
	blocked, err := s.blocked(owner, other)
	return blocked || err != nil
}

// Allows says whether neither of two entities has blocked the other.
func (s *Store) Allows(a, b jid.JID) bool {
	return !s.Blocked(a.Bare(), b) && !s.Blocked(b.Bare(), a)
}

func (s *Store) blocked(owner, other jid.JID) (bool, error) {
	if owner.Local() == "" || other.IsZero() || other.Bare() == owner || other == owner.DomainJID() {
		return false, nil
	}
	l := s.cache.Peek(owner)
	if l == nil {
		ctx, cancel := context.WithTimeout(context.Background(), loadTime)
		defer cancel()
		var err error
		if l, err = s.cache.Get(ctx, owner); err != nil {
			s.cfg.Log.Error("block: load", "err", err)
			return false, err
		}
	}
	return l.Matches(other), nil
}

// Under are the full addresses of a bare one that an account has blocked, from
// memory: it is there while the account has a session.
func (s *Store) Under(owner, bare jid.JID) []jid.JID {
	l := s.cache.Peek(owner)
	if l == nil {
		return nil
	}
	return l.under(bare)
}

// Verdict judges one stanza: refuse is the error for its sender, drop says that
// it goes nowhere and nobody is told. Both are zero if it may pass. from is
// the sender's full JID; the lists of both ends are asked.
func (s *Store) Verdict(from, to jid.JID, kind stanza.Kind, typ stanza.Type) (refuse *stanza.Error, drop bool) {
	if to.IsZero() {
		return nil, false
	}
	out, err := s.blocked(from.Bare(), to)
	if err == nil && !out {
		var in bool
		if in, err = s.blocked(to.Bare(), from); err == nil && !in {
			return nil, false
		}
	}
	switch {
	case typ == stanza.Error_ || kind == stanza.IQ && typ != stanza.Get && typ != stanza.Set:
		return nil, true // RFC 6120 §8.3.1: never an error for an error; nor for an answer
	case err != nil && kind == stanza.Presence:
		return nil, true
	case err != nil:
		return stanza.Fail("internal-server-error", "the block list can't be read just now").WithType("wait"), false
	case out:
		return errBlocked(), false
	case kind == stanza.Presence && subscription(typ):
		// The sender's own roster changes as if nothing were wrong; im/presence asks
		// Allows before the other side hears of it.
		return nil, false
	case kind == stanza.Presence:
		return nil, true // XEP-0191 §3.3: no answer, no error
	}
	return stanza.Fail("service-unavailable", ""), false
}

func subscription(typ stanza.Type) bool {
	switch typ {
	case stanza.Subscribe, stanza.Subscribed, stanza.Unsubscribe, stanza.Unsubscribed:
		return true
	}
	return false
}

// errBlocked answers whoever writes to somebody he has blocked himself.
func errBlocked() *stanza.Error {
	e := stanza.Fail("not-acceptable", "you have blocked this contact").WithType("cancel")
	e.App = elem.New(ErrorSpace, "blocked")
	return e
}
