package adhoc

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Bounds of what askers can make the server remember.
const (
	perAccount = 16
	inAll      = 4096
	lifetime   = 10 * time.Minute
)

// session is one command on its way. Whoever took it out of the table owns it.
type session struct {
	cmd   *im.Command
	call  im.Call
	stage int
	shown *form.Form // the form its asker has before them
	used  time.Time
}

// sessions are the commands that wait for their asker.
type sessions struct {
	mu    sync.Mutex
	byID  map[string]*session
	count map[jid.JID]int // by account
}

// room makes place for one session more, or says why there is none. Who has too
// many loses the oldest: many clients begin commands that they never end.
func (t *sessions) room(who jid.JID, now time.Time) *stanza.Error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count[who.Bare()] < perAccount && len(t.byID) < inAll {
		return nil
	}
	for id, s := range t.byID {
		if now.Sub(s.used) > lifetime {
			t.drop(id, s)
		}
	}
	if t.count[who.Bare()] >= perAccount {
		t.dropOldest(who.Bare())
	}
	if len(t.byID) >= inAll {
		return stanza.Fail("resource-constraint", "too many commands are under way; wait ten minutes").WithType("wait")
	}
	return nil
}

func (t *sessions) put(s *session, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.used = now
	t.byID[s.call.ID] = s
	t.count[s.call.Who.Bare()]++
}

// dropOldest is called with mu held.
func (t *sessions) dropOldest(account jid.JID) {
	oldest := ""
	for id, s := range t.byID {
		if s.call.Who.Bare() == account && (oldest == "" || s.used.Before(t.byID[oldest].used)) {
			oldest = id
		}
	}
	if oldest != "" {
		t.drop(oldest, t.byID[oldest])
	}
}

// take hands out a session of that asker, which nobody else finds then.
func (t *sessions) take(id string, who jid.JID, now time.Time) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byID[id]
	if s == nil || s.call.Who != who {
		return nil
	}
	t.drop(id, s)
	if now.Sub(s.used) > lifetime {
		return nil
	}
	return s
}

// drop is called with mu held.
func (t *sessions) drop(id string, s *session) {
	delete(t.byID, id)
	account := s.call.Who.Bare()
	if t.count[account]--; t.count[account] <= 0 {
		delete(t.count, account)
	}
}

// idLength is that of rand.Text: 130 random bits (HARDENING A10).
const idLength = 26

func newID() string { return rand.Text() }

// ours says whether an id looks like one that was given out.
func ours(id string) bool {
	if len(id) != idLength {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
