package room

import (
	"sync"
	"time"

	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// InvitesPerMinute is how many invitations one account may send (HARDENING M4),
// mediated (XEP-0045 §7.8.2) and direct ones (XEP-0249) together, and declines,
// which carry a text to people in a room from who is not in it.
const InvitesPerMinute = 30

// Invites counts the invitations accounts send.
type Invites struct {
	mu   sync.Mutex // a leaf
	from map[jid.JID]minute
}

// minute is what was sent since it began.
type minute struct {
	began time.Time
	n     int
}

// NewInvites makes a counter.
func NewInvites() *Invites { return &Invites{from: make(map[jid.JID]minute)} }

// Refuse counts the invitations in a message and says whether they are too many.
func (l *Invites) Refuse(st *stanza.Stanza, now time.Time) *stanza.Error {
	n := invitations(st)
	if n == 0 {
		return nil
	}
	who := st.From.Bare()
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.from[who]
	if now.Sub(m.began) >= time.Minute {
		if len(l.from) > 10_000 {
			l.sweep(now)
		}
		m = minute{began: now}
	}
	m.n += n
	l.from[who] = m
	if m.n > InvitesPerMinute {
		return fail("policy-violation", "too many invitations; wait a minute").WithType("wait")
	}
	return nil
}

func (l *Invites) sweep(now time.Time) {
	for who, m := range l.from {
		if now.Sub(m.began) >= time.Minute {
			delete(l.from, who)
		}
	}
}

// invitations is how many people a message invites, or answers.
func invitations(st *stanza.Stanza) (n int) {
	if st.Kind != stanza.Message || st.Type == stanza.Error_ {
		return 0
	}
	for _, k := range st.Kids {
		switch {
		case k.Local != "x":
		case k.Space == spaceDirect:
			n++
		case k.Space == form.Space:
			// XEP-0045 §9.9: a request to a room's admins.
			if x, err := st.Element(k); err == nil {
				if f := form.Read(x); f != nil && f.Type == "form" && f.Kind() == formRegister {
					n++
				}
			}
		case k.Space == spaceUser:
			x, err := st.Element(k)
			if err != nil {
				continue
			}
			for _, c := range x.Children {
				if c.Space == spaceUser && (c.Local == "invite" || c.Local == "decline") {
					n++
				}
			}
		}
	}
	return n
}
