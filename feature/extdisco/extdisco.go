package extdisco

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const space = "urn:xmpp:extdisco:2"

// Config is what the feature asks. All fields are needed.
type Config struct {
	// Of gives what a host has.
	Of  func(domain string) Settings
	Now func() time.Time
}

// Feature is XEP-0215.
func Feature(c Config) im.Feature {
	return im.Feature{
		Name:         "extdisco",
		Specs:        []im.Spec{{ID: "XEP-0215", Version: "1.0.0", Status: "complete", Note: "STUN and TURN"}},
		HostFeatures: []string{space}, // XEP-0215 §5
		IQ: []im.Route{
			{Scope: im.ToHost, Type: stanza.Get, Space: space, Local: "services", Handle: c.services},
			{Scope: im.ToHost, Type: stanza.Get, Space: space, Local: "credentials", Handle: c.credentials},
		},
	}
}

// allow is XEP-0215 §2: a relay costs its operator, so that it is for accounts of the host.
func allow(q *im.IQ) error {
	if q.Session == nil || q.From.DomainJID() != q.To {
		return stanza.Fail("forbidden", "the services are for accounts of this host").WithType("auth")
	}
	return nil
}

// services is XEP-0215 §3.1 and, with a type, §3.2.
func (c Config) services(_ context.Context, q *im.IQ) (*elem.Element, error) {
	if err := allow(q); err != nil {
		return nil, err
	}
	out := elem.New(space, "services")
	typ := q.Payload.Attr("type")
	if typ != "" {
		out.Set("type", typ)
	}
	set := c.Of(q.To.Domain())
	for _, s := range set.Services {
		if typ == "" || typ == s.Type {
			out.Add(set.element(s, q.From.Bare(), c.Now()))
		}
	}
	q.Session.Switch(func(f *session.Flags) { f.Services = true })
	return out, nil
}

// credentials is XEP-0215 §3.3. A service that needs none is returned without.
func (c Config) credentials(_ context.Context, q *im.IQ) (*elem.Element, error) {
	if err := allow(q); err != nil {
		return nil, err
	}
	want := q.Payload.Child(space, "service")
	if want == nil || want.Attr("host") == "" || want.Attr("type") == "" {
		return nil, stanza.Fail("bad-request", "which service: its host and its type are needed")
	}
	port, given := want.Lookup("port")
	out := elem.New(space, "credentials")
	set := c.Of(q.To.Domain())
	for _, s := range set.Services {
		if s.Host == want.Attr("host") && s.Type == want.Attr("type") && (!given || port == strconv.Itoa(s.Port)) {
			out.Add(set.element(s, q.From.Bare(), c.Now()))
		}
	}
	if len(out.Children) == 0 {
		return nil, stanza.Fail("item-not-found", "there is no such service")
	}
	return out, nil
}

// Changed makes what one who asked before is told of other settings (XEP-0215 §3.2), nil if they are the same to them.
func Changed(before, after Settings, who jid.JID, now time.Time) *elem.Element {
	out := elem.New(space, "services")
	for _, s := range before.Services {
		if !slices.Contains(after.Services, s) {
			out.Add(s.element().Set("action", "delete"))
		}
	}
	other := before.Secret != after.Secret || before.Username != after.Username || before.Password != after.Password
	for _, s := range after.Services {
		switch {
		case !slices.Contains(before.Services, s):
			out.Add(after.element(s, who, now).Set("action", "add"))
		case other && s.relay():
			out.Add(after.element(s, who, now).Set("action", "modify"))
		}
	}
	if len(out.Children) == 0 {
		return nil
	}
	return out
}
