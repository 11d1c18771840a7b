package room

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// state is how far a room has come.
type state uint8

const (
	void   state = iota // there is no such room
	locked              // made, not configured yet: in memory only (XEP-0045 §10.1.1)
	open
)

// room is one room in memory.
type room struct {
	at   jid.JID
	home *Rooms

	ready  chan struct{} // closed when it was read
	broken error         // why it could not be; set before
	turn   chan struct{} // holds one value while a durable change is under way

	mu       sync.Mutex // the fields below; held for pushes to session queues, never across I/O
	gone     bool       // not this room any more: look it up again
	closing  chan struct{}
	changing bool
	state    state
	since    session.Pos // its archive begins behind
	created  time.Time
	cfg      Config
	subject  subject
	vcard    []byte
	grants   map[jid.JID]grant
	reserved map[string]jid.JID   // nickname key → account
	nicks    map[string]*occupant // by nickname key
	people   []*occupant          // in the order they came
	seats    map[*session.Session]*seat
	crowd    []*seat // the same, in the order they came
	past     past
	hats     hats
	versions versions
	requests map[jid.JID]string // registrations that wait for an admin: the nickname asked for
	spoke    map[jid.JID]spoken // XEP-0500: when an account last spoke
}

// occupant is somebody in the room, with one or several sessions.
type occupant struct {
	nick, key   string
	at          jid.JID // room@service/nick
	bare        jid.JID
	id          string // XEP-0421
	role        Role
	affiliation Affiliation
	seats       []*seat
	shown       [2]*session.Frame // its presence as others get it, with and without the address; made when needed
}

// seat is one session's place in a room.
type seat struct {
	s        *session.Session
	o        *occupant
	presence *stanza.Stanza // without what only rooms write; from the occupant's address, to nobody
	versions bool           // its client wants versions of the affiliations (XEP-0463)
	deaf     []jid.JID      // occupants whose messages it does not get (XEP-0191)
}

func newRoom(home *Rooms, at jid.JID) *room {
	return &room{at: at, home: home, ready: make(chan struct{}), turn: make(chan struct{}, 1),
		grants: map[jid.JID]grant{}, reserved: map[string]jid.JID{}, nicks: map[string]*occupant{},
		seats: map[*session.Session]*seat{}, spoke: map[jid.JID]spoken{}, requests: map[jid.JID]string{}}
}

// load reads the room. The room is in the map already: what is handed out from
// now on finds it, what was before is in the archive (past.upto).
func (r *room) load(ctx context.Context) {
	defer close(r.ready)
	r.mu.Lock()
	r.past.upto = r.home.Routes.Fanned()
	r.mu.Unlock()
	st, err := readRoom(ctx, r.home.DB, r.at)
	var kept []moment
	if err == nil && st != nil {
		kept, err = readPast(ctx, r.home, r.at, st)
	}
	if err != nil {
		r.home.drop(r) // the next one tries again
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.broken, r.gone = err, true
		return
	}
	if st == nil {
		return
	}
	r.state, r.since, r.created, r.cfg, r.subject, r.vcard, r.grants, r.requests, r.hats = open, st.since, st.created, st.config, st.subject, st.vcard, st.grants, st.requests, st.hats
	r.reserve()
	r.past.fill(kept)
}

// reserve indexes the reserved nicknames.
func (r *room) reserve() {
	clear(r.reserved)
	for who, g := range r.grants {
		if g.nick != "" {
			if _, key, err := jid.Nickname(g.nick); err == nil {
				r.reserved[key] = who
			}
		}
	}
}

// found forms what a room has become of its first configuration.
func (r *room) stored() *stored {
	return &stored{since: r.since, created: r.created, config: r.cfg, subject: r.subject, vcard: r.vcard, grants: r.grants, hats: r.hats}
}

// affiliationOf is an account's affiliation.
func (r *room) affiliationOf(bare jid.JID) Affiliation {
	return matching(r.grants, bare.Bare()).affiliation
}

// person is what an account is in the room: its affiliation, and the highest
// role one of its sessions has.
func (r *room) person(bare jid.JID) who {
	w := who{affiliation: r.affiliationOf(bare)}
	for _, o := range r.people {
		if o.bare == bare && o.role > w.role {
			w.role = o.role
		}
	}
	return w
}

// sees says whether somebody may know real addresses (XEP-0045 §7.2.4).
func (r *room) sees(role Role) bool { return r.cfg.NonAnonymous || role == Moderator }

// sit adds a session's place.
func (r *room) sit(s *session.Session, o *occupant, presence *stanza.Stanza) *seat {
	t := &seat{s: s, o: o, presence: presence}
	if len(o.seats) == 0 {
		r.nicks[o.key] = o
		r.people = append(r.people, o)
	}
	o.seats = append(o.seats, t)
	r.seats[s] = t
	r.crowd = append(r.crowd, t)
	r.home.seated.note(s, r)
	talk{r}.listen(t)
	return t
}

// rise takes a session's place away; last says that the occupant has left with it.
func (r *room) rise(t *seat) (last bool) {
	delete(r.seats, t.s)
	r.crowd = without1(r.crowd, t)
	t.o.seats = without1(t.o.seats, t)
	t.o.shown = [2]*session.Frame{}
	r.home.seated.forget(t.s, r)
	if len(t.o.seats) > 0 {
		return false
	}
	delete(r.nicks, t.o.key)
	r.people = without1(r.people, t.o)
	return true
}

// without1 is a list without one of its elements; the list is not changed.
func without1[T comparable](list []T, x T) []T {
	i := slices.Index(list, x)
	if i < 0 {
		return list
	}
	return slices.Delete(list, i, i+1)
}

// push gives one session a frame.
func (r *room) push(s *session.Session, f *session.Frame) { r.home.Routes.Push(s, f) }

// owners counts the owners among the grants, as they would be with some changed.
func owners(grants map[jid.JID]grant) (n int) {
	for _, g := range grants {
		if g.affiliation == Owner {
			n++
		}
	}
	return n
}

// vacate is the end of a room in memory; nobody is in it.
func (r *room) vacate() {
	r.gone = true
	for _, t := range slices.Clone(r.crowd) {
		r.rise(t)
	}
}
