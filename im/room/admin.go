package room

import (
	"context"
	"maps"
	"slices"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// maxItems is how many items one request may change, maxGrants how many
// affiliations a room may hold.
const (
	maxItems  = 200
	maxGrants = 20_000
)

// adminGet is a list of affiliations or roles (XEP-0045 §8.5, §9.2, §9.5, §9.8,
// §10.5, §10.8).
func (rs desk) adminGet(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	it := q.Payload.Child(spaceAdmin, "item")
	if it == nil {
		return nil, fail("bad-request", "which list?")
	}
	aff, byAff := it.Lookup("affiliation")
	role, byRole := it.Lookup("role")
	if byAff == byRole {
		return nil, fail("bad-request", "a list is of one affiliation or of one role")
	}
	out := elem.New(spaceAdmin, "query")
	return out, rs.inRoom(ctx, q, func(r *room) error {
		if byRole {
			want, ok := parseRole(role)
			if !ok || want == NoRole {
				return fail("bad-request", "there is no such role")
			}
			return rule{r}.listRole(rs.person(r, q), want, out)
		}
		want, ok := parseAffiliation(aff)
		if !ok || want == None {
			return fail("bad-request", "there is no list of this affiliation")
		}
		return rule{r}.listAffiliation(rs.person(r, q), want, out)
	})
}

// mayList says who may read the list of an affiliation.
func (c *Config) mayList(w who, list Affiliation) error {
	allowed := w.affiliation == Owner
	switch list {
	case Outcast: // XEP-0045 §9.2
		allowed = w.affiliation >= Admin
	case Member: // XEP-0045 §9.5
		allowed = w.affiliation >= Admin || c.open(w)
	default: // XEP-0045 §10.5, §10.8: others only where addresses are no secret
		allowed = allowed || c.open(w)
	}
	if !allowed {
		return errForbidden("you may not read this list")
	}
	return nil
}

// open says that somebody belongs to a room that shows real addresses: a member, or
// an occupant whose role the owner has named for it.
func (c *Config) open(w who) bool {
	return c.NonAnonymous && (w.affiliation >= Member || w.affiliation != Outcast && w.role != NoRole && c.MemberListRoles&(1<<w.role) != 0)
}

func (r rule) listAffiliation(w who, want Affiliation, out *elem.Element) error {
	if err := r.cfg.mayList(w, want); err != nil {
		return err
	}
	for _, j := range slices.SortedFunc(maps.Keys(r.grants), func(a, b jid.JID) int { return compare(a, b) }) {
		g := r.grants[j]
		if g.affiliation != want {
			continue
		}
		it := elem.New(spaceAdmin, "item", "affiliation", want.String(), "jid", j.String())
		if want != Outcast {
			if nick := r.nickOf(j, g); nick != "" {
				it.Set("nick", nick)
			}
		}
		out.Add(why{reason: g.reason}.addTo(it))
	}
	return nil
}

func compare(a, b jid.JID) int {
	switch x, y := a.String(), b.String(); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// nickOf is an account's nickname: the one it has reserved, or the one it has now.
func (r rule) nickOf(j jid.JID, g grant) string {
	if g.nick != "" {
		return g.nick
	}
	for _, o := range r.people {
		if o.bare == j {
			return o.nick
		}
	}
	return ""
}

func (r rule) listRole(w who, want Role, out *elem.Element) error {
	if w.role != Moderator && w.affiliation < Admin {
		return errForbidden("only moderators read this list")
	}
	for _, o := range r.people {
		if o.role == want {
			out.Add(elem.New(spaceAdmin, "item", "nick", o.nick, "role", want.String(), "affiliation", o.affiliation.String(),
				"jid", o.seats[len(o.seats)-1].s.JID().String()))
		}
	}
	return nil
}

// wanted is one change somebody asks for.
type wanted struct {
	byRole      bool
	role        Role
	key         string // of the occupant whose role it is
	who         jid.JID
	affiliation Affiliation
	nick        string
	setNick     bool
	reason      string
}

func (r rule) readItem(it *elem.Element) (w wanted, err error) {
	role, byRole := it.Lookup("role")
	aff, byAff := it.Lookup("affiliation")
	if byRole == byAff { // XEP-0045 §17.4: both at once is refused
		return w, fail("bad-request", "an item changes a role or an affiliation")
	}
	w.byRole, w.reason = byRole, it.ChildText("reason")
	if len(w.reason) > maxText {
		return w, fail("not-acceptable", "the reason is too long")
	}
	if byRole {
		var ok bool
		if w.role, ok = parseRole(role); !ok {
			return w, fail("bad-request", "there is no such role")
		}
		_, w.key, err = jid.Nickname(it.Attr("nick"))
		if err != nil || r.nicks[w.key] == nil {
			return w, fail("item-not-found", "nobody in this room has this nickname")
		}
		return w, nil
	}
	var ok bool
	if w.affiliation, ok = parseAffiliation(aff); !ok {
		return w, fail("bad-request", "there is no such affiliation")
	}
	return w, r.readSubject(it, &w)
}

// readSubject reads whose affiliation it is: an address, or the nickname of who is here.
func (r rule) readSubject(it *elem.Element, w *wanted) error {
	nick, named := it.Lookup("nick")
	if text := it.Attr("jid"); text != "" {
		j, err := jid.Parse(text)
		if err != nil {
			return fail("jid-malformed", "this is not an address")
		}
		w.who = j.Bare() // XEP-0045 §10.3: affiliations are of accounts
		w.nick, w.setNick = nick, named
		if nick != "" {
			if w.nick, _, err = jid.Nickname(nick); err != nil {
				return fail("not-acceptable", "this is not a nickname")
			}
		}
		return nil
	}
	_, key, err := jid.Nickname(nick)
	if err != nil || r.nicks[key] == nil {
		return fail("item-not-found", "nobody in this room has this nickname")
	}
	w.who = r.nicks[key].bare
	return nil
}

// adminSet changes roles and affiliations, all of them or none (XEP-0045 §9.2).
func (rs desk) adminSet(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	n := len(q.Payload.Children)
	if n == 0 || n > maxItems {
		return nil, fail("bad-request", "a request changes between one and 200 items")
	}
	return nil, rs.changing(ctx, q, func(r *room) (*plan, error) {
		by := rs.person(r, q)
		actor := why{nick: rule{r}.nickOf(q.From.Bare(), grant{})}
		next, reasons := map[jid.JID]grant{}, map[jid.JID]why{}
		var turns []wanted
		for _, c := range q.Payload.Children {
			if c.Local != "item" || c.Space != spaceAdmin {
				return nil, fail("bad-request", "a change is an item")
			}
			w, err := rule{r}.readItem(c)
			if err != nil {
				return nil, err
			}
			if w.byRole {
				o := r.nicks[w.key]
				if err := mayAssign(by, who{o.role, o.affiliation}, w.role, o.bare == q.From.Bare()); err != nil {
					return nil, err
				}
				turns = append(turns, w)
				continue
			}
			if err := (rule{r}).want(q.From.Bare(), by, w, next); err != nil {
				return nil, err
			}
			reasons[w.who] = why{nick: actor.nick, reason: w.reason}
		}
		fresh := rule{r}.newMembers(next)
		p, err := rule{r}.regrant(next, reasons, codeAffiliation)
		if err != nil {
			return nil, err
		}
		p.after = rule{r}.calling(ctx, q.From, fresh)
		if len(turns) == 0 {
			return p, nil
		}
		grants := p.apply
		p.apply = func(r *room) {
			grants(r)
			for _, w := range turns {
				rule{r}.assign(w, actor)
			}
		}
		return p, nil
	})
}

// newMembers are those of a change who were not affiliated before.
func (r rule) newMembers(next map[jid.JID]grant) (out []jid.JID) {
	for j, g := range next {
		if g.affiliation == Member && r.affiliationOf(j) == None {
			out = append(out, j)
		}
	}
	slices.SortFunc(out, compare)
	return out
}

// want checks one change of an affiliation and adds it to what will be.
func (r rule) want(by jid.JID, as who, w wanted, next map[jid.JID]grant) error {
	g, ok := r.grants[w.who]
	if !ok {
		g = grant{affiliation: None}
	}
	if err := mayGrant(as.affiliation, matching(r.grants, w.who).affiliation, w.affiliation, w.who == by); err != nil {
		return err
	}
	if w.who.Local() == "" && w.affiliation > Member {
		return fail("not-acceptable", "a whole domain can be a member or banned, not more")
	}
	g.affiliation, g.reason = w.affiliation, w.reason
	if w.setNick {
		g.nick = w.nick
	}
	if w.affiliation == Outcast || w.affiliation == None {
		g.nick = "" // XEP-0045 §9.1: the nickname is free again
	}
	next[w.who] = g
	return nil
}

// regrant plans a change of affiliations: written, then told. code is for those
// who may not be in a members-only room any more.
func (r rule) regrant(next map[jid.JID]grant, reasons map[jid.JID]why, code string) (*plan, error) {
	all := maps.Clone(r.grants)
	maps.Copy(all, next)
	if owners(all) == 0 { // XEP-0045 §10.4: always one owner
		return nil, fail("conflict", "a room has an owner: name another one first")
	}
	if len(all) > maxGrants {
		return nil, fail("resource-constraint", "this room has as many affiliations as it may")
	}
	taken := map[string]jid.JID{}
	for j, g := range all {
		if g.nick == "" {
			continue
		}
		_, key, err := jid.Nickname(g.nick)
		if other, dup := taken[key]; err != nil || dup && other != j {
			return nil, fail("conflict", "this nickname belongs to somebody else")
		}
		taken[key] = j
	}
	p := &plan{apply: func(r *room) { rule{r}.regranted(next, reasons, code) }}
	if len(next) > 0 && r.state == open {
		p.write = func(tx *store.Tx) error { return writeGrants(tx, r.at, next) }
	}
	return p, nil
}

// regranted makes new grants hold and tells who is there what that means.
func (r rule) regranted(next map[jid.JID]grant, reasons map[jid.JID]why, code string) {
	was := map[jid.JID]Affiliation{}
	for j, g := range next {
		was[j] = None
		if old, ok := r.grants[j]; ok {
			was[j] = old.affiliation
		}
		if g.affiliation == None && g.nick == "" {
			delete(r.grants, j)
			continue
		}
		r.grants[j] = g
	}
	r.reserve()
	if len(next) == 0 {
		return
	}
	here := map[jid.JID]bool{}
	for _, o := range slices.Clone(r.people) {
		w, named := reasons[o.bare]
		if !named {
			w = reasons[o.bare.DomainJID()]
		}
		if g, changed := next[o.bare]; changed && !here[o.bare] {
			w.step = tally(r).step(o.bare, was[o.bare], g.affiliation)
		}
		here[o.bare] = true
		r.regrade(o, w, code)
	}
	for _, j := range slices.SortedFunc(maps.Keys(next), compare) {
		if !here[j] {
			w := reasons[j]
			w.step = tally(r).step(j, was[j], next[j].affiliation)
			r.aside(j, w)
		}
	}
}

// regrade brings an occupant in line with its affiliation.
func (r rule) regrade(o *occupant, w why, code string) {
	was, is := o.affiliation, r.affiliationOf(o.bare)
	if was == is {
		return
	}
	o.affiliation = is
	switch {
	case is == Outcast: // XEP-0045 §9.1
		r.expel(o, w, codeBanned)
		return
	case is < Member && r.cfg.MembersOnly: // XEP-0045 §9.4
		r.expel(o, w, code)
		return
	case is >= Admin:
		o.role = Moderator // XEP-0045 §5.1.3
	case was >= Admin:
		o.role = initialRole(is, &r.cfg)
	case is == Member && o.role < Participant:
		o.role = Participant
	}
	r.announce(o, w)
}

// aside tells who is there that somebody who is not has another affiliation
// (XEP-0045 §10.3): those who may know addresses.
func (r rule) aside(j jid.JID, w why) {
	it := elem.New(spaceUser, "item", "affiliation", r.affiliationOf(j).String(), "role", NoRole.String(), "jid", j.String())
	x := userX(nil, w.addTo(it))
	plain := r.note(x, "")
	tagged := plain
	if w.step.until != "" {
		tagged = r.note(x.Add(mav(w.step.since, w.step.until)), "") // XEP-0463 §5.2.2
	}
	for _, t := range r.crowd {
		switch {
		case !r.sees(t.o.role):
		case t.versions:
			r.push(t.s, tagged)
		default:
			r.push(t.s, plain)
		}
	}
}

// assign gives an occupant a role.
func (r rule) assign(w wanted, by why) {
	o := r.nicks[w.key]
	if o == nil || o.role == w.role {
		return
	}
	by.reason = w.reason
	if w.role == NoRole { // XEP-0045 §8.2
		r.expel(o, by, codeKicked)
		return
	}
	o.role = w.role
	r.announce(o, by)
}
