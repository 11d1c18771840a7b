package room

import (
	"bytes"
	"context"
	"crypto/subtle"
	"slices"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Bounds of one session's and one room's cost.
const (
	roomsPerSession = 500
	spareForAdmins  = 100 // XEP-0045 §7.2.9: admins and owners enter a full room
)

// Presence takes presence of one of our sessions to the service, a room or an occupant.
func (rs *Rooms) Presence(ctx context.Context, s *session.Session, st *stanza.Stanza) error {
	switch st.Type {
	case stanza.Available:
		if !st.To.IsFull() {
			if st.To.Local() == "" {
				return nil // the service itself takes note of nothing
			}
			return fail("jid-malformed", "to enter a room, write to room@service/nickname") // XEP-0045 §7.2.1
		}
		return usher{rs}.arrive(ctx, s, st)
	case stanza.Unavailable, stanza.Error_:
		return rs.depart(ctx, s, st)
	case stanza.Subscribe:
		// XEP-0045 §18.2.2: a room has no roster; being in it is the subscription.
		return fail("not-allowed", "a room is entered, not subscribed to")
	}
	return nil // XEP-0045 §17.3: probes and the like don't enter and don't leave
}

// arrive takes available presence to an occupant's address: somebody enters,
// comes back, changes nickname or shows something else.
func (rs usher) arrive(ctx context.Context, s *session.Session, st *stanza.Stanza) error {
	a, err := newArrival(s, st)
	if err != nil {
		return err
	}
	if a.x != nil {
		if a.makes, err = (clerk{rs.Rooms}).makes(ctx, s.JID().Bare()); err != nil {
			return err
		}
	}
	err = rs.come(ctx, s, st, a)
	if err == nil || a.x == nil || rs.Admin == nil {
		return err
	}
	if a.boss, _ = rs.Admin(ctx, s.JID().Bare()); a.boss {
		return rs.come(ctx, s, st, a)
	}
	return err
}

func (rs usher) come(ctx context.Context, s *session.Session, st *stanza.Stanza, a *arrival) error {
	return rs.with(ctx, st.To.Bare(), func(r *room) error {
		t := r.seats[s]
		switch {
		case t == nil && a.x == nil:
			// XEP-0045 §7.2.18: who believes to be in a room without being there hears
			// that he is not.
			r.push(s, stray(st.To))
			return nil
		case t == nil && rs.stop.Load():
			return fail("service-unavailable", "the server is stopping").WithType("wait")
		case t == nil:
			return door{r}.enter(a)
		case t.o.key != a.key || t.o.nick != a.nick:
			return door{r}.rename(t, a)
		case a.x != nil:
			door{r}.resync(t, a)
			return nil
		}
		return door{r}.update(t, a)
	})
}

// arrival is one available presence to a room, read.
type arrival struct {
	s         *session.Session
	x         *elem.Element // XEP-0045 §7.2.1; nil: not asking to enter
	id        string
	nick, key string
	asked     string         // the nickname as written
	boss      bool           // administers the service: no room is closed to him
	presence  *stanza.Stanza // without what only rooms write
	makes     bool           // may make rooms
}

func newArrival(s *session.Session, st *stanza.Stanza) (*arrival, error) {
	a := &arrival{s: s, id: st.ID, asked: st.To.Resource()}
	if k, ok := st.Child(spaceMUC, "x"); ok {
		x, err := st.Element(k)
		if err != nil {
			return nil, fail("bad-request", "the presence can't be read")
		}
		a.x = x
	}
	var err error
	// XEP-0045 §17.1: a nickname is not empty and not invisible.
	if a.nick, a.key, err = jid.Nickname(a.asked); err != nil {
		return nil, fail("not-acceptable", "this is not a nickname")
	}
	a.presence = without(st, roomOnly)
	a.presence.ID = ""
	return a, nil
}

// stray is the answer to presence from somebody who is not in the room.
func stray(to jid.JID) *session.Frame {
	st := &stanza.Stanza{Kind: stanza.Presence, Type: stanza.Unavailable, From: to}
	st.Add(userX([]string{codeSelf, codeKicked, codeTechnical}, item(spaceUser, None, NoRole)))
	dst, nameEnd := st.AppendStart(nil)
	return &session.Frame{Bytes: st.AppendEnd(append(dst, st.Content...)), NameEnd: nameEnd, Kind: stanza.Presence, Addressed: true, Urgent: true}
}

// enter is XEP-0045 §7.2.
func (r door) enter(a *arrival) error {
	bare := a.s.JID().Bare()
	created := r.state == void
	if created {
		if !a.makes && !a.boss {
			return fail("not-allowed", "rooms are made by the administrator") // XEP-0045 §10.1.1
		}
		if r.home.Guest != nil && r.home.Guest(bare) {
			return fail("not-allowed", "guests make no rooms")
		}
		if r.home.seated.count(a.s) >= roomsPerSession {
			return fail("resource-constraint", "you are in too many rooms")
		}
		r.found(bare)
	} else if err := r.admit(a, bare); err != nil {
		return err
	}
	o := r.nicks[a.key]
	if o == nil {
		at, err := r.at.WithResource(a.nick)
		if err != nil {
			return fail("not-acceptable", "this is not a nickname")
		}
		aff := r.affiliationOf(bare)
		o = &occupant{nick: a.nick, key: a.key, at: at, bare: bare, id: r.home.occupantID(r.at, bare),
			affiliation: aff, role: initialRole(aff, &r.cfg)}
		if a.boss {
			o.affiliation, o.role = max(aff, None), Moderator
		}
	}
	a.presence.From = o.at
	others := slices.Clone(r.people)
	t := r.sit(a.s, o, a.presence)
	if r.home.Routes.Session(a.s.JID()) != a.s {
		// It has ended while it entered, and has been taken out of its rooms already
		// or finds this one among them: no ghosts.
		r.rise(t)
		r.lapse(created)
		return nil
	}
	o.shown = [2]*session.Frame{}
	var own []string
	if created {
		own = append(own, codeCreated)
	}
	r.welcome(t, a, others, own)
	n := r.now(o)
	n.keepSelf = true
	r.tell(n)
	r.others(t, n)
	return nil
}

// others tells an occupant's other sessions of what one of them did.
func (r door) others(t *seat, n *notice) {
	for _, u := range t.o.seats {
		if u != t {
			r.push(u.s, n.frame(r.sees(t.o.role), true, ""))
		}
	}
}

// lapse undoes a room that nobody got into after all.
func (r door) lapse(created bool) {
	if created {
		r.state, r.grants = void, map[jid.JID]grant{}
	}
}

// found makes a room, locked until its owner has configured it (XEP-0045 §10.1.1).
func (r door) found(owner jid.JID) {
	r.state, r.created = locked, r.home.Now()
	r.cfg = r.home.live.Load().Default
	if (clerk{r.home}).redeem(r.at.Local(), owner) {
		r.cfg = r.cfg.grouped()
	}
	r.since = max(r.home.Archive.Last(), r.home.Routes.Fanned())
	r.grants = map[jid.JID]grant{owner: {affiliation: Owner}}
	r.subject, r.vcard, r.past, r.requests, r.hats = subject{}, nil, past{upto: r.past.upto}, map[jid.JID]string{}, hats{}
	r.versions = versions{}
}

// admit says whether somebody may enter (XEP-0045 §7.2.5 to §7.2.10).
func (r door) admit(a *arrival, bare jid.JID) error {
	aff := r.affiliationOf(bare)
	if a.boss {
		aff = Owner
	}
	switch {
	case r.state == locked && aff != Owner:
		return errNoRoom() // XEP-0045 §7.2.10
	case aff == Outcast:
		return errForbidden("you are banned from this room")
	case r.cfg.MembersOnly && aff < Member:
		return fail("registration-required", "only members may enter this room")
	case r.cfg.PasswordRequired && !a.boss && !samePassword(a.x.Child(spaceMUC, "password"), r.cfg.Password):
		return fail("not-authorized", "this room needs a password")
	}
	if err := r.mayBe(a.key, bare); err != nil {
		return err
	}
	if r.nicks[a.key] == nil && len(r.people) >= r.most(aff) {
		return fail("service-unavailable", "this room is full").WithType("wait")
	}
	if r.home.seated.count(a.s) >= roomsPerSession {
		return fail("resource-constraint", "you are in too many rooms")
	}
	return nil
}

// most is how many may be in the room when somebody of an affiliation enters.
func (r door) most(aff Affiliation) int {
	n := r.home.live.Load().Most
	if r.cfg.MaxUsers > 0 {
		n = min(n, r.cfg.MaxUsers)
	}
	if aff >= Admin {
		n += spareForAdmins
	}
	return n
}

func samePassword(given *elem.Element, want string) bool {
	return given != nil && subtle.ConstantTimeCompare([]byte(given.Text), []byte(want)) == 1
}

// mayBe says whether an account may have a nickname (XEP-0045 §7.2.8): nobody
// else has it or has it reserved.
func (r door) mayBe(key string, bare jid.JID) error {
	if o := r.nicks[key]; o != nil && o.bare != bare {
		return fail("conflict", "somebody else has this nickname, or one that looks like it")
	}
	if owner, ok := r.reserved[key]; ok && owner != bare {
		return fail("conflict", "this nickname belongs to somebody else")
	}
	return nil
}

// welcome sends who enters everything in the order of XEP-0045 §7.1: who is
// there, that he is in, what was said, the subject.
func (r door) welcome(t *seat, a *arrival, others []*occupant, own []string) {
	o := t.o
	real := r.sees(o.role)
	r.catchUp(t, a)
	for _, other := range others {
		if other != o && len(other.seats) > 0 && !r.cfg.silent(other.role) {
			r.push(t.s, r.shown(other, real))
		}
	}
	n := &notice{st: t.presence, o: o, role: o.role, real: t.s.JID(), hats: r.hats}
	if r.cfg.NonAnonymous {
		n.own = append(n.own, codeNonAnonymous) // XEP-0045 §7.2.3
	}
	if r.cfg.Logged {
		n.own = append(n.own, codeLogged) // XEP-0045 §7.2.12
	}
	n.own = append(n.own, own...)
	if a.asked != o.nick {
		n.own = append(n.own, codeNickChanged) // XEP-0045 §7.2.2
	}
	if t.versions {
		n.version = tally(r).version()
	}
	r.push(t.s, n.frame(real, true, a.id))
	for _, m := range r.past.pick(readWish(a.x, r.home.Now()), r.cfg.History) {
		if t.hearsThen(&m) {
			r.push(t.s, m.frame)
		}
	}
	r.push(t.s, r.subjectFrame())
}

// subjectFrame is XEP-0045 §7.2.15.
func (r door) subjectFrame() *session.Frame {
	st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.Groupchat, From: r.at}
	if r.subject.content == nil {
		st.Add(elem.New(stanza.Space, "subject"))
	} else {
		if by, err := jid.Parse(r.subject.by); err == nil {
			st.From = by
		}
		st.Content = bytes.Clone(r.subject.content)
		st.Add(elem.New("urn:xmpp:delay", "delay", "from", r.at.String(), "stamp", stamp(r.subject.at)))
	}
	dst, nameEnd := st.AppendStart(nil)
	return &session.Frame{Bytes: st.AppendEnd(append(dst, st.Content...)), NameEnd: nameEnd, Kind: stanza.Message, Addressed: true, Urgent: true}
}

// resync is XEP-0045 §17.3: who enters and is in already gets everything again;
// the others hear of it if it shows something else.
func (r door) resync(t *seat, a *arrival) {
	changed := !bytes.Equal(t.presence.Content, a.presence.Content)
	a.presence.From = t.o.at
	t.presence = a.presence
	t.o.shown = [2]*session.Frame{}
	r.welcome(t, a, r.people, nil)
	if changed {
		n := r.now(t.o)
		n.keepSelf = true
		r.tell(n)
		r.others(t, n)
	}
}

// update is XEP-0045 §7.7.
func (r door) update(t *seat, a *arrival) error {
	o := t.o
	a.presence.From = o.at
	t.presence = a.presence
	// The newest presence is what the occupant shows.
	o.seats = append(without1(o.seats, t), t)
	o.shown = [2]*session.Frame{}
	n := r.now(o)
	n.asker, n.id = t.s, a.id
	r.tell(n)
	return nil
}

// rename is XEP-0045 §7.6. All sessions of the occupant go with it.
func (r door) rename(t *seat, a *arrival) error {
	o := t.o
	if err := r.mayBe(a.key, o.bare); err != nil {
		return err
	}
	if other := r.nicks[a.key]; other != nil && other != o {
		return fail("conflict", "you have this nickname on another device")
	}
	at, err := r.at.WithResource(a.nick)
	if err != nil {
		return fail("not-acceptable", "this is not a nickname")
	}
	n := r.now(o)
	n.st, n.nick, n.codes = leaving(o, nil), a.nick, []string{codeNewNick}
	n.asker, n.id = t.s, a.id
	r.tell(n)
	delete(r.nicks, o.key)
	o.nick, o.key, o.at = a.nick, a.key, at
	r.nicks[o.key] = o
	a.presence.From = at
	t.presence = a.presence
	o.seats = append(without1(o.seats, t), t)
	for _, u := range o.seats[:len(o.seats)-1] {
		again := *u.presence
		again.From = at
		u.presence = &again
	}
	o.shown = [2]*session.Frame{}
	n = r.now(o)
	n.asker, n.id = t.s, a.id
	if a.asked != a.nick {
		n.own = []string{codeNickChanged}
	}
	r.tell(n)
	return nil
}
