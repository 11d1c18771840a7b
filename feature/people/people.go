package people

import (
	"context"
	"fmt"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/rsm"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Space is the namespace of the search, announced where it is on.
const Space = "jabber:iq:search"

const (
	page = 50      // people in an answer
	read = 500     // accounts read at once
	most = 100_000 // accounts looked through
	hint = "Fill in one or more fields. A part of a name or an address will do."
)

// Account is somebody who can be found.
type Account struct {
	JID  jid.JID
	Name string // as the administrator wrote it
	Card []byte // vcard-temp; nil: none
	Off  bool   // is not found
}

// Config is what the feature asks. All fields are needed.
type Config struct {
	// On says whether people of a host may search it.
	On func(domain string) bool
	// Some reads up to n accounts of a host behind an address, in the order of addresses.
	Some func(ctx context.Context, domain, after string, n int) ([]Account, error)
}

type people struct {
	Config
	turn chan struct{} // full while somebody searches
}

// Feature is XEP-0055. The namespace is announced per host, by whoever knows where it is on.
func Feature(c Config) im.Feature {
	p := people{c, make(chan struct{}, 1)}
	return im.Feature{
		Name:  "people",
		Specs: []im.Spec{{ID: "XEP-0055", Version: "1.3", Status: "complete", Note: "the host's own people"}},
		IQ: []im.Route{
			{Scope: im.ToHost, Type: stanza.Get, Space: Space, Local: "query", Handle: p.fields},
			{Scope: im.ToHost, Type: stanza.Set, Space: Space, Local: "query", Handle: p.search},
		},
	}
}

// allow keeps the company's people to the company.
func (p people) allow(q *im.IQ) error {
	if !p.On(q.To.Domain()) {
		return stanza.Fail("service-unavailable", "there is no search for people here")
	}
	if q.Session == nil || q.From.DomainJID() != q.To {
		return stanza.Fail("forbidden", "the search is for accounts of this host").WithType("auth")
	}
	return nil
}

// fields is XEP-0055 §2.1, with the form of §3 in it.
func (p people) fields(_ context.Context, q *im.IQ) (*elem.Element, error) {
	if err := p.allow(q); err != nil {
		return nil, err
	}
	f := form.New("form", Space)
	f.Title, f.Instructions = "Search for people", hint
	f.Add("text-single", anyField, "Name, address or e-mail")
	out := elem.New(Space, "query").Add(elem.New(Space, "instructions").SetText(hint))
	for _, c := range columns() {
		out.Add(elem.New(Space, c.name))
		f.Add("text-single", c.name, c.label)
	}
	return out.Add(f.Element()), nil
}

// search is XEP-0055 §2.1 and, with a form, §3. The answer is of the kind of the request.
func (p people) search(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	if err := p.allow(q); err != nil {
		return nil, err
	}
	w, isForm, err := readWanting(q.Payload)
	if err != nil {
		return nil, err
	}
	set := q.Payload.Child(rsm.Space, "set")
	r, err := rsm.Read(set)
	if err != nil {
		return nil, err
	}
	if r.Backwards {
		return nil, stanza.Fail("feature-not-implemented", "a search is read forwards")
	}
	n := page
	if r.Max >= 0 {
		n = min(n, r.Max)
	}
	found, err := p.find(ctx, q.To.Domain(), w, r.After, n)
	if err != nil {
		return nil, err
	}
	out := elem.New(Space, "query")
	if isForm {
		out.Add(table(found))
	} else {
		out.Add(items(found)...)
	}
	if set != nil { // XEP-0059 §2.1
		pg := rsm.Page{Count: -1}
		if len(found) > 0 {
			pg.First, pg.Last = found[0].jid.String(), found[len(found)-1].jid.String()
		}
		out.Add(pg.Element())
	}
	return out, nil
}

// find reads the host's accounts until there are n that fit.
func (p people) find(ctx context.Context, domain string, w wanting, after string, n int) (out []person, err error) {
	if w.nothing() || n == 0 {
		return nil, nil
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for range most / read {
		list, err := p.Some(ctx, domain, after, read)
		if err != nil {
			return nil, fmt.Errorf("people: search: %w", err)
		}
		for _, a := range list {
			after = a.JID.String()
			if a.Off || !w.may(a) {
				continue
			}
			if who := readPerson(a); w.fits(who) {
				if out = append(out, who); len(out) == n {
					return out, nil
				}
			}
		}
		if len(list) < read {
			break
		}
	}
	return out, nil
}
