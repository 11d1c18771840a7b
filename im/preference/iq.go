package preference

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Space is the namespace of preferences: the archive's (XEP-0441 §2.1).
const Space = "urn:xmpp:mam:2"

// Feature is the preferences as data. XEP-0441 has nothing to announce.
func Feature(s *Store) im.Feature {
	return im.Feature{
		Name: "preference",
		Specs: []im.Spec{{ID: "XEP-0441", Version: "0.2.0", Status: "complete",
			Note: "decides what one's own archive shows; the company's record is always complete"}},
		IQ: []im.Route{
			{Scope: im.ToSelf, Type: stanza.Get, Space: Space, Local: "prefs", Handle: s.get},
			{Scope: im.ToSelf, Type: stanza.Set, Space: Space, Local: "prefs", Handle: s.set},
		},
		Migrations: Migrations().FS,
	}
}

func (s *Store) get(_ context.Context, q *im.IQ) (*elem.Element, error) {
	return s.Of(q.From.Bare()).element(), nil
}

// set answers with what holds from now on.
func (s *Store) set(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	p, err := read(q.Payload)
	if err != nil {
		return nil, err
	}
	if err := s.Set(ctx, q.From.Bare(), p); err != nil {
		return nil, err
	}
	return p.element(), nil
}

// element has both lists, even if they are empty (XEP-0441 §2.1).
func (p Preferences) element() *elem.Element {
	return elem.New(Space, "prefs", "default", string(p.Default)).Add(list("always", p.Always), list("never", p.Never))
}

func list(name string, all []jid.JID) *elem.Element {
	out := elem.New(Space, name)
	for _, j := range all {
		out.Add(elem.New(Space, "jid").SetText(j.String()))
	}
	return out
}

// read is XEP-0441 §2.1.1: a list that is missing is empty.
func read(e *elem.Element) (p Preferences, err error) {
	p.Default = Default(e.Attr("default"))
	switch p.Default {
	case Always, Never, Roster:
	default:
		return p, stanza.Fail("bad-request", "the default is always, never or roster")
	}
	seen := make(map[jid.JID]string)
	for _, c := range e.Children {
		if c.Space != Space || c.Local != "always" && c.Local != "never" {
			continue
		}
		for _, item := range c.Children {
			if item.Space != Space || item.Local != "jid" {
				continue
			}
			j, err := jid.Parse(item.Text)
			if err != nil {
				return p, stanza.Fail("jid-malformed", "an address on a list is none")
			}
			switch other, twice := seen[j]; {
			case twice && other != c.Local:
				return p, stanza.Fail("bad-request", j.String()+" can't be on both lists")
			case twice:
				continue
			case len(seen) == maxListed:
				return p, stanza.Fail("resource-constraint", "the lists are too long")
			}
			seen[j] = c.Local
			if c.Local == "always" {
				p.Always = append(p.Always, j)
			} else {
				p.Never = append(p.Never, j)
			}
		}
	}
	return p, nil
}
