package client

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Node is one received element with everything in it.
type Node struct {
	Name xml.Name
	Attr []xml.Attr // namespace declarations left out
	Kids []*Node
	Text string // character data directly inside, concatenated
}

// Get returns the attribute without namespace of that name, "" if absent.
func (n *Node) Get(name string) string {
	if n == nil {
		return ""
	}
	for _, a := range n.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// Kid returns the first direct child of that name; an empty space matches any.
func (n *Node) Kid(space, local string) *Node {
	if n == nil {
		return nil
	}
	for _, k := range n.Kids {
		if k.Name.Local == local && (space == "" || k.Name.Space == space) {
			return k
		}
	}
	return nil
}

// Path follows Kid by local names.
func (n *Node) Path(locals ...string) *Node {
	for _, l := range locals {
		n = n.Kid("", l)
	}
	return n
}

// Body is the text of a message's <body/>, "" if there is none.
func (n *Node) Body() string {
	if b := n.Kid("", "body"); b != nil {
		return b.Text
	}
	return ""
}

// Is compares the local name and, when typ is not empty, the type attribute.
func (n *Node) Is(local, typ string) bool {
	return n != nil && n.Name.Local == local && (typ == "" || n.Get("type") == typ)
}

// Condition is the defined condition of an error stanza (RFC 6120 §8.3.2) or
// of a stream error (§4.9.2), "" if there is none.
func (n *Node) Condition() string {
	e := n
	if n != nil && n.Name.Local != "error" {
		e = n.Kid("", "error")
	}
	if e == nil {
		return ""
	}
	for _, k := range e.Kids {
		if strings.HasPrefix(k.Name.Space, "urn:ietf:params:xml:ns:xmpp-") && k.Name.Local != "text" {
			return k.Name.Local
		}
	}
	return ""
}

// String writes the node for people: every namespace change is declared.
func (n *Node) String() string {
	if n == nil {
		return "(nothing)"
	}
	var b strings.Builder
	n.write(&b, "jabber:client")
	return b.String()
}

func (n *Node) write(b *strings.Builder, space string) {
	b.WriteByte('<')
	b.WriteString(n.Name.Local)
	if n.Name.Space != space {
		b.WriteString(" xmlns='")
		esc(b, n.Name.Space)
		b.WriteByte('\'')
	}
	for _, a := range n.Attr {
		b.WriteByte(' ')
		if a.Name.Space != "" {
			b.WriteString("{" + a.Name.Space + "}")
		}
		b.WriteString(a.Name.Local + "='")
		esc(b, a.Value)
		b.WriteByte('\'')
	}
	if len(n.Kids) == 0 && n.Text == "" {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	esc(b, n.Text)
	for _, k := range n.Kids {
		k.write(b, n.Name.Space)
	}
	b.WriteString("</" + n.Name.Local + ">")
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", `"`, "&quot;")

func esc(b *strings.Builder, s string) { _, _ = escaper.WriteString(b, s) }

// Escape makes s fit for text and attribute values.
func Escape(s string) string { return escaper.Replace(s) }

// ParseNode reads one element from a string; the default namespace is jabber:client.
func ParseNode(s string) (*Node, error) {
	d := xml.NewDecoder(strings.NewReader("<w xmlns='jabber:client'>" + s + "</w>"))
	d.Strict = true
	if _, err := nextStart(d); err != nil {
		return nil, err
	}
	st, err := nextStart(d)
	if err != nil {
		return nil, err
	}
	n, err := readNode(d, st)
	if err != nil {
		return nil, err
	}
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return nil, err
		}
		if s, ok := t.(xml.StartElement); ok {
			return nil, errors.New("client: a second element follows: <" + s.Name.Local + ">")
		}
	}
}

func nextStart(d *xml.Decoder) (xml.StartElement, error) {
	for {
		t, err := d.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return t.Copy(), nil
		case xml.EndElement:
			return xml.StartElement{}, errStreamEnd
		}
	}
}

var errStreamEnd = errors.New("client: the server closed the stream")

func newNode(st xml.StartElement) *Node {
	n := &Node{Name: st.Name}
	for _, a := range st.Attr {
		if a.Name.Space == "xmlns" || (a.Name.Space == "" && a.Name.Local == "xmlns") {
			continue
		}
		n.Attr = append(n.Attr, a)
	}
	return n
}

func readNode(d *xml.Decoder, st xml.StartElement) (*Node, error) {
	n := newNode(st)
	var text strings.Builder
	for {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			k, err := readNode(d, t.Copy())
			if err != nil {
				return nil, err
			}
			n.Kids = append(n.Kids, k)
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			n.Text = text.String()
			return n, nil
		}
	}
}
