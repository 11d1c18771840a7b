package room

import (
	"slices"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Deaf is XEP-0191 §3.3 for rooms: an account has blocked those for whom who
// answers true. Its sessions leave a blocked room, as if they had gone: nothing
// comes from there any more. A blocked occupant is not heard: what it says in the room
// does not reach them, while its presence, which is the room's, does. who is nil when somebody was unblocked. It does no I/O.
func (rs *Rooms) Deaf(account jid.JID, who func(jid.JID) bool) {
	if rs == nil {
		return
	}
	for _, s := range rs.Routes.Sessions(account) {
		for _, r := range rs.seated.rooms(s) {
			r.mu.Lock()
			t := r.seats[s]
			if t != nil && who != nil && who(r.at) {
				r.part(t, nil, nil)
			} else if t != nil {
				talk{r}.listen(t)
			}
			if len(r.seats) == 0 && r.state == locked {
				r.vacate() // a temporary one is swept later: no I/O here
			}
			r.mu.Unlock()
		}
	}
}

// listen notes whom a session does not want to hear.
func (r talk) listen(t *seat) {
	t.deaf = nil
	if r.home.Blocked != nil {
		t.deaf = r.home.Blocked(t.o.bare, r.at)
	}
}

// hears says whether a session gets what an occupant says.
func (t *seat) hears(from jid.JID) bool { return len(t.deaf) == 0 || !slices.Contains(t.deaf, from) }

// hearsThen is hears for what was said before.
func (t *seat) hearsThen(m *moment) bool {
	if len(t.deaf) == 0 {
		return true
	}
	e, err := elem.ParseIn(m.frame.Bytes, stanza.Space, nil)
	if err != nil {
		return true
	}
	from, err := jid.Parse(e.Attr("from"))
	return err != nil || t.hears(from)
}
