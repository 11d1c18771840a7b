package presence

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// DefaultRate is what the presence of one account may come to in a second, in bytes
// to all who see it together, where the configuration does not say; paceBurst is how
// many seconds' worth may go at once. An ordinary presence is 250 bytes: with 5,000
// contacts who are all there, a dozen changes go at once and then two in three seconds.
const (
	DefaultRate = 1 << 20
	paceBurst   = 16
)

// contactCost is what a contact costs who is not there: to look, in bytes.
const contactCost = 16

// maxProbed is how many probes of one account may wait; a server need not answer
// more (RFC 6121 §4.3.2 lets it be silent).
const maxProbed = 500

// pace bounds what an account makes this server tell others (HARDENING M7; XEP-0205
// §2: amplification). Whoever has spent more than is granted waits: of what a session
// says meanwhile the last is told, when there is something to spend again.
// Nothing is dropped that others would not have seen replaced.
type pace struct {
	rate  int64 // bytes a second; 0: nothing is bounded
	now   func() time.Time
	after func(time.Duration, func()) (stop func() bool)

	mu       sync.Mutex
	accounts map[jid.JID]*purse // owner: mu
	swept    int                // how many there were after the last sweep; owner: mu
	over     bool               // no timer is started any more; owner: mu
}

// purse is what one account has left to spend, and what of it waits.
type purse struct {
	left  int64 // below 0: others wait until it is not; owner: pace.mu
	at    time.Time
	late  map[jid.JID]*late // by full JID; owner: the account's herald lock
	asked map[[2]jid.JID]*stanza.Stanza
	stop  func() bool // of the timer; nil: none runs; owner: pace.mu
}

// late is what waits of one session.
type late struct {
	gone    *stanza.Stanza   // its unavailable presence, if that is the last it said
	welcome *session.Session // has become available: is to be told of others, too
}

func newPace(rate int64, now func() time.Time, after func(time.Duration, func()) func() bool) *pace {
	if after == nil {
		after = func(d time.Duration, fn func()) func() bool { return time.AfterFunc(d, fn).Stop }
	}
	return &pace{rate: rate, now: now, after: after, accounts: make(map[jid.JID]*purse)}
}

// fill adds to a purse what time has brought; mu is held.
func (p *pace) fill(u *purse) {
	now := p.now()
	if d := now.Sub(u.at); d > 0 {
		earned := float64(p.rate) * d.Seconds()
		u.left = int64(math.Min(float64(u.left)+earned, float64(p.rate*paceBurst)))
		u.at = now
	}
}

// purse finds an account's; mu is held.
func (p *pace) purse(account jid.JID) *purse {
	u := p.accounts[account]
	if u == nil {
		if len(p.accounts) >= 2*p.swept+1024 {
			p.sweep()
		}
		u = &purse{left: p.rate * paceBurst, at: p.now()}
		p.accounts[account] = u
	}
	p.fill(u)
	return u
}

// sweep forgets who could spend all again; mu is held.
func (p *pace) sweep() {
	for account, u := range p.accounts {
		if p.fill(u); u.left == p.rate*paceBurst && u.stop == nil {
			delete(p.accounts, account)
		}
	}
	p.swept = len(p.accounts)
}

// spend counts bytes that an account has made others get.
func (p *pace) spend(account jid.JID, bytes int) {
	if p.rate <= 0 || bytes == 0 {
		return
	}
	p.mu.Lock()
	p.purse(account).left -= int64(bytes)
	p.mu.Unlock()
}

// wait gives an account's purse if it has nothing to spend, and lets then call the
// function when it has; nil: nothing has to wait.
func (p *pace) wait(account jid.JID, then func()) *purse {
	if p.rate <= 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.purse(account)
	if u.left >= 0 || p.over {
		return nil
	}
	if u.stop == nil {
		u.stop = p.after(time.Duration(float64(-u.left)/float64(p.rate)*float64(time.Second))+time.Millisecond, then)
	}
	return u
}

// due takes note that an account's timer has fired.
func (p *pace) due(account jid.JID) *purse {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.accounts[account]
	if u != nil {
		u.stop = nil
	}
	return u
}

// Stop ends the timers; presence is told at once from then on, for there is not
// much left of it. What waits is not told any more: all sessions are ending.
func (f *Flow) Stop() {
	f.pace.mu.Lock()
	defer f.pace.mu.Unlock()
	f.pace.over = true
	for _, u := range f.pace.accounts {
		if u.stop != nil {
			u.stop()
			u.stop = nil
		}
	}
}

// tell broadcasts a session's presence, or has it wait. The account's lock is held.
// greet is the session if it has just become available; tell says whether that
// has to wait, too.
func (f *Flow) tell(rel *roster.Relations, st *stanza.Stanza, greet *session.Session) (waits bool) {
	account := rel.Owner()
	u := f.pace.wait(account, func() { f.release(account) })
	if u == nil {
		f.pace.spend(account, f.broadcast(rel, st))
		return false
	}
	if u.late == nil {
		u.late = make(map[jid.JID]*late)
	}
	l := u.late[st.From]
	if l == nil {
		l = new(late)
		u.late[st.From] = l
	}
	l.gone = nil
	if st.Type == stanza.Unavailable {
		l.gone, l.welcome = st, nil
	} else if greet != nil {
		l.welcome = greet
	}
	return true
}

// release tells what has waited: of each session what holds now.
func (f *Flow) release(account jid.JID) {
	ctx := context.Background()
	var greet []*session.Session
	var asked []*stanza.Stanza
	var known *roster.Relations
	err := f.with(ctx, account, func(rel *roster.Relations) {
		u := f.pace.due(account)
		if u == nil {
			return
		}
		known = rel
		for full, l := range u.late {
			s := f.cfg.Routes.Session(full)
			st := l.gone
			if s != nil {
				if p := s.Presence(); p.Available {
					st = p.Stanza
				}
			}
			if st == nil {
				delete(u.late, full)
				continue
			}
			if f.pace.wait(account, func() { f.release(account) }) != nil {
				break // the others have to wait for another turn
			}
			delete(u.late, full)
			f.pace.spend(account, f.broadcast(rel, st))
			if l.welcome != nil && l.welcome == s {
				greet = append(greet, s)
			}
		}
		for k, st := range u.asked {
			asked = append(asked, st)
			delete(u.asked, k)
		}
	})
	if err != nil {
		f.cfg.Log.Error("presence: what has waited", "account", account.String(), "err", err)
		return
	}
	for _, s := range greet {
		f.welcome(ctx, s, known)
	}
	for _, st := range asked {
		// It waits again if the others have spent all.
		if err := f.Probe(ctx, st); err != nil {
			f.cfg.Log.Error("presence: probe", "account", account.String(), "err", err)
		}
	}
}

// asks has a probe wait when its account has nothing to spend. The same probe once
// more changes nothing.
func (f *Flow) asks(st *stanza.Stanza) (waits bool) {
	account := st.From.Bare()
	mu := f.lock(account)
	mu.Lock()
	defer mu.Unlock()
	u := f.pace.wait(account, func() { f.release(account) })
	if u == nil {
		return false
	}
	if len(u.asked) < maxProbed {
		if u.asked == nil {
			u.asked = make(map[[2]jid.JID]*stanza.Stanza)
		}
		u.asked[[2]jid.JID{st.From, st.To}] = st
	}
	return true
}
