package block

import (
	"context"
	"slices"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Namespaces of XEP-0191.
const (
	Space      = "urn:xmpp:blocking"
	ErrorSpace = "urn:xmpp:blocking:errors"
)

// Presence shows and hides an account's presence; im/presence meets it. Neither
// call may block.
type Presence interface {
	// Hide sends unavailable presence of the owner to those of its subscribers
	// for whom who answers true.
	Hide(owner jid.JID, who func(jid.JID) bool)
	// Show sends them its present presence, and the owner theirs.
	Show(owner jid.JID, who func(jid.JID) bool)
}

// Feature is the blocking command as data.
func Feature(s *Store, p Presence) im.Feature {
	h := handlers{s, p}
	return im.Feature{
		Name: "block",
		Specs: []im.Spec{{ID: "XEP-0191", Version: "1.3", Status: "complete"},
			{ID: "XEP-0377", Version: "0.4.1", Status: "complete", Note: "kept for the administrators, never forwarded"}},
		HostFeatures: []string{Space, ReportSpace},
		IQ: []im.Route{
			{Scope: im.ToSelf, Type: stanza.Get, Space: Space, Local: "blocklist", Handle: h.get},
			{Scope: im.ToSelf, Type: stanza.Set, Space: Space, Local: "block", Handle: h.block},
			{Scope: im.ToSelf, Type: stanza.Set, Space: Space, Local: "unblock", Handle: h.unblock},
		},
		Migrations: Migrations().FS,
	}
}

type handlers struct {
	store    *Store
	presence Presence
}

// get is XEP-0191 §3.2; who asks gets pushes from then on.
func (h handlers) get(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	if q.Session != nil {
		q.Session.Switch(func(f *session.Flags) { f.Blocklist = true })
	}
	jids, err := h.store.List(ctx, q.To.Bare())
	if err != nil {
		return nil, err
	}
	return command("blocklist", jids), nil
}

func (h handlers) block(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	owner := q.To.Bare()
	jids, reports, err := h.reported(q.Payload)
	if err != nil {
		return nil, err
	}
	if len(jids) == 0 {
		return nil, stanza.Fail("bad-request", "nobody given to block") // XEP-0191 §3.3
	}
	for _, j := range jids {
		if j.Bare() == owner {
			return nil, stanza.Fail("not-acceptable", "you can't block yourself")
		}
	}
	return nil, h.store.blockAndReport(ctx, owner, jids, reports, func(c Change) {
		h.push(owner, command("block", jids))
		h.presence.Hide(owner, c.Added)
	})
}

func (h handlers) unblock(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	owner := q.To.Bare()
	jids, err := h.items(q.Payload)
	if err != nil {
		return nil, err
	}
	after := func(c Change) {
		h.push(owner, command("unblock", jids))
		h.presence.Show(owner, c.Freed)
	}
	if len(jids) == 0 { // XEP-0191 §3.5
		return nil, h.store.UnblockAll(ctx, owner, after)
	}
	return nil, h.store.Unblock(ctx, owner, jids, after)
}

// reported reads the addresses of a command and what is reported of them (XEP-0377 §6).
func (h handlers) reported(payload *elem.Element) (jids []jid.JID, reports []*Report, err error) {
	if jids, err = h.items(payload); err != nil {
		return nil, nil, err
	}
	for _, c := range payload.Children {
		if c.Space != Space || c.Local != "item" {
			continue
		}
		r, err := readReport(c)
		if err != nil {
			return nil, nil, err
		}
		if r == nil {
			continue
		}
		if r.Reported, err = jid.Parse(c.Attr("jid")); err != nil {
			return nil, nil, stanza.Fail("jid-malformed", "an address is not a valid JID")
		}
		reports = append(reports, r)
	}
	return jids, reports, nil
}

// items reads the addresses of a command.
func (h handlers) items(payload *elem.Element) ([]jid.JID, error) {
	var out []jid.JID
	for _, c := range payload.Children {
		if c.Space != Space || c.Local != "item" {
			continue
		}
		addr, ok := c.Lookup("jid")
		if !ok {
			return nil, stanza.Fail("bad-request", "an item has no address")
		}
		j, err := jid.Parse(addr)
		if err != nil {
			return nil, stanza.Fail("jid-malformed", "an address is not a valid JID")
		}
		if !slices.Contains(out, j) {
			out = append(out, j)
		}
		if len(out) > h.store.cfg.Max {
			return nil, stanza.Fail("resource-constraint", "too many addresses at once").WithType("cancel")
		}
	}
	return out, nil
}

func command(name string, jids []jid.JID) *elem.Element {
	e := elem.New(Space, name)
	for _, j := range jids {
		e.Add(elem.New(Space, "item", "jid", j.String()))
	}
	return e
}

// push tells the sessions that asked for the list.
func (h handlers) push(owner jid.JID, payload *elem.Element) {
	if h.store.cfg.Routes == nil {
		return
	}
	for _, to := range h.store.cfg.Routes.Sessions(owner) {
		if to.Flags().Blocklist {
			h.store.cfg.Routes.PushIQ(to, jid.JID{}, payload)
		}
	}
}
