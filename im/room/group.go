package room

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// A group is how people who talk become many without naming or configuring anything: a client asks the service
// for a name nobody has (XEP-0307), enters it, takes the room as it is (XEP-0045 §10.1.2), puts what was said between
// two into it and invites the others (§7.9). A room made under such a name is for its people only: members-only,
// addresses shown, in no list, kept while all are away, and every member may ask others in. It is a room like any
// other: to clients that know nothing of groups, and to its owner, who gives it a name or opens it when it has become one.
//
// unique are the names the service has given out and nobody has used yet.
type unique struct {
	mu    sync.Mutex // a leaf
	given map[string]promise
}

// promise is a name that is somebody's to use.
type promise struct {
	to jid.JID
	at time.Time
}

// Bounds of names given out.
const (
	promiseFor   = 10 * time.Minute
	promisesMost = 10_000
	promisesEach = 20
)

const spaceUnique = "http://jabber.org/protocol/muc#unique"

// name is XEP-0307 §2.
func (rs clerk) name(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	who := q.From.Bare()
	makes, err := rs.makes(ctx, who)
	if err != nil {
		return nil, err
	}
	if !makes || rs.Guest != nil && rs.Guest(who) {
		return nil, fail("not-allowed", "you make no rooms here")
	}
	u, now := &rs.unique, rs.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	mine := 0
	for name, p := range u.given {
		switch {
		case now.Sub(p.at) > promiseFor:
			delete(u.given, name)
		case p.to == who:
			mine++
		}
	}
	if mine >= promisesEach || len(u.given) >= promisesMost {
		return nil, fail("resource-constraint", "use the names you were given first").WithType("wait")
	}
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	name := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
	u.given[name] = promise{who, now}
	return elem.New(spaceUnique, "unique").SetText(name), nil
}

// makes says whether somebody may make rooms here.
func (rs clerk) makes(ctx context.Context, who jid.JID) (bool, error) {
	if rs.Makes == nil {
		return rs.live.Load().Create, nil
	}
	return rs.Makes(ctx, who)
}

// redeem says whether a room of a name given out is being made by whom it was given to.
func (rs clerk) redeem(name string, who jid.JID) bool {
	u := &rs.unique
	u.mu.Lock()
	defer u.mu.Unlock()
	p, ok := u.given[name]
	if !ok || p.to != who || rs.Now().Sub(p.at) > promiseFor {
		return false
	}
	delete(u.given, name)
	return true
}

// grouped is the configuration of a group.
func (c Config) grouped() Config {
	c.Group = true
	c.MembersOnly, c.NonAnonymous, c.Hidden, c.Persistent, c.AllowInvites, c.ChangeSubject = true, true, true, true, true, true
	return c
}

// shownName is what a room is called: its name; a group without one is called by
// its people, for who may know them.
func (r rule) shownName(insider bool) string {
	switch {
	case r.cfg.Name != "":
		return r.cfg.Name
	case !r.cfg.Group:
		return r.at.Local()
	case !insider:
		return "Group"
	}
	var names []string
	for _, a := range []Affiliation{Owner, Admin, Member} {
		names = append(names, r.named(a)...)
	}
	more := ""
	if len(names) > 4 {
		more = " +" + strconv.Itoa(len(names)-3)
		names = names[:3]
	}
	for i, n := range names {
		names[i], _, _ = strings.Cut(n, "@")
	}
	return strings.Join(names, ", ") + more
}
