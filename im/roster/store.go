package roster

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/cache"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the package's tables; Feature carries the same.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return store.Migrations{Name: "roster", FS: migrations} // cannot happen: the folder is embedded
	}
	return store.Migrations{Name: "roster", FS: sub}
}

// Config is what a roster store needs.
type Config struct {
	DB     *store.DB
	Routes *route.Table // whose sessions get pushes
	Limits Limits       // zero: DefaultLimits
	// Cached is how many contacts of accounts without sessions stay in memory; 0: 100,000 (about 5 MB).
	Cached int
	Now    func() time.Time // nil: time.Now
}

// Store is all rosters.
type Store struct {
	cfg   Config
	cache *cache.Cache[Relations]
	order cache.Order

	mu   sync.Mutex
	gone map[jid.JID]*change // owner: mu; between Forget and Forgotten
}

// New makes a store.
func New(cfg Config) *Store {
	if cfg.Limits == (Limits{}) {
		cfg.Limits = DefaultLimits
	}
	if cfg.Cached == 0 {
		cfg.Cached = 100_000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Store{cfg: cfg, gone: make(map[jid.JID]*change)}
	s.cache = cache.New(cache.Config[Relations]{
		Load:   s.load,
		Weight: func(r *Relations) int { return 4 + len(r.list) },
		Max:    cfg.Cached,
		InUse:  func(owner jid.JID) bool { return cfg.Routes != nil && cfg.Routes.Sessions(owner) != nil },
	})
	return s
}

func (s *Store) load(ctx context.Context, owner jid.JID) (*Relations, error) {
	r := &Relations{owner: owner}
	err := s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		var err error
		if _, r.seq, err = readVersion(tx, owner); err != nil {
			return err
		}
		states, err := readStates(tx, owner)
		if err != nil {
			return err
		}
		if err := addPending(tx, owner, states); err != nil {
			return err
		}
		r.list = make([]Contact, 0, len(states))
		for c, st := range states {
			r.list = append(r.list, Contact{c, st})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("roster: load %s: %w", owner, err)
	}
	slices.SortFunc(r.list, func(a, b Contact) int { return cmp.Compare(a.JID.String(), b.JID.String()) })
	r.count()
	return r, nil
}

// Relations is how an account stands with everybody, from memory where it is in use.
func (s *Store) Relations(ctx context.Context, owner jid.JID) (*Relations, error) {
	return s.cache.Get(ctx, owner)
}

// Peek is Relations without I/O: nil if they are not in memory. Those of
// accounts with sessions stay there once asked for.
func (s *Store) Peek(owner jid.JID) *Relations { return s.cache.Peek(owner) }

// Subscribers are those who are subscribed to the owner's presence.
func (s *Store) Subscribers(ctx context.Context, owner jid.JID) ([]jid.JID, error) {
	return s.with(ctx, owner, From)
}

// Subscriptions are those to whose presence the owner is subscribed.
func (s *Store) Subscriptions(ctx context.Context, owner jid.JID) ([]jid.JID, error) {
	return s.with(ctx, owner, To)
}

func (s *Store) with(ctx context.Context, owner jid.JID, f State) ([]jid.JID, error) {
	r, err := s.Relations(ctx, owner)
	if err != nil {
		return nil, err
	}
	return slices.Collect(r.With(f)), nil
}

// Roster is an account's roster and its version (RFC 6121 §2.6).
func (s *Store) Roster(ctx context.Context, owner jid.JID) (items []Item, ver string, err error) {
	items, ver, _, err = s.read(ctx, owner)
	return items, ver, err
}

func (s *Store) read(ctx context.Context, owner jid.JID) (items []Item, ver string, seq int64, err error) {
	var v int64
	err = s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		var err error
		if v, seq, err = readVersion(tx, owner); err != nil {
			return err
		}
		items, err = readItems(tx, owner)
		return err
	})
	if err != nil {
		return nil, "", 0, fmt.Errorf("roster: read %s: %w", owner, err)
	}
	return items, formatVersion(v), seq, nil
}

// Version is the roster's version alone.
func (s *Store) Version(ctx context.Context, owner jid.JID) (string, error) {
	var v int64
	err := s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		var err error
		v, _, err = readVersion(tx, owner)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("roster: version of %s: %w", owner, err)
	}
	return formatVersion(v), nil
}

func formatVersion(v int64) string { return strconv.FormatInt(v, 36) }

// Item is one roster entry; ok is false if the contact is not listed.
func (s *Store) Item(ctx context.Context, owner, contact jid.JID) (it Item, ok bool, err error) {
	err = s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		var err error
		it, ok, err = readItem(tx, owner, contact)
		return err
	})
	if err != nil {
		return Item{}, false, fmt.Errorf("roster: item of %s: %w", owner, err)
	}
	return it, ok, nil
}

// commit runs fn in a transaction, then publishes what it changed and carries
// out its steps, in the order of the commits.
func (s *Store) commit(ctx context.Context, do func(Step), fn func(*change) error) error {
	var turn cache.Turn
	c := &change{now: s.cfg.Now().UnixMicro()}
	err := s.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		c.tx = tx
		if err := fn(c); err != nil {
			return err
		}
		s.order.Join(&turn)
		return nil
	})
	if err != nil {
		s.order.Leave(&turn, nil)
		if store.IsAmbiguous(err) {
			for _, sd := range c.sides {
				s.cache.Drop(sd.owner)
			}
		}
		var refused *stanza.Error
		if errors.As(err, &refused) {
			return refused
		}
		return fmt.Errorf("roster: write: %w", err)
	}
	s.order.Leave(&turn, func() { s.publish(c, do) })
	return nil
}

func (s *Store) publish(c *change, do func(Step)) {
	for _, sd := range c.sides {
		if sd.seq != 0 {
			s.cache.Update(sd.owner, func(r *Relations) *Relations { return r.with(sd.contact, sd.state, sd.seq) })
		}
	}
	for i := range c.steps {
		switch st := &c.steps[i]; {
		case st.Do == Push:
			s.push(st)
		case do != nil:
			do(*st)
		}
	}
}

// push is RFC 6121 §2.1.6: to the interested resources, without "from", which
// means the account itself.
func (s *Store) push(st *Step) {
	if s.cfg.Routes == nil {
		return
	}
	var query *elem.Element
	for _, to := range s.cfg.Routes.Sessions(st.Owner) {
		if !to.Flags().Interested {
			continue
		}
		if query == nil {
			query = elem.New(Space, "query", "ver", formatVersion(st.Ver)).Add(st.Item.Element())
		}
		s.cfg.Routes.PushIQ(to, jid.JID{}, query)
	}
}
