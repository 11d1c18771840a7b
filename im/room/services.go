package room

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// sqlPurge and sqlPurgeGrants take the service's domain.
const (
	sqlPurge       = `DELETE FROM room WHERE substr(jid, length(jid) - length($1)) = '@' || $1`
	sqlPurgeGrants = `DELETE FROM room_affiliation WHERE substr(room, length(room) - length($1)) = '@' || $1`
)

// Services are the rooms' services of all hosts. To the path they are one: who
// is asked is decided by the address.
type Services struct {
	all atomic.Pointer[map[string]*Rooms] // by domain; replaced, never changed in place
	mu  sync.Mutex                        // one change of all at a time
}

// NewServices begins with none.
func NewServices() *Services {
	ss := &Services{}
	ss.all.Store(&map[string]*Rooms{})
	return ss
}

// Put adds a service.
func (ss *Services) Put(rs *Rooms) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	next := maps.Clone(*ss.all.Load())
	next[rs.Service.Domain()] = rs
	ss.all.Store(&next)
}

// Take takes a service away; its people are told (status 332).
func (ss *Services) Take(domain string) {
	ss.mu.Lock()
	rs := (*ss.all.Load())[domain]
	next := maps.Clone(*ss.all.Load())
	delete(next, domain)
	ss.all.Store(&next)
	ss.mu.Unlock()
	if rs != nil {
		closeService(rs)
	}
}

// Change makes other settings hold in a service, for rooms that are in memory too.
func (ss *Services) Change(domain string, s Settings) {
	if rs := (*ss.all.Load())[domain]; rs != nil {
		rs.live.Store(&s)
	}
}

// Of is the service of an address; nil if there is none.
func (ss *Services) Of(to jid.JID) *Rooms { return (*ss.all.Load())[to.Domain()] }

// Serves meets im/deliver's Rooms, as what follows does.
func (ss *Services) Serves(to jid.JID) bool { return ss.Of(to) != nil }

func (ss *Services) Presence(ctx context.Context, s *session.Session, st *stanza.Stanza) error {
	rs := ss.Of(st.To)
	if rs == nil {
		return errNoService()
	}
	err := rs.Presence(ctx, s, st)
	if ss.Of(st.To) != rs {
		closeService(rs) // it went while somebody came in
	}
	return err
}

func (ss *Services) Unavailable(ctx context.Context, s *session.Session, st *stanza.Stanza) {
	for _, rs := range *ss.all.Load() {
		rs.Unavailable(ctx, s, st)
	}
}

func (ss *Services) Plan(ctx context.Context, s *session.Session, st *stanza.Stanza, sent Sent) ([]*Message, error) {
	if rs := ss.Of(st.To); rs != nil {
		return rs.Plan(ctx, s, st, sent)
	}
	return nil, errNoService()
}

func (ss *Services) Real(m *Message) (real jid.JID) {
	if rs := ss.Of(m.room); rs != nil {
		return rs.Real(m)
	}
	return real
}

func (ss *Services) Admit(ctx context.Context, msgs []*Message) error {
	if len(msgs) == 0 {
		return nil
	}
	if rs := ss.Of(msgs[0].room); rs != nil { // of one stanza, and so of one room
		return rs.Admit(ctx, msgs)
	}
	return errNoService()
}

// Fanout of a service that has gone meanwhile is to nobody: the record is kept.
func (ss *Services) Fanout(m *Message, pos session.Pos, at time.Time, again bool) {
	if rs := ss.Of(m.room); rs != nil {
		rs.Fanout(m, pos, at, again)
	}
}

func (ss *Services) IQ(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	if rs := ss.Of(q.To); rs != nil {
		return rs.IQ(ctx, q)
	}
	return nil, errNoService()
}

func (ss *Services) Pass(ctx context.Context, s *session.Session, st *stanza.Stanza) (real jid.JID, done bool, err error) {
	if rs := ss.Of(st.To); rs != nil {
		return rs.Pass(ctx, s, st)
	}
	return real, false, errNoService()
}

func errNoService() error {
	return stanza.Fail("service-unavailable", "this service of rooms is not here any more")
}

// Drop forgets an account that was removed in the rooms of all services.
func (ss *Services) Drop(ctx context.Context, who jid.JID, accounts Accounts) {
	for _, rs := range *ss.all.Load() {
		rs.Drop(ctx, who, accounts)
	}
}

// Deaf is Rooms.Deaf in all services.
func (ss *Services) Deaf(account jid.JID, who func(jid.JID) bool) {
	for _, rs := range *ss.all.Load() {
		rs.Deaf(account, who)
	}
}

// Stop says that the server is stopping.
func (ss *Services) Stop() {
	for _, rs := range *ss.all.Load() {
		rs.Stop()
	}
}

// Run sweeps temporary rooms nobody came back to, until ctx ends.
func (ss *Services) Run(ctx context.Context) error {
	t := time.NewTicker(graceTemporary)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		for _, rs := range *ss.all.Load() {
			if err := rs.sweep(ctx); err != nil && ctx.Err() == nil {
				rs.Log.Error("room: temporary rooms were not swept", "err", err)
			}
		}
	}
}

// closeService ends a service while the server goes on: everybody in its rooms is
// told so and is out. What is on disk stays.
func closeService(rs *Rooms) {
	rs.stop.Store(true) // that they go ends no temporary room
	rs.mu.Lock()
	rooms := slices.Collect(maps.Values(rs.loaded))
	rs.mu.Unlock()
	for _, r := range rooms {
		r.mu.Lock()
		for _, o := range slices.Clone(r.people) {
			r.expel(o, why{}, codeShutdown)
		}
		r.mu.Unlock()
	}
}

// Purge removes all rooms of a service, which is not served any more, from the
// data set. What was said in them stays in the record.
func Purge(tx *store.Tx, service jid.JID) error {
	for _, q := range []string{sqlPurgeGrants, sqlPurge} {
		if _, err := tx.Exec(q, service.Domain()); err != nil {
			return err
		}
	}
	return nil
}
