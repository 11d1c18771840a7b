package bookmark

import (
	"slices"

	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// conference is one room, in either form (XEP-0048 §2.1, XEP-0402 §2).
type conference struct {
	room, name, nick, password string
	id                         string // of the item, as its client wrote the room's address
	autojoin                   bool
	extensions                 *elem.Element // XEP-0402 only
}

// read makes one of an item; ok is false if it is no bookmark.
func read(it *pubsub.Item) (c conference, ok bool) {
	j, err := jid.Parse(it.ID)
	if err != nil {
		return c, false
	}
	e, err := elem.Parse(it.Payload)
	if err != nil || e.Space != Native || e.Local != "conference" {
		return c, false
	}
	c = fields(e)
	c.room, c.id = j.String(), it.ID
	c.extensions = e.Child(Native, "extensions")
	return c, true
}

func fields(e *elem.Element) conference {
	auto := e.Attr("autojoin")
	return conference{name: e.Attr("name"), nick: e.ChildText("nick"), password: e.ChildText("password"),
		autojoin: auto == "true" || auto == "1"}
}

// conferences are the rooms of an old element, each once.
func conferences(e *elem.Element) (out []conference) {
	for _, k := range e.Children {
		if k.Space != Legacy || k.Local != "conference" {
			continue
		}
		j, err := jid.Parse(k.Attr("jid"))
		if err != nil {
			continue
		}
		c := fields(k)
		c.room = j.String()
		c.id = c.room
		if !slices.ContainsFunc(out, func(o conference) bool { return o.room == c.room }) {
			out = append(out, c)
		}
	}
	return out
}

// equal says whether two are the same in all that both forms know.
func (c *conference) equal(o *conference) bool {
	return c.room == o.room && c.name == o.name && c.nick == o.nick && c.password == o.password && c.autojoin == o.autojoin
}

// same says whether two lists hold the same rooms, in whatever order.
func same(a, b []conference) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !slices.ContainsFunc(b, func(o conference) bool { return a[i].equal(&o) }) {
			return false
		}
	}
	return true
}

func (c *conference) element(space string) *elem.Element {
	e := elem.New(space, "conference")
	if c.name != "" {
		e.Set("name", c.name)
	}
	if c.autojoin {
		e.Set("autojoin", "true")
	}
	if c.nick != "" {
		e.Add(elem.New(space, "nick").SetText(c.nick))
	}
	if c.password != "" {
		e.Add(elem.New(space, "password").SetText(c.password))
	}
	return e
}

func (c *conference) legacy() *elem.Element { return c.element(Legacy).Set("jid", c.room) }

func (c *conference) native() *elem.Element {
	e := c.element(Native)
	if c.extensions != nil {
		e.Add(c.extensions)
	}
	return e
}
