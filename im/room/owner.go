package room

import (
	"context"
	"maps"
	"slices"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// note is a message of the room itself that is no content: status codes, changed
// affiliations.
func (r *room) note(x *elem.Element, typ stanza.Type) *session.Frame {
	out := elem.New(stanza.Space, "message", "from", r.at.String())
	if typ != "" {
		out.Set("type", string(typ))
	}
	return &session.Frame{Bytes: out.Add(x).AppendTo(nil, stanza.Space), NameEnd: len("<message"), Kind: stanza.Message, Addressed: true}
}

// tellCodes sends all a notice of a change (XEP-0045 §10.2.1).
func (r *room) tellCodes(codes ...string) {
	f := r.note(userX(codes), stanza.Groupchat)
	for _, t := range r.crowd {
		r.push(t.s, f)
	}
}

// ownerOnly is XEP-0045 §10.2.
func (rs desk) ownerOnly(r *room, q *im.IQ) error {
	if rs.person(r, q).affiliation != Owner {
		return errForbidden("only an owner of the room does this")
	}
	return nil
}

// ownerGet is the configuration form (XEP-0045 §10.1.3, §10.2).
func (rs desk) ownerGet(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	out := elem.New(spaceOwner, "query")
	return out, rs.inRoom(ctx, q, func(r *room) error {
		if err := rs.ownerOnly(r, q); err != nil {
			return err
		}
		out.Add(r.cfg.form(r.at, rule{r}.named(Owner), rule{r}.named(Admin)))
		return nil
	})
}

// named are the accounts of an affiliation, sorted.
func (r rule) named(a Affiliation) (out []string) {
	for j, g := range r.grants {
		if g.affiliation == a {
			out = append(out, j.String())
		}
	}
	slices.Sort(out)
	return out
}

// ownerSet configures or destroys a room (XEP-0045 §10.1, §10.2, §10.9).
func (rs desk) ownerSet(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	if d := q.Payload.Child(spaceOwner, "destroy"); d != nil {
		return nil, rs.destroy(ctx, q, d)
	}
	f := form.Read(q.Payload.Child(form.Space, "x"))
	switch {
	case f == nil || f.Type != "submit" && f.Type != "cancel":
		return nil, fail("bad-request", "a configuration is a submitted form")
	case f.Type == "submit" && len(f.Fields) > 0 && f.Kind() != formConfig && f.Kind() != "":
		return nil, fail("bad-request", "this is another form")
	}
	return nil, rs.changing(ctx, q, func(r *room) (*plan, error) {
		if err := rs.ownerOnly(r, q); err != nil {
			return nil, err
		}
		if f.Type == "cancel" {
			if r.state == locked {
				// XEP-0045 §10.1.3: it never became a room.
				return &plan{apply: func(r *room) { r.ruin(elem.New(spaceUser, "destroy")) }}, nil
			}
			return nil, nil
		}
		cfg, l, err := r.cfg.submitted(f, rs.live.Load().History)
		if err != nil {
			return nil, err
		}
		return rule{r}.configure(cfg, l)
	})
}

// configure plans a new configuration.
func (r rule) configure(cfg Config, l lists) (*plan, error) {
	next, err := r.renamed(l)
	if err != nil {
		return nil, err
	}
	g, err := r.regrant(next, nil, codeMembersOnly)
	if err != nil {
		return nil, err
	}
	if r.state == locked {
		made := r.stored()
		made.config = cfg
		made.grants = maps.Clone(r.grants)
		maps.Copy(made.grants, next)
		return &plan{
			write: func(tx *store.Tx) error { return writeRoom(tx, r.at, made) },
			apply: func(r *room) {
				r.state, r.cfg = open, cfg
				g.apply(r)
			},
		}, nil
	}
	return &plan{
		write: func(tx *store.Tx) error {
			if err := writeConfig(tx, r.at, &cfg); err != nil {
				return err
			}
			return writeGrants(tx, r.at, next)
		},
		apply: func(r *room) {
			was := r.cfg
			r.cfg = cfg
			g.apply(r)
			rule{r}.reconfigured(&was)
		},
	}, nil
}

// renamed is what the full lists of owners and admins in a form change (XEP-0045 §10.2).
func (r rule) renamed(l lists) (map[jid.JID]grant, error) {
	next := map[jid.JID]grant{}
	set := func(list []jid.JID, a Affiliation) error {
		if list == nil {
			return nil
		}
		for j, g := range r.grants {
			if g.affiliation == a && !slices.Contains(list, j) {
				if _, set := next[j]; !set {
					next[j] = grant{affiliation: None}
				}
			}
		}
		for _, j := range list {
			if j.Local() == "" {
				return fail("not-acceptable", "a whole domain can't be an admin or an owner")
			}
			if g := r.grants[j]; g.affiliation != a {
				next[j] = grant{affiliation: a, nick: g.nick}
			}
		}
		return nil
	}
	if err := set(l.admins, Admin); err != nil {
		return nil, err
	}
	return next, set(l.owners, Owner)
}

// reconfigured tells who is there what a new configuration means.
func (r rule) reconfigured(was *Config) {
	if r.cfg.MembersOnly && !was.MembersOnly {
		for _, o := range slices.Clone(r.people) {
			if o.affiliation < Member { // XEP-0045 §10.2
				r.expel(o, why{}, codeMembersOnly)
			}
		}
	}
	var codes []string
	switch {
	case r.cfg.Logged && !was.Logged:
		codes = append(codes, codeLogged)
	case !r.cfg.Logged && was.Logged:
		codes = append(codes, codeNotLogged)
	}
	switch {
	case r.cfg.NonAnonymous && !was.NonAnonymous:
		codes = append(codes, codeNowNonAnon)
	case !r.cfg.NonAnonymous && was.NonAnonymous:
		codes = append(codes, codeNowSemiAnon)
	}
	rest, before := r.cfg, *was
	rest.Logged, rest.NonAnonymous, before.Logged, before.NonAnonymous = false, false, false, false
	if rest != before || len(codes) == 0 {
		codes = append(codes, codeConfig)
	}
	r.tellCodes(codes...)
}

// destroy is XEP-0045 §10.9. The record keeps what was said (HARDENING C5): a
// room made later under the name does not show it.
func (rs desk) destroy(ctx context.Context, q *im.IQ, d *elem.Element) error {
	out := elem.New(spaceUser, "destroy")
	if v := d.Attr("jid"); v != "" {
		j, err := jid.Parse(v)
		if err != nil {
			return fail("jid-malformed", "the other room's address is not one")
		}
		out.Set("jid", j.String())
	}
	copyParts(out, &elem.Element{Name: elem.Name{Space: spaceUser}, Children: recast(d.Children)}, "reason", "password")
	return rs.changing(ctx, q, func(r *room) (*plan, error) {
		if err := rs.ownerOnly(r, q); err != nil {
			return nil, err
		}
		p := &plan{apply: func(r *room) { r.ruin(out) }, closing: true}
		if r.state == open {
			p.write = func(tx *store.Tx) error { return deleteRoom(tx, r.at) }
		}
		return p, nil
	})
}

// recast gives the children of muc#owner the namespace of muc#user.
func recast(kids []*elem.Element) (out []*elem.Element) {
	for _, k := range kids {
		if k.Space == spaceOwner {
			out = append(out, elem.New(spaceUser, k.Local).SetText(k.Text))
		}
	}
	return out
}
