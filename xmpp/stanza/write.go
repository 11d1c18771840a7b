package stanza

import (
	"github.com/parlance-im/parlance/xmpp/elem"
)

// AppendStart writes the start tag, without a default namespace declaration:
// in a TCP stream jabber:client is in force (RFC 6120 §4.8.3). It returns the
// offset after the element's name, where other framings insert one.
func (s *Stanza) AppendStart(dst []byte) (out []byte, nameEnd int) {
	dst = append(dst, '<')
	dst = append(dst, s.Kind.String()...)
	nameEnd = len(dst)
	if !s.From.IsZero() {
		dst = elem.AppendAttr(dst, "from", s.From.String())
	}
	if !s.To.IsZero() {
		dst = elem.AppendAttr(dst, "to", s.To.String())
	}
	if s.ID != "" {
		dst = elem.AppendAttr(dst, "id", s.ID)
	}
	// RFC 6121 §5.2.2: no type means normal; RFC 6121 §4.7.1: none means available.
	if s.Type != "" && !(s.Kind == Message && s.Type == Normal) {
		dst = elem.AppendAttr(dst, "type", string(s.Type))
	}
	if s.Lang != "" || s.NoLang {
		// RFC 6120 §8.1.5: a server neither changes nor removes what the sender wrote.
		dst = elem.AppendAttr(dst, "xml:lang", s.Lang)
	}
	for _, d := range s.Decls {
		dst = elem.AppendAttr(dst, "xmlns:"+string(d.Prefix), string(d.Space))
	}
	return append(dst, '>'), nameEnd
}

// AppendEnd writes the end tag.
func (s *Stanza) AppendEnd(dst []byte) []byte {
	dst = append(dst, '<', '/')
	dst = append(dst, s.Kind.String()...)
	return append(dst, '>')
}

// AppendTo writes the whole stanza.
func (s *Stanza) AppendTo(dst []byte) []byte {
	dst, _ = s.AppendStart(dst)
	dst = append(dst, s.Content...)
	return s.AppendEnd(dst)
}

// Size is at least the length of what AppendTo writes, but for escaping.
func (s *Stanza) Size() int {
	return len(s.Content) + 64*len(s.Decls) + len(s.ID) + len(s.Lang) + len(s.Type) +
		len(s.From.String()) + len(s.To.String()) + 80
}

// Child returns the first direct child of that name.
func (s *Stanza) Child(space, local string) (Kid, bool) {
	for i := range s.Kids {
		if s.Kids[i].Local == local && s.Kids[i].Space == space {
			return s.Kids[i], true
		}
	}
	return Kid{}, false
}

// Has says whether there is a direct child of that name.
func (s *Stanza) Has(space, local string) bool { _, ok := s.Child(space, local); return ok }

// Text is the unescaped character data of a direct child, "" if it is absent or
// has elements inside.
func (s *Stanza) Text(space, local string) string {
	k, ok := s.Child(space, local)
	if !ok {
		return ""
	}
	e, err := s.Element(k)
	if err != nil {
		return ""
	}
	return e.Text
}

// Attr is an attribute of a direct child, read without making a tree.
func (s *Stanza) Attr(k Kid, local string) (string, bool) {
	v, ok := elem.TagAttr(s.Content[k.Outer.Start:k.Inner.Start], local)
	return string(v), ok
}

// Element makes a tree of a direct child.
func (s *Stanza) Element(k Kid) (*elem.Element, error) {
	return elem.ParseIn(s.Content[k.Outer.Start:k.Outer.End], Space, s.Decls)
}

// Standalone is a direct child as a document of its own: the sender's bytes
// where they rely on nothing outside, else written anew.
func (s *Stanza) Standalone(k Kid) ([]byte, error) {
	if len(s.Decls) == 0 && k.Space != Space {
		return s.Content[k.Outer.Start:k.Outer.End], nil
	}
	e, err := s.Element(k)
	if err != nil {
		return nil, err
	}
	return e.AppendTo(nil, ""), nil
}

// Add appends a child element that the server has made.
func (s *Stanza) Add(e *elem.Element) *Stanza {
	start := len(s.Content)
	s.Content = e.AppendTo(s.Content, Space)
	// Inner is not known without reading what was written; nobody asks it of
	// what the server itself made.
	end := len(s.Content)
	s.Kids = append(s.Kids, Kid{Space: e.Space, Local: e.Local,
		Outer: elem.Span{Start: start, End: end}, Inner: elem.Span{Start: end, End: end}})
	return s
}

// Without is a copy, with room of its own, that lacks the direct children of that
// name. Adding to it does not change s.
func (s *Stanza) Without(space, local string) *Stanza {
	out := *s
	out.Content, out.Kids = make([]byte, 0, len(s.Content)+96), make([]Kid, 0, len(s.Kids)+1)
	from := 0
	for _, k := range s.Kids {
		if k.Space == space && k.Local == local {
			out.Content = append(out.Content, s.Content[from:k.Outer.Start]...)
			from = k.Outer.End
			if n := len(out.Content); n > 0 && out.Content[n-1] == ']' {
				out.Content = append(out.Content, ' ') // XML 1.0 §2.4: as in Read
			}
			continue
		}
		shift := len(out.Content) - from
		k.Outer.Start, k.Outer.End = k.Outer.Start+shift, k.Outer.End+shift
		k.Inner.Start, k.Inner.End = k.Inner.Start+shift, k.Inner.End+shift
		out.Kids = append(out.Kids, k)
	}
	out.Content = append(out.Content, s.Content[from:]...)
	return &out
}
