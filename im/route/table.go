package route

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

const shardCount = 64

// Config is what a table needs to know.
type Config struct {
	Session  session.Limits
	Sessions int // bound sessions per account, 0 for no limit
	Ledger   Ledger
	Record   Record // nil: queues give nothing back to the archive
	// Overflow ends a session whose queue is full. It must not block.
	Overflow func(*session.Session)
	Now      func() time.Time
	Meter    *meter.Meter // nil: nobody reads what is counted
}

// Ledger follows messages that are kept for an account until a session took
// them. Its calls must not block.
type Ledger interface {
	session.Ledger
	// Track is called before the message's sessions are resolved.
	Track(account jid.JID, f *session.Frame)
}

// Table is the bound sessions of this node.
type Table struct {
	cfg    Config
	seed   maphash.Seed
	shards [shardCount]shard
	fanned atomic.Uint64 // position of the last archived message handed out
}

type shard struct {
	mu       sync.Mutex
	accounts map[jid.JID]*account
}

// account is one bare JID with bound sessions.
type account struct {
	// mu orders fanout against a session going live. It is taken inside the
	// shard's lock only to change sessions.
	mu       sync.Mutex
	sessions []*session.Session // replaced, never changed in place
}

// NewTable makes an empty table.
func NewTable(cfg Config) *Table {
	t := &Table{cfg: cfg, seed: maphash.MakeSeed()}
	t.cfg.Meter = cmp.Or(cfg.Meter, new(meter.Meter))
	for i := range t.shards {
		t.shards[i].accounts = make(map[jid.JID]*account)
	}
	return t
}

func (t *Table) shard(bare jid.JID) *shard {
	return &t.shards[maphash.String(t.seed, bare.String())%shardCount]
}

func (t *Table) account(bare jid.JID) *account {
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.accounts[bare]
}

// ErrTooMany is returned for one session more than an account may have (HARDENING A15).
var ErrTooMany = stanza.Fail("resource-constraint", "this account has as many sessions as it may; sign out on another device").WithType("wait")

// Bind makes a session for a full JID. A session that had the resource comes
// back as old: the caller ends it (RFC 6120 §7.7.2.2, third way).
func (t *Table) Bind(full jid.JID, w session.Wire) (s, old *session.Session, err error) {
	bare := full.Bare()
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	a := sh.accounts[bare]
	if a == nil {
		a = &account{}
		sh.accounts[bare] = a
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	next := make([]*session.Session, 0, len(a.sessions)+1)
	for _, o := range a.sessions {
		if o.JID() == full {
			old = o
			continue
		}
		next = append(next, o)
	}
	if t.cfg.Sessions > 0 && len(next) >= t.cfg.Sessions {
		return nil, nil, ErrTooMany
	}
	s = session.New(full, t.cfg.Session, t.cfg.Ledger, w, t.cfg.Now())
	if t.cfg.Record != nil {
		s.Refer(t)
	}
	a.sessions = append(next, s)
	return s, old, nil
}

// Remove takes a session out; nothing is routed to it afterwards.
func (t *Table) Remove(s *session.Session) {
	bare := s.JID().Bare()
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	a := sh.accounts[bare]
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	next := make([]*session.Session, 0, len(a.sessions))
	for _, o := range a.sessions {
		if o != s {
			next = append(next, o)
		}
	}
	a.sessions = next
	if len(next) == 0 {
		delete(sh.accounts, bare)
	}
}

// Sessions is a snapshot of an account's bound sessions, hibernating ones
// included; nil if there are none. The slice is not to be changed.
func (t *Table) Sessions(bare jid.JID) []*session.Session {
	a := t.account(bare)
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sessions
}

// Session is the session bound to a full JID, nil if there is none.
func (t *Table) Session(full jid.JID) *session.Session {
	for _, s := range t.Sessions(full.Bare()) {
		if s.JID() == full {
			return s
		}
	}
	return nil
}

// Each calls f for every bound session, for shutdown and statistics.
func (t *Table) Each(f func(*session.Session)) {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		var all []*session.Session
		for _, a := range sh.accounts {
			a.mu.Lock()
			all = append(all, a.sessions...)
			a.mu.Unlock()
		}
		sh.mu.Unlock()
		for _, s := range all {
			f(s)
		}
	}
}

// Push queues a frame for a session and ends the session if its queue is full.
func (t *Table) Push(s *session.Session, f *session.Frame) { t.settle(s, s.Push(f)) }

// PushAll hands over several frames in a row, which go out together.
func (t *Table) PushAll(s *session.Session, fs []*session.Frame) {
	n, o := s.PushAll(fs)
	t.cfg.Meter.Handed.Add(n)
	if o != session.Queued {
		t.settle(s, o)
	}
}

// settle ends a session that had no room for a frame.
func (t *Table) settle(s *session.Session, o session.Outcome) {
	if o == session.Queued {
		t.cfg.Meter.Handed.Add(1)
	}
	if o == session.Full {
		t.cfg.Meter.Overflow.Add(1)
		s.Kick(&stream.Error{Condition: "resource-constraint",
			Text: "too many stanzas are waiting for this client; reconnect and read the archive"})
		if t.cfg.Overflow != nil {
			t.cfg.Overflow(s)
		}
	}
}

// PushIQ sends an iq of type set with a fresh id to a session (roster pushes
// RFC 6121 §2.1.6, block list pushes XEP-0191 §3.3).
func (t *Table) PushIQ(s *session.Session, from jid.JID, payload *elem.Element) {
	iq := elem.New(stanza.Space, "iq", "to", s.JID().String(), "id", freshID(), "type", "set")
	if !from.IsZero() {
		iq.Set("from", from.String())
	}
	t.Push(s, EncodeElement(stanza.IQ, iq.Add(payload)))
}

// freshID is 80 random bits: replies can't be guessed (HARDENING I5).
func freshID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// Count is how many sessions are bound.
func (t *Table) Count() (n int) {
	t.Each(func(*session.Session) { n++ })
	return n
}

// Census counts accounts with sessions, and their sessions with and without a
// connection.
func (t *Table) Census() (accounts, connected, hibernating int) {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		accounts += len(sh.accounts)
		for _, a := range sh.accounts {
			a.mu.Lock()
			for _, s := range a.sessions {
				if s.Detached().IsZero() {
					connected++
				} else {
					hibernating++
				}
			}
			a.mu.Unlock()
		}
		sh.mu.Unlock()
	}
	return accounts, connected, hibernating
}
