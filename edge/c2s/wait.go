package c2s

import (
	"crypto/rand"
	"errors"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// errPark says that nothing came for a while.
var errPark = errors.New("c2s: nothing comes")

// expect sets the time by which something must have come.
func (l *link) expect() {
	now := time.Now()
	until := l.st.deadline()
	if until.IsZero() {
		if l.heard || l.due.IsZero() {
			l.due, l.heard = now.Add(l.srv.conf.Limits.Idle), false
		}
		until = l.due
		if p := now.Add(l.srv.conf.Limits.Park); l.parks() && p.Before(until) {
			until = p
		}
		// A deadline costs more than the rest of a read: one a little early will do.
		if l.until.After(now.Add(until.Sub(now)*3/4)) && !l.until.After(until) {
			return
		}
	}
	if until.Equal(l.until) {
		return
	}
	l.until = until
	_ = l.base.SetReadDeadline(until)
}

// parks says that the connection may be given to the lot.
func (l *link) parks() bool { return l.st.nego == nil && l.n == 0 && !l.stays }

// park gives the connection to the lot and says whether it took it; then it is
// no more this goroutine's.
func (l *link) park() bool {
	lot, base, out := &l.srv.lot, l.base, &l.st.out
	edge.Slim(l.nc) // while it is ours
	if !lot.Park(base, l, l.due) {
		l.stays = true
		return false
	}
	if out.ending.Load() != nil {
		lot.Rouse(base) // it was told to end just before
	}
	return true
}

// Rouse meets edge.Sleeper.
func (l *link) Rouse(overdue bool) {
	defer l.srv.guard("read", l.broken)
	l.until = time.Time{}
	if overdue {
		if err := l.silence(); err != nil && err != errPark {
			l.finish(err)
			return
		}
	}
	l.run()
}

// silence is called when nothing came in time.
func (l *link) silence() error {
	l.until = time.Time{}
	now := time.Now()
	switch {
	case l.st.out.ending.Load() != nil:
		return ErrGone
	case l.st.nego != nil:
		return stream.Fail("connection-timeout", "Logging in took too long.") // RFC 6120 §4.9.3.4
	case now.Before(l.due) && l.parks():
		return errPark
	case now.Before(l.due):
		return nil
	case l.probed:
		return ErrGone // no sign of life: the session may be resumed
	}
	l.probed, l.due = true, now.Add(l.srv.conf.Limits.Grace)
	return probe(&l.st)
}

// probe asks for a sign of life (HARDENING F14).
func probe(s *Stream) error {
	if s.out.sm.Load() {
		s.out.asked.Store(true)
		return s.out.element(requestAck, 0)
	}
	iq := elem.New(stream.Client, "iq", "type", "get", "id", rand.Text(), "from", s.speaker().Domain.String(),
		"to", s.sess.JID().String()).Add(elem.New("urn:xmpp:ping", "ping")) // XEP-0199 §4.1
	s.push(stanza.IQ, iq)
	return nil
}
