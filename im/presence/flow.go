package presence

import (
	"context"
	"embed"
	"hash/maphash"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the package's tables.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return store.Migrations{Name: "presence", FS: migrations} // cannot happen: the folder is embedded
	}
	return store.Migrations{Name: "presence", FS: sub}
}

// Accounts says who exists here.
type Accounts interface {
	Exists(ctx context.Context, bare jid.JID) (bool, error)
}

// Config is what a flow runs on. All fields but Ready, Log and Now are needed.
type Config struct {
	DB       *store.DB
	Routes   *route.Table
	Rosters  *roster.Store
	Accounts Accounts
	// May is the judge's answer for presence from one entity to another, full
	// JIDs where there are any. It is asked under a lock and must not do I/O for
	// accounts with available sessions.
	May func(from, to jid.JID) bool
	// Ready brings into memory what May needs to know of an account. It is called
	// without a lock before a session becomes available; nil: nothing is needed.
	Ready func(ctx context.Context, account jid.JID) error
	// LocalDomain says whether a domain's accounts are ours.
	LocalDomain func(domain string) bool
	Log         *slog.Logger
	Now         func() time.Time // nil: time.Now
}

const lockCount = 256

// Flow carries presence between the sessions of this node.
type Flow struct {
	cfg   Config
	seed  maphash.Seed
	locks [lockCount]sync.Mutex // by account, see the package's doc
	// leaving holds what LastSeen will find in the table in a moment: jid.JID → seen.
	leaving sync.Map
}

// New makes a flow.
func New(cfg Config) *Flow {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Flow{cfg: cfg, seed: maphash.MakeSeed()}
}

func (f *Flow) lock(account jid.JID) *sync.Mutex {
	return &f.locks[maphash.String(f.seed, account.String())%lockCount]
}

// relateTries bounds how often a roster that changes meanwhile is looked up again.
const relateTries = 8

// with runs fn under an account's lock, with the roster as it stands then.
func (f *Flow) with(ctx context.Context, account jid.JID, fn func(*roster.Relations)) error {
	mu := f.lock(account)
	for try := 1; ; try++ {
		rel, err := f.cfg.Rosters.Relations(ctx, account)
		if err != nil {
			return err
		}
		mu.Lock()
		// It is in memory now, so that looking again does no I/O.
		if f.cfg.Rosters.Peek(account) == rel || try == relateTries {
			fn(rel)
			mu.Unlock()
			return nil
		}
		mu.Unlock()
	}
}

// bound says whether s is still the session of its full JID.
func (f *Flow) bound(s *session.Session) bool { return f.cfg.Routes.Session(s.JID()) == s }

// frame encodes a presence for one recipient. While a client is inactive a newer
// presence of the same sender takes its place (XEP-0352 §5).
func frame(st *stanza.Stanza, to jid.JID, key string) *session.Frame {
	cp := *st
	cp.To = to
	fr := route.Encode(&cp)
	fr.Replaces = key
	return fr
}

// send gives a presence to the available sessions of one account, encoded once.
// sieve may be nil; it is asked with a session's full JID.
func (f *Flow) send(st *stanza.Stanza, account jid.JID, sieve func(from, to jid.JID) bool) (reached bool) {
	var fr *session.Frame
	for _, t := range f.cfg.Routes.Sessions(account) {
		if !t.Standing().Available || (sieve != nil && !sieve(st.From, t.JID())) {
			continue
		}
		if fr == nil {
			fr = frame(st, account, st.From.String())
		}
		f.cfg.Routes.Push(t, fr)
		reached = true
	}
	return reached
}

// broadcast sends a presence to the account's own available sessions and to its
// subscribers (RFC 6121 §4.2.2, §4.4.2, §4.5.2).
func (f *Flow) broadcast(rel *roster.Relations, st *stanza.Stanza) {
	f.send(st, rel.Owner(), nil)
	for contact := range rel.With(roster.From) {
		f.send(st, contact, f.cfg.May)
	}
}

// show tells one session the present presence of another.
func (f *Flow) show(of, to *session.Session) bool {
	p := of.Presence()
	if !p.Available {
		return false
	}
	if of.JID().Bare() != to.JID().Bare() && !f.cfg.May(of.JID(), to.JID()) {
		return false
	}
	f.cfg.Routes.Push(to, frame(p.Stanza, to.JID(), of.JID().String()))
	return true
}

// unavailable is a presence of that type without content.
func unavailable(from jid.JID) *stanza.Stanza {
	return &stanza.Stanza{Kind: stanza.Presence, Type: stanza.Unavailable, From: from}
}
