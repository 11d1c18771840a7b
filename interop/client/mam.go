package client

import (
	"fmt"
	"time"
)

// Archived is one entry of a person's archive.
type Archived struct {
	ArchiveID string
	Message   *Node
}

// Archive pages through the owner's archive (XEP-0313 §4, XEP-0059 §2.3), all of
// it, oldest first, max at a time.
func (c *Client) Archive(within time.Duration, max int) ([]Archived, error) {
	var all []Archived
	after := ""
	for {
		page, complete, last, err := c.page(within, fmt.Sprintf("<max>%d</max>%s", max, after))
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if complete {
			return all, nil
		}
		if len(page) == 0 || last == "" {
			return nil, fmt.Errorf("client: archive: an empty page that is not the last")
		}
		after = "<after>" + Escape(last) + "</after>"
	}
}

// Newest is the last entry of the owner's archive; nil if it is empty.
func (c *Client) Newest(within time.Duration) (*Archived, error) {
	page, _, _, err := c.page(within, "<max>1</max><before/>")
	if err != nil || len(page) == 0 {
		return nil, err
	}
	return &page[0], nil
}

func (c *Client) page(within time.Duration, rsm string) (page []Archived, complete bool, last string, err error) {
	q := Token()
	fin, err := c.IQ(within, "set", "", "<query xmlns='urn:xmpp:mam:2' queryid='"+q+"'><set xmlns='http://jabber.org/protocol/rsm'>"+rsm+"</set></query>")
	if err != nil {
		return nil, false, "", err
	}
	if fin.Get("type") == "error" {
		return nil, false, "", fmt.Errorf("client: archive: %s", fin)
	}
	// RFC 6120 §10.1: the results stand before the answer in the stream.
	err = c.Await(within, func(in []*Node) ([]*Node, bool) {
		rest := in[:0:0]
		for _, n := range in {
			if r := n.Kid("urn:xmpp:mam:2", "result"); r != nil && r.Get("queryid") == q {
				page = append(page, Archived{r.Get("id"), r.Path("forwarded", "message")})
				continue
			}
			rest = append(rest, n)
		}
		return rest, true
	})
	f := fin.Kid("urn:xmpp:mam:2", "fin")
	if l := f.Path("set", "last"); l != nil {
		last = l.Text
	}
	return page, f.Get("complete") == "true", last, err
}

// OriginID is the sender's own id of a message: its origin-id (XEP-0359), else
// its id attribute.
func (n *Node) OriginID() string {
	if o := n.Kid("urn:xmpp:sid:0", "origin-id"); o != nil {
		return o.Get("id")
	}
	return n.Get("id")
}

// Carried is the message a carbon of the account's own carries (XEP-0280), or n
// itself; sent says that it is a copy of something another device sent.
func (c *Client) Carried(n *Node) (m *Node, sent bool) {
	for _, wrap := range []string{"received", "sent"} {
		if k := n.Kid("urn:xmpp:carbons:2", wrap); k != nil && n.Get("from") == c.Opt.User+"@"+c.Opt.Domain {
			return k.Path("forwarded", "message"), wrap == "sent"
		}
	}
	return n, false
}
