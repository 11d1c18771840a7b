package cache

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"github.com/parlance-im/parlance/xmpp/jid"
)

const shardCount = 64

// Config is what a cache needs to know.
type Config[V any] struct {
	// Load reads an account's value from the database. It must see every commit
	// that returned before it was called.
	Load func(ctx context.Context, owner jid.JID) (*V, error)
	// Weight is the cost of a value in units of Max.
	Weight func(*V) int
	// Max bounds the sum of weights of accounts that are not in use.
	Max int
	// InUse values are never thrown out. It must not block; nil: none is.
	InUse func(owner jid.JID) bool
}

// Cache keeps one immutable value per account.
type Cache[V any] struct {
	cfg    Config[V]
	seed   maphash.Seed
	shards [shardCount]shard[V]
}

type shard[V any] struct {
	mu      sync.Mutex
	values  map[jid.JID]*V
	loading map[jid.JID]*load[V]
	weight  int
}

// load is one reading of the database that others wait for.
type load[V any] struct {
	done  chan struct{}
	value *V    // set before done is closed
	err   error // likewise
	stale bool  // owner: shard.mu; the value changed while it was read
}

// New makes an empty cache.
func New[V any](cfg Config[V]) *Cache[V] {
	c := &Cache[V]{cfg: cfg, seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].values = make(map[jid.JID]*V)
		c.shards[i].loading = make(map[jid.JID]*load[V])
	}
	return c
}

func (c *Cache[V]) shard(owner jid.JID) *shard[V] {
	return &c.shards[maphash.String(c.seed, owner.String())%shardCount]
}

// Peek returns the value if it is in memory, else nil. It does no I/O.
func (c *Cache[V]) Peek(owner jid.JID) *V {
	sh := c.shard(owner)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.values[owner]
}

// Get returns the value, loading it if need be. Several callers share one load.
func (c *Cache[V]) Get(ctx context.Context, owner jid.JID) (*V, error) {
	sh := c.shard(owner)
	for {
		sh.mu.Lock()
		if v := sh.values[owner]; v != nil {
			sh.mu.Unlock()
			return v, nil
		}
		l := sh.loading[owner]
		if l == nil {
			l = &load[V]{done: make(chan struct{})}
			sh.loading[owner] = l
			sh.mu.Unlock()
			c.run(ctx, sh, owner, l)
			return l.value, l.err
		}
		sh.mu.Unlock()
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if l.err == nil || !isContext(l.err) {
			return l.value, l.err
		}
		// The loading caller gave up; this one has not.
	}
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// run loads until nothing changed meanwhile, and keeps the value.
func (c *Cache[V]) run(ctx context.Context, sh *shard[V], owner jid.JID, l *load[V]) {
	defer close(l.done)
	for {
		v, err := c.cfg.Load(ctx, owner)
		sh.mu.Lock()
		if err == nil && l.stale {
			l.stale = false
			sh.mu.Unlock()
			continue
		}
		delete(sh.loading, owner)
		l.value, l.err = v, err
		if err == nil {
			c.put(sh, owner, v)
		}
		sh.mu.Unlock()
		return
	}
}

// put keeps a value and makes room. Called with sh.mu held.
func (c *Cache[V]) put(sh *shard[V], owner jid.JID, v *V) {
	if old := sh.values[owner]; old != nil {
		sh.weight -= c.cfg.Weight(old)
	}
	sh.values[owner] = v
	sh.weight += c.cfg.Weight(v)
	tries := 0
	for other, o := range sh.values { // in random order
		if sh.weight*shardCount <= c.cfg.Max || tries == 16 {
			return
		}
		tries++
		if other == owner || (c.cfg.InUse != nil && c.cfg.InUse(other)) {
			continue
		}
		sh.weight -= c.cfg.Weight(o)
		delete(sh.values, other)
	}
}

// Update replaces a value that is in memory; change must not alter what it
// gets. A load in progress is done again.
func (c *Cache[V]) Update(owner jid.JID, change func(*V) *V) {
	sh := c.shard(owner)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if l := sh.loading[owner]; l != nil {
		l.stale = true
	}
	if v := sh.values[owner]; v != nil {
		c.put(sh, owner, change(v))
	}
}

// Drop forgets a value, so that it is loaded again when next asked for.
func (c *Cache[V]) Drop(owner jid.JID) {
	sh := c.shard(owner)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if l := sh.loading[owner]; l != nil {
		l.stale = true
	}
	if v := sh.values[owner]; v != nil {
		sh.weight -= c.cfg.Weight(v)
		delete(sh.values, owner)
	}
}

// Len is how many values are in memory.
func (c *Cache[V]) Len() int {
	n := 0
	for i := range c.shards {
		c.shards[i].mu.Lock()
		n += len(c.shards[i].values)
		c.shards[i].mu.Unlock()
	}
	return n
}
