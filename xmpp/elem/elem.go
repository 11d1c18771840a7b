package elem

import "strings"

// Limits bound what one stream may make the server hold (HARDENING §0).
// A zero field means "no limit of this kind" and is for tests only.
type Limits struct {
	Bytes    int // bytes of one top-level element
	Depth    int // open elements, the top-level element counts 1
	Elements int // elements within one top-level element
	Attrs    int // attributes of one element, declarations not counted
	Decls    int // namespace declarations within one top-level element
}

// Event says what the scanner found at the front of the buffer.
type Event uint8

const (
	NeedMore Event = iota // nothing complete yet
	Header                // the stream's opening tag (RFC 6120 §4.2)
	Stanza                // one complete top-level element
	Footer                // the stream's closing tag (RFC 6120 §4.4)
	Space                 // white space between stanzas (RFC 6120 §4.6.1)
)

// Span is a half-open range of byte offsets.
type Span struct{ Start, End int }

// Decl is a namespace declaration. Prefix is empty for the default namespace.
type Decl struct{ Prefix, Space []byte }

// Attr is an attribute as written; Value is unescaped and normalised
// (XML 1.0 §3.3.3). Prefix is what stood before the colon, Space what it is bound to.
type Attr struct{ Prefix, Space, Local, Value []byte }

// Kid is one direct child element of a scanned element. Offsets are into Raw.Buf.
type Kid struct {
	Space, Local []byte
	Outer        Span // start tag to end tag
	Inner        Span // what is between them; empty for <a/>
}

// Raw is one scanned top-level element. Every slice in it points into the
// caller's buffer or the scanner's scratch space and is valid only until the
// scanner's next call; nothing in it is allocated per child element.
type Raw struct {
	Buf   []byte // exactly the element, offsets are relative to its start
	Space []byte // namespace of the element
	Local []byte
	// Prefixed says that the element itself was written with a prefix.
	Prefixed bool
	Default  []byte // default namespace in force inside the element
	Attrs    []Attr // of the element itself, without declarations
	Decls    []Decl // declarations written on the element itself
	// Outer lists prefixes declared on the stream header that are used within:
	// whoever relays the content must declare them again.
	Outer []Decl
	Inner Span
	Kids  []Kid
}

// Name is a resolved element or attribute name.
type Name struct{ Space, Local string }

// Element is a small tree for payloads that are read or made by the server
// (IQ payloads, forms, negotiation elements). Relayed stanzas never become one.
type Element struct {
	Name
	Attrs    []TreeAttr
	Children []*Element
	Text     string // character data directly inside, concatenated
	// Verbatim, if set, is written as the whole content instead of Text and
	// Children. It must be well-formed with the element's namespace as default.
	Verbatim []byte
}

// TreeAttr is an attribute in a tree. Space is empty except for xml:lang and the like.
type TreeAttr struct {
	Name
	Value string
}

// New makes an element, with attributes given as alternating names and values.
func New(space, local string, attrs ...string) *Element {
	e := &Element{Name: Name{space, local}}
	for i := 0; i+1 < len(attrs); i += 2 {
		e.Set(attrs[i], attrs[i+1])
	}
	return e
}

// Add appends children and returns e.
func (e *Element) Add(kids ...*Element) *Element {
	e.Children = append(e.Children, kids...)
	return e
}

// SetText sets the character data and returns e.
func (e *Element) SetText(s string) *Element { e.Text = s; return e }

// Set sets an attribute without namespace ("xml:lang" is understood) and returns e.
func (e *Element) Set(name, value string) *Element {
	n := Name{Local: name}
	if l, ok := strings.CutPrefix(name, "xml:"); ok {
		n = Name{Space: XMLSpace, Local: l}
	}
	for i := range e.Attrs {
		if e.Attrs[i].Name == n {
			e.Attrs[i].Value = value
			return e
		}
	}
	e.Attrs = append(e.Attrs, TreeAttr{n, value})
	return e
}

// Attr returns the value of an attribute without namespace, "" if absent.
func (e *Element) Attr(name string) string { v, _ := e.Lookup(name); return v }

// Lookup is Attr with presence; "xml:lang" is understood.
func (e *Element) Lookup(name string) (string, bool) {
	n := Name{Local: name}
	if l, ok := strings.CutPrefix(name, "xml:"); ok {
		n = Name{Space: XMLSpace, Local: l}
	}
	for i := range e.Attrs {
		if e.Attrs[i].Name == n {
			return e.Attrs[i].Value, true
		}
	}
	return "", false
}

// Child returns the first child of that name, nil if there is none. An empty
// space means "the element's own namespace".
func (e *Element) Child(space, local string) *Element {
	if e == nil {
		return nil
	}
	if space == "" {
		space = e.Space
	}
	for _, c := range e.Children {
		if c.Local == local && c.Space == space {
			return c
		}
	}
	return nil
}

// ChildText returns the text of the first child of that name in e's namespace.
func (e *Element) ChildText(local string) string {
	if c := e.Child("", local); c != nil {
		return c.Text
	}
	return ""
}

// XMLSpace is the namespace of xml:lang (Namespaces in XML 1.0 §3).
const XMLSpace = "http://www.w3.org/XML/1998/namespace"
