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

// Config is what a flow runs on. All fields but Ready, Rate, After, Log and Now are needed.
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
	// Rate is what one account's presence may come to in a second, in bytes to all who
	// see it; what is more waits, and the last presence wins. 0: nothing is bounded.
	Rate int64
	// After calls a function later, unless it is stopped; nil: time.AfterFunc.
	After func(d time.Duration, fn func()) (stop func() bool)
	Log   *slog.Logger
	Now   func() time.Time // nil: time.Now
}

// Flow carries presence between the sessions of this node: presence itself, and
// by its Subscriptions who may see it.
type Flow struct {
	*herald
	*Subscriptions
	pace *pace
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
	h := &herald{cfg: cfg, seed: maphash.MakeSeed()}
	return &Flow{herald: h, Subscriptions: &Subscriptions{h}, pace: newPace(cfg.Rate, cfg.Now, cfg.After)}
}

// frame encodes a presence for one recipient. While a client is inactive a newer
// presence of the same sender takes its place (XEP-0352 §5).
func frame(st *stanza.Stanza, to jid.JID, key string) *session.Frame {
	cp := *st
	cp.To = to
	fr := route.Encode(&cp)
	fr.Replaces = key
	return fr
}

// broadcastFrame encodes a presence once for all accounts that get it: each session's
// connection puts its account in.
func broadcastFrame(st *stanza.Stanza) *session.Frame {
	fr := frame(st, jid.JID{}, st.From.String())
	fr.Addressed, fr.Bare = true, true
	return fr
}

// unavailable is a presence of that type without content.
func unavailable(from jid.JID) *stanza.Stanza {
	return &stanza.Stanza{Kind: stanza.Presence, Type: stanza.Unavailable, From: from}
}
