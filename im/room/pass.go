package room

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/disco"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// passing remembers requests between occupants until they are answered: neither
// side learns the other's real address (XEP-0045 §17.4).
type passing struct {
	mu      sync.Mutex // a leaf
	waiting map[string]passed
	oldest  []string // ids in the order they came, for forgetting
}

// passed is a request on its way.
type passed struct {
	asker  *session.Session
	answer *session.Session // who has it
	id     string           // as asked
	from   jid.JID          // where it was sent
	at     time.Time
}

// Bounds of what is remembered.
const (
	passedMost = 10_000
	passedFor  = 2 * time.Minute
)

func (p *passing) add(w passed) string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	id := hex.EncodeToString(b[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.oldest) > 0 {
		first := p.oldest[0]
		if old, here := p.waiting[first]; here && len(p.waiting) < passedMost && w.at.Sub(old.at) < passedFor {
			break
		}
		delete(p.waiting, first)
		p.oldest = p.oldest[1:]
	}
	p.waiting[id] = w
	p.oldest = append(p.oldest, id)
	return id
}

func (p *passing) take(id string, from *session.Session) (passed, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, ok := p.waiting[id]
	if !ok || w.answer != from {
		return passed{}, false
	}
	delete(p.waiting, id)
	return w, true
}

// Pass takes an IQ to an occupant's address: on to one of its sessions, back to
// who asked, or answered here. toAccount says that the account's own answer is
// asked for, on behalf of real.
func (rs *Rooms) Pass(ctx context.Context, s *session.Session, st *stanza.Stanza) (real jid.JID, done bool, err error) {
	if st.Type == stanza.Result || st.Type == stanza.Error_ {
		if w, ok := rs.pass.take(st.ID, s); ok {
			back := *st
			back.ID, back.From, back.To = w.id, w.from, w.asker.JID()
			rs.Routes.Push(w.asker, route.Encode(&back))
		}
		return jid.JID{}, true, nil
	}
	err = rs.with(ctx, st.To.Bare(), func(r *room) error {
		real, done, err = talk{r}.passIQ(s, st)
		return err
	})
	return real, done, err
}

func (r talk) passIQ(s *session.Session, st *stanza.Stanza) (real jid.JID, done bool, err error) {
	t := r.seats[s]
	k := st.Kids[0]
	if t == nil {
		switch {
		case r.state == void:
			return real, true, errOutside() // XEP-0410 §3.2: a ping says so, whatever became of the room
		case k.Space == disco.InfoSpace || k.Space == disco.ItemsSpace:
			return real, true, fail("bad-request", "enter the room to ask its occupants") // XEP-0045 §6.6
		}
		return real, true, errOutside()
	}
	_, key, err := jid.Nickname(st.To.Resource())
	o := r.nicks[key]
	if err != nil || o == nil {
		return real, true, fail("item-not-found", "nobody in this room has this nickname")
	}
	if o == t.o && k.Space == spacePing && st.Type == stanza.Get {
		return real, false, nil // XEP-0410 §3.3: answered here
	}
	if k.Space == spaceVCard && st.Type == stanza.Get {
		return o.bare, false, nil // the account has it, not the device
	}
	to := o.seats[len(o.seats)-1].s
	id := r.home.pass.add(passed{asker: s, answer: to, id: st.ID, from: st.To, at: r.home.Now()})
	on := *st
	on.ID, on.From, on.To = id, t.o.at, to.JID()
	f := route.Encode(&on)
	f.Request = st
	r.push(to, f)
	return real, true, nil
}
