package rsm

import (
	"strconv"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Space is the namespace of result sets (XEP-0059 §6).
const Space = "http://jabber.org/protocol/rsm"

// Request is the page somebody asks for.
type Request struct {
	Max       int // -1 if not given
	After     string
	Before    string
	Backwards bool // <before/> was there, with an id or empty (XEP-0059 §2.5)
}

// Read makes a request of a <set/> element; nil asks for the first page.
func Read(set *elem.Element) (Request, error) {
	r := Request{Max: -1}
	if set == nil {
		return r, nil
	}
	if m := set.Child(Space, "max"); m != nil {
		n, err := strconv.ParseUint(m.Text, 10, 31)
		if err != nil {
			return r, stanza.Fail("bad-request", "<max/> of a result set is a number of items")
		}
		r.Max = int(n)
	}
	if set.Child(Space, "index") != nil {
		// XEP-0059 §2.6: a responder need not support page numbers.
		return r, stanza.Fail("feature-not-implemented", "pages are asked for by id (after, before), not by index")
	}
	r.After = set.ChildText("after")
	if b := set.Child(Space, "before"); b != nil {
		r.Before, r.Backwards = b.Text, true
	}
	return r, nil
}

// Page says which items were given.
type Page struct {
	First, Last string
	Count       int // of the whole list; -1 if it was not counted
}

// Element is the page as a <set/> element (XEP-0059 §2.1).
func (p Page) Element() *elem.Element {
	set := elem.New(Space, "set")
	if p.First != "" {
		set.Add(elem.New(Space, "first").SetText(p.First), elem.New(Space, "last").SetText(p.Last))
	}
	if p.Count >= 0 {
		set.Add(elem.New(Space, "count").SetText(strconv.Itoa(p.Count)))
	}
	return set
}
