package pubsub

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/parlance-im/parlance/im/cache"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the package's tables.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return store.Migrations{Name: "pubsub", FS: migrations} // cannot happen: the folder is embedded
	}
	return store.Migrations{Name: "pubsub", FS: sub}
}

// Limits bound what one service may keep.
type Limits struct {
	Nodes         int   // of a service
	Items         int   // of a node; what "max" means
	Payload       int   // bytes of an item
	Bytes         int64 // of all items of a service
	Subscriptions int   // explicit ones of a node
	Affiliations  int   // of a node
	Text          int   // bytes of a name, an id, a title
	Groups        int   // roster groups named in a configuration
}

// DefaultLimits fit what people keep: bookmarks, marks of what was read, avatars.
func DefaultLimits() Limits {
	return Limits{Nodes: 500, Items: 5000, Payload: 192 << 10, Bytes: 32 << 20, Subscriptions: 1000, Affiliations: 1000,
		Text: 1023, Groups: 64}
}

// Setup is what a store needs.
type Setup struct {
	DB     *store.DB
	Limits Limits // zero: DefaultLimits
	// Initial is the configuration of a node nobody has configured; nil: Default.
	Initial func(node string) Config
	// Convert is called within the transaction for each node whose items a request
	// changed, so that what is derived from them changes with them; nil: nothing is.
	Convert func(w *Writing, node string) error
	// Changed takes the changes of a commit, in the order of the commits. It must not block.
	Changed func(service jid.JID, changes []Change)
	// InUse accounts stay in memory; nil: none.
	InUse  func(account jid.JID) bool
	Cached int              // nodes of accounts not in use kept in memory; 0: 100,000
	Now    func() time.Time // nil: time.Now
}

// Store is all services.
type Store struct {
	cfg   Setup
	cache *cache.Cache[Root]
	lasts *cache.Cache[lasts]
	order cache.Order
}

// Root is an account's nodes, by name, without their items. It is immutable.
type Root struct {
	nodes map[string]*Node
	names []string // sorted
}

// Node is one of them, nil if there is no such.
func (s *Root) Node(name string) *Node { return s.nodes[name] }

// Nodes are all of them, in the order of their names.
func (s *Root) Nodes() []*Node {
	out := make([]*Node, len(s.names))
	for i, n := range s.names {
		out[i] = s.nodes[n]
	}
	return out
}

// New makes a store.
func New(cfg Setup) *Store {
	if cfg.Limits == (Limits{}) {
		cfg.Limits = DefaultLimits()
	}
	if cfg.Initial == nil {
		cfg.Initial = func(string) Config { return Default() }
	}
	if cfg.Convert == nil {
		cfg.Convert = func(*Writing, string) error { return nil }
	}
	if cfg.Changed == nil {
		cfg.Changed = func(jid.JID, []Change) {}
	}
	if cfg.Cached == 0 {
		cfg.Cached = 100_000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Store{cfg: cfg}
	s.cache = cache.New(cache.Config[Root]{
		Load:   s.load,
		Weight: func(v *Root) int { return 1 + len(v.names) },
		Max:    cfg.Cached,
		InUse:  cfg.InUse,
	})
	s.lasts = cache.New(cache.Config[lasts]{
		Load:   s.loadLasts,
		Weight: func(v *lasts) int { return 1 + v.bytes/lastUnit },
		Max:    cfg.Cached,
		InUse:  cfg.InUse,
	})
	return s
}

// Limits are those in force.
func (s *Store) Limits() Limits { return s.cfg.Limits }

// Root is an account's nodes, from memory where it is in use. An account
// without nodes has an empty one.
func (s *Store) Root(ctx context.Context, account jid.JID) (*Root, error) {
	return s.cache.Get(ctx, account)
}

// Drop forgets what is in memory about an account, after Forget was committed.
func (s *Store) Drop(account jid.JID) {
	s.cache.Drop(account)
	s.lasts.Drop(account)
}

// Forget deletes an account's nodes and what others' nodes know of it, within a
// transaction of the caller, who calls Drop after the commit.
func (s *Store) Forget(tx *store.Tx, account jid.JID) error {
	for _, q := range []string{sqlForgetNodes, sqlForgetItems, sqlForgetAffiliations, sqlForgetSubs} {
		if _, err := tx.Exec(q, account.String()); err != nil {
			return fmt.Errorf("pubsub: forget %s: %w", account, err)
		}
	}
	return nil
}

func (s *Store) load(ctx context.Context, account jid.JID) (*Root, error) {
	v := &Root{nodes: map[string]*Node{}}
	err := s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		if err := v.readNodes(tx, account, s.cfg.Now); err != nil || len(v.names) == 0 {
			return err
		}
		if err := v.readAffiliations(tx, account); err != nil {
			return err
		}
		return v.readSubs(tx, account)
	})
	if err != nil {
		return nil, fmt.Errorf("pubsub: load %s: %w", account, err)
	}
	return v, nil
}

func (v *Root) readNodes(tx *store.Tx, account jid.JID, now func() time.Time) error {
	rows, err := tx.Query(sqlNodes, account.String())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		n := &Node{Service: account, now: now}
		var config string
		if err := rows.Scan(&n.Name, &config, &n.Created); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(config), &n.Config); err != nil {
			return err
		}
		v.nodes[n.Name] = n
		v.names = append(v.names, n.Name)
	}
	return rows.Err()
}

func (v *Root) readAffiliations(tx *store.Tx, account jid.JID) error {
	rows, err := tx.Query(sqlAllAffiliations, account.String())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var node, who, a string
		if err := rows.Scan(&node, &who, &a); err != nil {
			return err
		}
		j, err := jid.Parse(who)
		if err != nil {
			return err
		}
		if n := v.nodes[node]; n != nil {
			n.affiliate(j, Affiliation(a))
		}
	}
	return rows.Err()
}

func (n *Node) affiliate(who jid.JID, a Affiliation) {
	if n.affiliations == nil {
		n.affiliations = map[jid.JID]Affiliation{}
	}
	n.affiliations[who] = a
}

func (v *Root) readSubs(tx *store.Tx, account jid.JID) error {
	rows, err := tx.Query(sqlAllSubs, account.String())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var node, who, state, options string
		if err := rows.Scan(&node, &who, &state, &options); err != nil {
			return err
		}
		j, err := jid.Parse(who)
		if err != nil {
			return err
		}
		if n := v.nodes[node]; n != nil {
			o, err := decodeOptions(options)
			if err != nil {
				return err
			}
			n.subs = append(n.subs, Subscription{j, State(state), o})
		}
	}
	return rows.Err()
}

// DropTemporary ends all subscriptions that were to last as long as somebody's
// presence (XEP-0060 §12.5): at a start there is none. Nothing may be cached yet.
func (s *Store) DropTemporary(ctx context.Context) error {
	return wrap("temporary subscriptions", s.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(sqlDropTemps)
		return err
	}))
}

// SubscribedAt are the services where an account has subscriptions of its own.
func (s *Store) SubscribedAt(ctx context.Context, account jid.JID) (out []jid.JID, err error) {
	err = s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		return tx.Each(func(r store.RowScanner) error {
			var text string
			if err := r.Scan(&text); err != nil {
				return err
			}
			j, err := jid.Parse(text)
			out = append(out, j)
			return err
		}, sqlSubServices, account.String())
	})
	if err != nil {
		return nil, fmt.Errorf("pubsub: subscriptions of %s: %w", account, err)
	}
	return out, nil
}

// since is the time before which an item of a node has expired.
func (s *Store) since(c *Config) int64 {
	if c.Expire <= 0 {
		return math.MinInt64
	}
	return s.cfg.Now().UnixMicro() - c.Expire*1_000_000
}
