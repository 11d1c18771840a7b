package roster

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Space is the namespace of rosters (RFC 6121 §2.1.1).
const Space = "jabber:iq:roster"

// Item is one entry of a roster (RFC 6121 §2.1.2).
type Item struct {
	JID          jid.JID
	Name         string
	Groups       []string
	Subscription string // none, to, from, both; remove in pushes
	Ask          bool   // ask='subscribe'
	Approved     bool   // RFC 6121 §3.4
}

// Element is the <item/>.
func (it *Item) Element() *elem.Element {
	e := elem.New(Space, "item", "jid", it.JID.String())
	if it.Name != "" {
		e.Set("name", it.Name)
	}
	e.Set("subscription", it.Subscription)
	if it.Ask {
		e.Set("ask", "subscribe")
	}
	if it.Approved {
		e.Set("approved", "true")
	}
	for _, g := range it.Groups {
		e.Add(elem.New(Space, "group").SetText(g))
	}
	return e
}

func (it *Item) state() State {
	s := Listed
	switch it.Subscription {
	case "to":
		s |= To
	case "from":
		s |= From
	case "both":
		s |= To | From
	}
	if it.Ask {
		s |= PendingOut
	}
	if it.Approved {
		s |= Approved
	}
	return s
}

func (it *Item) setState(s State) {
	it.Subscription = s.Subscription()
	it.Ask = s&PendingOut != 0
	it.Approved = s&Approved != 0
}

func encodeGroups(groups []string) string {
	if len(groups) == 0 {
		return "[]"
	}
	b, err := json.Marshal(groups)
	if err != nil {
		return "[]" // strings always marshal
	}
	return string(b)
}

func decodeGroups(s string) ([]string, error) {
	if s == "[]" {
		return nil, nil
	}
	var groups []string
	err := json.Unmarshal([]byte(s), &groups)
	return groups, err
}

// Limits bound what one account may keep in its roster.
type Limits struct {
	Items   int // roster items
	Pending int // inbound requests not answered yet
	Name    int // bytes of an item's name
	Group   int // bytes of a group's name
	Groups  int // groups of one item
}

// DefaultLimits fit a large company; names as long as a JID part may be (RFC 7622 §3.1).
var DefaultLimits = Limits{Items: 5000, Pending: 1000, Name: 1023, Group: 1023, Groups: 64}

// check applies RFC 6121 §2.3.3 and keeps text that both databases can store.
func (l Limits) check(name string, groups []string) error {
	if len(name) > l.Name {
		return stanza.Fail("not-acceptable", "the contact's name is too long")
	}
	if strings.IndexByte(name, 0) >= 0 {
		return stanza.Fail("bad-request", "a name holds no NUL")
	}
	if len(groups) > l.Groups {
		return stanza.Fail("not-acceptable", "the contact is in too many groups")
	}
	for i, g := range groups {
		switch {
		case g == "":
			return stanza.Fail("not-acceptable", "a group needs a name") // RFC 6121 §2.3.3
		case len(g) > l.Group:
			return stanza.Fail("not-acceptable", "a group's name is too long")
		case strings.IndexByte(g, 0) >= 0:
			return stanza.Fail("bad-request", "a name holds no NUL")
		case slices.Contains(groups[:i], g):
			return stanza.Fail("bad-request", "a group is named twice") // RFC 6121 §2.3.3
		}
	}
	return nil
}
