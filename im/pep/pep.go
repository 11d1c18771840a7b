package pep

import (
	"context"
	"log/slog"
	"time"

	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Routes hands frames to sessions; im/route meets it.
type Routes interface {
	Sessions(bare jid.JID) []*session.Session
	Session(full jid.JID) *session.Session
	Push(s *session.Session, f *session.Frame)
}

// Rosters says who is whose contact; im/roster meets it.
type Rosters interface {
	Relations(ctx context.Context, owner jid.JID) (*roster.Relations, error)
	Item(ctx context.Context, owner, contact jid.JID) (roster.Item, bool, error)
}

// Config is what a service runs on. All fields but Limits, Convert, After, Log and Now are needed.
type Config struct {
	DB      *store.DB
	Routes  Routes
	Rosters Rosters
	// May is the judge's answer for a notification from an account to a session.
	May func(from, to jid.JID) bool
	// LocalDomain says whether a domain's accounts are ours.
	LocalDomain func(domain string) bool
	Limits      pubsub.Limits
	// Convert derives items from items in the same transaction, see pubsub.Setup.
	Convert func(w *pubsub.Writing, node string) error
	// After is told of an account's changes when those who hear of them have been told; nil: nobody is.
	After func(ctx context.Context, account jid.JID, changes []pubsub.Change)
	Log   *slog.Logger
	Now   func() time.Time
}

// Flow is the personal services of all accounts: it carries events to whoever
// is to hear of them.
type Flow struct {
	cfg   Config
	nodes *pubsub.Store
	work  work
	caps  capabilities

	borrowed borrowings
}

// New makes it; Run makes it work.
func New(cfg Config) *Flow {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Flow{cfg: cfg}
	s.caps = capabilities{routes: cfg.Routes, now: cfg.Now, wants: map[*session.Session]*want{}, known: map[proof][]string{}, asked: map[string]*question{}}
	s.work.init()
	s.nodes = pubsub.New(pubsub.Setup{DB: cfg.DB, Limits: cfg.Limits, Initial: Initial, Convert: cfg.Convert, Now: cfg.Now,
		Changed: func(service jid.JID, changes []pubsub.Change) {
			s.work.add(func(ctx context.Context) { s.notify(ctx, service, changes) })
		},
		InUse: func(account jid.JID) bool { return cfg.Routes.Sessions(account) != nil },
	})
	return s
}

// Present takes what a session's presence says, after its contacts have been
// told. first says that the session was not available before.
func (s *Flow) Present(ctx context.Context, of *session.Session, st *stanza.Stanza, first bool) {
	switch st.Type {
	case stanza.Available:
		s.arrive(ctx, of, s.caps.present(of, st, first))
		if first {
			remind(s, ctx, of)
		}
	case stanza.Unavailable:
		leave(s, ctx, of)
	}
}

// Answered takes a result or an error a session sent to its own account; most are
// for pushes of others and none of ours.
func (s *Flow) Answered(ctx context.Context, from *session.Session, st *stanza.Stanza) {
	for of, fresh := range s.caps.answered(from, st) {
		s.arrive(ctx, of, fresh)
	}
}

// Gone forgets a session that ended.
func (s *Flow) Gone(ctx context.Context, of *session.Session) {
	s.caps.gone(of)
	leave(s, ctx, of)
}

// Requests answers what is asked of accounts' services.
func (s *Flow) Requests() *pubsub.Requests { return &pubsub.Requests{Store: s.nodes, People: s} }

// Nodes is the store of what is published.
func (s *Flow) Nodes() *pubsub.Store { return s.nodes }

// Run carries out what is to be told, until ctx ends.
func (s *Flow) Run(ctx context.Context) error {
	if err := s.nodes.DropTemporary(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Log.Error("pep: temporary subscriptions of before were not ended", "err", err)
	}
	return s.work.run(ctx)
}

// Settle returns when everything committed so far has been handed to sessions.
func (s *Flow) Settle(ctx context.Context) { s.work.wait(ctx, func(context.Context) {}) }

// Do changes an account's nodes in one transaction and returns when whoever is to
// hear of it has it in the queue.
func (s *Flow) Do(ctx context.Context, account, by jid.JID, fn func(*pubsub.Writing) error) error {
	if err := s.nodes.Do(ctx, account, by, fn); err != nil {
		return err
	}
	s.Settle(ctx)
	return nil
}

// Initial is the configuration of a node nobody has configured: XEP-0163 §5's
// default, but for the nodes of which the specifications say that they are private.
func Initial(node string) pubsub.Config {
	switch node {
	case "storage:bookmarks", // XEP-0048 §3.2
		"urn:xmpp:bookmarks:1",     // XEP-0402 §3.3
		"urn:xmpp:mds:displayed:0": // XEP-0490 §7
		return pubsub.Private()
	case "urn:xmpp:vcard4": // XEP-0292 §4.1: public; §4.2.2: told without the card itself
		c := pubsub.Default()
		c.Access, c.Payloads = pubsub.Open, false
		return c
	}
	return pubsub.Default()
}

// Relation is how an entity stands to an account, for pubsub.People.
func (s *Flow) Relation(ctx context.Context, owner, who jid.JID) (pubsub.Relation, error) {
	rel, err := s.cfg.Rosters.Relations(ctx, owner)
	if err != nil {
		return pubsub.Relation{}, err
	}
	st := rel.Of(who.Bare())
	r := pubsub.Relation{Presence: st.Is(roster.From)}
	if !st.Is(roster.Listed) {
		return r, nil
	}
	it, _, err := s.cfg.Rosters.Item(ctx, owner, who.Bare())
	r.Groups = it.Groups
	return r, err
}

// relation is the same for one node: groups are looked up only where they matter.
func (s *Flow) relation(ctx context.Context, n *pubsub.Node, who jid.JID, st roster.State) (pubsub.Relation, error) {
	if n.Config.Access != pubsub.Roster {
		return pubsub.Relation{Presence: st.Is(roster.From)}, nil
	}
	return s.Relation(ctx, n.Service, who)
}
