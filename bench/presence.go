package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// storm is everybody's coming and going, as everybody sees it.
type storm struct {
	domain string
	number map[string]int // local part → person
	people []*watcher
	seen   atomic.Int64 // first sights of somebody else's change
	again  atomic.Int64 // further ones
	lat    atomic.Pointer[Hist]
}

// watcher is one person and what they saw.
type watcher struct {
	mu       sync.Mutex
	contacts map[int]bool // mutual ones that take part; true: seen in the phase under way
	sent     time.Time    // own change in this phase
}

// presence lets everybody become available at once, then go. The unit is one
// presence that reaches a contact.
func presence(ctx context.Context, b *run) (*Result, error) {
	logins, err := b.span()
	if err != nil {
		return nil, err
	}
	cs, err := b.open(ctx, b.Sessions, nil)
	if err != nil {
		return nil, err
	}
	defer cs.close()
	in, err := logins.step("log in", int64(len(cs)), nil)
	if err != nil {
		return nil, err
	}
	r := &Result{Unit: "presence", Server: b.version(ctx, cs[0]), Steps: []Step{in}}
	st, err := b.watch(ctx, cs)
	if err != nil {
		return nil, err
	}
	total, err := b.span()
	if err != nil {
		return nil, err
	}
	pairs := st.contacts()
	if pairs == 0 {
		return nil, errors.New("bench: nobody has contacts among the people taking part (--befriend makes them)")
	}
	// Of two contacts, each sees the other come; only who stays longer sees the other go.
	come, err := b.phase(ctx, cs, st, "come", "<presence><priority>0</priority></presence>", 2*pairs)
	if err != nil {
		return nil, err
	}
	gone, err := b.phase(ctx, cs, st, "go", "<presence type='unavailable'/>", pairs)
	if err != nil {
		return nil, err
	}
	r.Latency = come.Latency
	r.Units, r.Due = come.Units+gone.Units, 3*pairs
	if err := total.end(r); err != nil {
		return nil, err
	}
	r.Lost, r.Doubled = r.Due-r.Units, st.again.Load()
	r.Steps = append(r.Steps, come, gone)
	cs.lost(r)
	r.Notes = append(r.Notes, fmt.Sprintf("%d pairs of contacts; two who change at the same time may be told twice of each other, or not at all of a going", pairs))
	return r, nil
}

// phase lets all change their presence, and waits until their contacts know.
func (b *run) phase(ctx context.Context, cs clients, st *storm, name, change string, want int64) (Step, error) {
	st.lat.Store(&Hist{})
	st.seen.Store(0)
	s, err := b.span()
	if err != nil {
		return Step{}, err
	}
	for _, w := range st.people {
		w.mu.Lock()
		for i := range w.contacts {
			w.contacts[i] = false
		}
		w.sent = time.Time{}
		w.mu.Unlock()
	}
	err = b.parallel(ctx, len(cs), b.Workers, func(_ context.Context, i int) error {
		w := st.people[i]
		w.mu.Lock()
		w.sent = time.Now()
		w.mu.Unlock()
		return cs[i].say(change, 1)
	})
	if err != nil {
		return Step{}, err
	}
	if err := b.quiet(ctx, name, want, 5*time.Second, st.seen.Load); err != nil {
		return Step{}, err
	}
	if err := cs.settle(ctx); err != nil {
		return Step{}, err
	}
	return s.step(name, st.seen.Load(), st.lat.Load())
}

// watch reads everybody's roster and begins to look at presences.
func (b *run) watch(ctx context.Context, cs clients) (*storm, error) {
	if b.Befriend {
		if err := b.befriend(ctx, cs); err != nil {
			return nil, err
		}
	}
	st := &storm{domain: b.Domain, number: map[string]int{}, people: make([]*watcher, len(cs))}
	st.lat.Store(&Hist{})
	for i := range cs {
		st.number[b.user(i)] = i
		st.people[i] = &watcher{contacts: map[int]bool{}}
	}
	var done atomic.Int64
	err := b.parallel(ctx, len(cs), b.Workers, func(ctx context.Context, i int) error {
		e, err := cs[i].Ask(ctx, "get", "", "<query xmlns='jabber:iq:roster'/>")
		if err != nil {
			return err
		}
		if q := e.Child("jabber:iq:roster", "query"); q != nil {
			for _, item := range q.Children {
				if n, ok := st.person([]byte(item.Attr("jid"))); ok && item.Attr("subscription") == "both" {
					st.people[i].contacts[n] = false
				}
			}
		}
		b.Progress.Tell("rosters", done.Add(1), int64(len(cs)))
		return nil
	})
	for i, c := range cs {
		c.handle(func(_ *Client, raw *elem.Raw) { st.look(i, raw) })
	}
	return st, err
}

// contacts counts the pairs of people who have each other.
func (st *storm) contacts() (n int64) {
	for i, w := range st.people {
		for c := range w.contacts {
			if _, mutual := st.people[c].contacts[i]; mutual && c > i {
				n++
			}
		}
	}
	return n
}

// person is the number of whose address this is.
func (st *storm) person(jid []byte) (int, bool) {
	local, rest, _ := strings.Cut(string(jid), "@")
	domain, _, _ := strings.Cut(rest, "/")
	n, ok := st.number[local]
	return n, ok && domain == st.domain
}

// look notes what person i was told.
func (st *storm) look(i int, raw *elem.Raw) {
	if string(raw.Local) != "presence" {
		return
	}
	if t := string(attrBytes(raw, "type")); t != "" && t != "unavailable" {
		return
	}
	n, ok := st.person(attrBytes(raw, "from"))
	if !ok || n == i {
		return
	}
	from, w := st.people[n], st.people[i]
	from.mu.Lock()
	due := from.sent
	from.mu.Unlock()
	w.mu.Lock()
	seen, contact := w.contacts[n]
	if w.sent.After(due) {
		due = w.sent // they were there first: told in answer to one's own coming
	}
	if contact {
		w.contacts[n] = true
	}
	w.mu.Unlock()
	switch {
	case !contact:
	case seen:
		st.again.Add(1)
	default:
		st.lat.Load().Add(time.Since(due))
		st.seen.Add(1)
	}
}

// befriend makes each a mutual contact of Contacts others, in a ring (RFC 6121
// §3.1): all ask, and when all have been asked, all agree.
func (b *run) befriend(ctx context.Context, cs clients) error {
	n, k := len(cs), b.Contacts/2
	if n <= 2*k {
		return fmt.Errorf("bench: %d contacts each need more than %d people", 2*k, n)
	}
	var asked, agreed atomic.Int64
	for _, c := range cs {
		c.handle(func(_ *Client, raw *elem.Raw) {
			switch string(attrBytes(raw, "type")) {
			case "subscribe":
				asked.Add(1)
			case "subscribed":
				agreed.Add(1)
			}
		})
		// Answers go to those who have asked for their roster (RFC 6121 §3.1.6).
		if err := c.say("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>", 2); err != nil {
			return err
		}
	}
	if err := cs.settle(ctx); err != nil {
		return err
	}
	for _, step := range []struct {
		kind  string
		count *atomic.Int64
	}{{"subscribe", &asked}, {"subscribed", &agreed}} {
		err := b.parallel(ctx, n, 4*b.Workers, func(ctx context.Context, i int) error {
			var s strings.Builder
			for j := 1; j <= k; j++ {
				for _, o := range []int{(i + j) % n, (i - j + n) % n} {
					fmt.Fprintf(&s, "<presence to='%s' type='%s'/>", b.bare(o), step.kind)
				}
			}
			if err := cs[i].say(s.String(), 2*k); err != nil {
				return err
			}
			b.Progress.Tell(step.kind, step.count.Load(), int64(2*k*n))
			return cs[i].Settle(ctx)
		})
		if err != nil {
			return err
		}
		if err := b.quiet(ctx, step.kind, int64(2*k*n), 20*time.Second, step.count.Load); err != nil {
			return err
		}
	}
	// As if they had just logged in.
	for _, c := range cs {
		if err := c.say("<presence type='unavailable'/>", 1); err != nil {
			return err
		}
	}
	return cs.settle(ctx)
}
