package trace

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Event is what one verb did with one stanza.
type Event struct {
	At   time.Time `json:"at"`
	Verb string    `json:"verb"`
	Kind string    `json:"kind,omitempty"`
	ID   string    `json:"id,omitempty"`
	From string    `json:"from,omitempty"`
	To   string    `json:"to,omitempty"`
	What string    `json:"what,omitempty"`
}

// Tracer gives events to whoever watches. The zero value is ready, and so is a nil one: nobody watches it.
type Tracer struct {
	on atomic.Int32 // watchers

	mu       sync.Mutex
	watchers map[*watcher]struct{} // mu
}

// backlog is how many events a watcher may be behind.
const backlog = 1024

type watcher struct {
	who    jid.JID
	events chan Event
	lost   atomic.Int64
}

// On says whether anybody watches anybody.
func (t *Tracer) On() bool { return t != nil && t.on.Load() > 0 }

// Watch gives the events of an account's stanzas, in the order they are told,
// until stop is called. lost is how many there was no room for, since it was last asked.
func (t *Tracer) Watch(who jid.JID) (events <-chan Event, lost func() int64, stop func()) {
	w := &watcher{who: who.Bare(), events: make(chan Event, backlog)}
	t.mu.Lock()
	if t.watchers == nil {
		t.watchers = make(map[*watcher]struct{})
	}
	t.watchers[w] = struct{}{}
	t.mu.Unlock()
	t.on.Add(1)
	var once sync.Once
	return w.events, func() int64 { return w.lost.Swap(0) }, func() {
		once.Do(func() {
			t.on.Add(-1)
			t.mu.Lock()
			delete(t.watchers, w)
			t.mu.Unlock()
		})
	}
}

// Tell gives an event to those who watch one of its parties. It does not block.
func (t *Tracer) Tell(e Event, parties ...jid.JID) {
	if !t.On() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for w := range t.watchers {
		for _, p := range parties {
			if p.Bare() != w.who {
				continue
			}
			select {
			case w.events <- e:
			default:
				w.lost.Add(1)
			}
			break
		}
	}
}
