package account

import (
	"container/list"
	"sync"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// cache keeps the records used last. A record read before an account changed is
// never kept: put is given the generation get told, and drop begins a new one.
type cache struct {
	mu         sync.Mutex
	max        int
	generation uint64                    // owner: mu
	order      *list.List                // owner: mu; most recent first, of entry
	byJID      map[jid.JID]*list.Element // owner: mu
}

type entry struct {
	who jid.JID
	r   *record
}

func newCache(n int) *cache {
	return &cache{max: n, order: list.New(), byJID: map[jid.JID]*list.Element{}}
}

func (c *cache) get(who jid.JID) (*record, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byJID[who]
	if !ok {
		return nil, c.generation
	}
	c.order.MoveToFront(e)
	return e.Value.(entry).r, c.generation
}

func (c *cache) put(who jid.JID, r *record, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if e, ok := c.byJID[who]; ok {
		e.Value = entry{who, r}
		c.order.MoveToFront(e)
		return
	}
	c.byJID[who] = c.order.PushFront(entry{who, r})
	if c.order.Len() > c.max {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.byJID, last.Value.(entry).who)
	}
}

// drop forgets accounts whose change has just been committed.
func (c *cache) drop(who ...jid.JID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	for _, j := range who {
		if e, ok := c.byJID[j]; ok {
			c.order.Remove(e)
			delete(c.byJID, j)
		}
	}
}
