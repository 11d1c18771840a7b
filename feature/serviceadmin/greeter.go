package serviceadmin

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/visit"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Greeter says the message of the day and the welcome to people who come. Both
// are messages with an origin-id, which the archive keeps once: who had one in an
// earlier life of the server does not get it again.
type Greeter struct {
	Notices *Notices
	Visits  *visit.Store
	Path    interface {
		Announce(ctx context.Context, msgs iter.Seq[*stanza.Stanza]) (int, error)
	}
	// Seen is when an account's last session left.
	Seen func(ctx context.Context, bare jid.JID) (at time.Time, status string, ok bool)
	Log  *slog.Logger

	mu   sync.Mutex
	told map[jid.JID]string // owner: mu; the ids each account was told since the start
}

// remembered bounds told: beyond it the archive is asked again.
const remembered = 100_000

// Greet is called when a session of an account has become available.
func (g *Greeter) Greet(ctx context.Context, who jid.JID) {
	host := who.DomainJID()
	motd, day := g.Notices.Get(host, MOTD)
	first, any := g.Notices.Get(host, Welcome)
	if !day && !any || g.knows(who, motd.ID+first.ID) {
		return
	}
	var msgs []*stanza.Stanza
	if any {
		is, err := g.newcomer(ctx, who, first)
		if err != nil {
			g.Log.Error("serviceadmin: welcome", "account", who.String(), "err", err)
			return
		}
		if is {
			msgs = append(msgs, message(host, who, first.ID, "Welcome", first.Text))
		}
	}
	if day {
		msgs = append(msgs, message(host, who, motd.ID, motdSubject, motd.Text))
	}
	if _, err := g.Path.Announce(ctx, slices.Values(msgs)); err != nil {
		// They get it with their next session.
		g.Log.Error("serviceadmin: greeting", "account", who.String(), "err", err)
		g.forget(who)
	}
}

// newcomer says whether somebody's first visit is one that the welcome is for:
// they came after it was set, and had never been here.
func (g *Greeter) newcomer(ctx context.Context, who jid.JID, w Notice) (bool, error) {
	v, err := g.Visits.Get(ctx, who)
	if err != nil || v.Times == 0 || v.First.Before(w.At) {
		return false, err
	}
	_, _, before := g.Seen(ctx, who)
	return !before, nil
}

// knows notes what an account is told, and says whether it was told that before.
func (g *Greeter) knows(who jid.JID, ids string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told[who] == ids {
		return true
	}
	if g.told == nil || len(g.told) >= remembered {
		g.told = map[jid.JID]string{}
	}
	g.told[who] = ids
	return false
}

func (g *Greeter) forget(who jid.JID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.told, who)
}
