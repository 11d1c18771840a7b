package room

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// spaceVersions is XEP-0463.
const spaceVersions = "urn:xmpp:muc:affiliations:1"

// versions numbers what a room's affiliations are (XEP-0463). A version is a keyed sum
// over the list, so that it is the same after a restart; what has changed between two
// is known while the room is in memory, for the last changes.
type versions struct {
	known bool // nobody has asked before: nothing is counted
	sum   [2]uint64
	steps []step // oldest first
}

// step is one change of one account's affiliation.
type step struct {
	since, until string
	who          jid.JID
}

const (
	maxSteps  = 1000
	itemsSent = 500 // in one message
)

func (v *versions) String() string { return fmt.Sprintf("%016x%016x", v.sum[0], v.sum[1]) }

// weigh adds an entry of the list to the sum, or takes it out.
func (r tally) weigh(who jid.JID, a Affiliation, in bool) {
	if a == None {
		return
	}
	h := hmac.New(sha256.New, r.home.key)
	fmt.Fprintf(h, "affiliation\x00%s\x00%s\x00%s", r.at, who, a)
	b := h.Sum(nil)
	for i := range r.versions.sum {
		if n := binary.BigEndian.Uint64(b[8*i:]); in {
			r.versions.sum[i] += n
		} else {
			r.versions.sum[i] -= n
		}
	}
}

// version is the present one.
func (r tally) version() string {
	if !r.versions.known {
		r.versions = versions{known: true}
		for who, g := range r.grants {
			r.weigh(who, g.affiliation, true)
		}
	}
	return r.versions.String()
}

// step counts a change, if it is one and anybody has asked for versions.
func (r tally) step(who jid.JID, from, to Affiliation) (s step) {
	v := &r.versions
	if !v.known || from == to {
		return s
	}
	s = step{since: v.String(), who: who}
	r.weigh(who, from, false)
	r.weigh(who, to, true)
	s.until = v.String()
	if v.steps = append(v.steps, s); len(v.steps) > maxSteps {
		v.steps = slices.Clone(v.steps[len(v.steps)-maxSteps/2:])
	}
	return s
}

// mav is the element of a change, or of a version.
func mav(since, until string) *elem.Element {
	e := elem.New(spaceVersions, "mav")
	if since != "" {
		e.Set("since", since)
	}
	return e.Set("until", until)
}

// asksVersions notes whether who enters wants versions (XEP-0463 §5.1).
func (t *seat) asksVersions(a *arrival) (since string, asks bool) {
	if a.x == nil {
		return "", false
	}
	e := a.x.Child(spaceVersions, "mav")
	t.versions = e != nil
	if e == nil {
		return "", false
	}
	return e.Attr("since"), true
}

// catchUp sends who enters what has become of the affiliations since the version
// he knows, or all of them, before any presence (XEP-0463 §5.2.1).
func (r door) catchUp(t *seat, a *arrival) {
	since, asks := t.asksVersions(a)
	if !asks {
		return
	}
	w := who{t.o.role, t.o.affiliation}
	if w.affiliation < Admin && !r.cfg.open(w) { // XEP-0463 §5.2.3: as for the lists (XEP-0045 §9.5)
		t.versions = false
		r.push(t.s, tally(r).noVersions(a.id))
		return
	}
	now := tally(r).version()
	if since == now {
		return
	}
	changed, ok := tally(r).changedSince(since)
	if !ok {
		since, changed = "", slices.SortedFunc(maps.Keys(r.grants), compare)
	}
	var items []*elem.Element
	for _, j := range changed {
		g, here := r.grants[j]
		aff := g.affiliation
		if !here || aff == Outcast && w.affiliation < Admin {
			aff = None // XEP-0045 §9.2: who is banned is for admins to know
		}
		if aff == None && since == "" {
			continue
		}
		items = append(items, elem.New(spaceUser, "item", "jid", j.String(), "affiliation", aff.String()))
	}
	r.pages(t, since, now, items)
}

// pages sends the items, in messages whose versions join on (XEP-0463 §5.2.1).
func (r door) pages(t *seat, since, until string, items []*elem.Element) {
	for n := 1; ; n++ {
		page, rest := items[:min(itemsSent, len(items))], items[min(itemsSent, len(items)):]
		next := until
		if len(rest) > 0 {
			next += "-" + strconv.Itoa(n)
		}
		x := userX(nil, append([]*elem.Element{mav(since, next)}, page...)...)
		r.push(t.s, r.note(x, ""))
		if len(rest) == 0 {
			return
		}
		since, items = next, rest
	}
}

// changedSince is whose affiliation has changed since a version; false if that is not known.
func (r tally) changedSince(since string) (out []jid.JID, known bool) {
	if since == "" {
		return nil, false
	}
	from := slices.IndexFunc(r.versions.steps, func(s step) bool { return s.since == since })
	if from < 0 {
		return nil, false
	}
	for _, s := range r.versions.steps[from:] {
		if !slices.Contains(out, s.who) {
			out = append(out, s.who)
		}
	}
	return out, true
}

func (r tally) noVersions(id string) *session.Frame {
	out := elem.New(stanza.Space, "message", "from", r.at.String(), "type", "error")
	if id != "" {
		out.Set("id", id)
	}
	out.Add(errForbidden("you may not read this room's lists").Element())
	return &session.Frame{Bytes: out.AppendTo(nil, stanza.Space), NameEnd: len("<message"), Kind: stanza.Message, Addressed: true}
}
