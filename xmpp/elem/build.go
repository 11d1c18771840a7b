package elem

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// errNotScanned says that bytes which should have been scanned are not what the
// scanner lets through: somebody changed them.
var errNotScanned = errors.New("elem: build: not a scanned element")

// Parse reads one element, which may have an XML declaration and white space
// around it, within DefaultLimits. It is as strict as the Scanner.
func Parse(doc []byte) (*Element, error) { return ParseIn(doc, "", nil) }

// ParseIn is Parse for an element cut out of its context: defaultSpace is the
// default namespace there, outer are the prefixes declared there.
func ParseIn(doc []byte, defaultSpace string, outer []Decl) (*Element, error) {
	s := Scanner{lim: DefaultLimits(), phase: body, framed: true}
	if len(outer) > maxOuter-1 {
		return nil, fmt.Errorf("elem: parse: %d declarations from outside", len(outer))
	}
	decls := outer
	if defaultSpace != "" {
		decls = append(outer[:len(outer):len(outer)], Decl{Space: []byte(defaultSpace)})
	}
	s.head = &header{decls: decls}
	defer s.release()
	var el *Element
	for rest := doc; ; {
		ev, n, err := s.Next(rest)
		if err != nil {
			return nil, fmt.Errorf("elem: parse: %w", err)
		}
		if ev == NeedMore || ev == Stanza && el != nil {
			if el == nil || ev == Stanza || len(rest) > 0 {
				return nil, fmt.Errorf("elem: parse: %w", &SyntaxError{notWellFormed, len(doc) - len(rest), "not exactly one element"})
			}
			return el, nil
		}
		if ev == Stanza {
			if el, err = build(s.w.raw.Buf, defaultSpace, outer); err != nil {
				return nil, err
			}
			s.begun = true // an XML declaration behind the element is late
		}
		rest = rest[n:]
	}
}

// Element builds the tree of the whole element.
func (r *Raw) Element() (*Element, error) {
	// Where the element declares a default namespace itself, Default is that and
	// the outer one does not matter.
	return build(r.Buf, string(r.Default), r.Outer)
}

// KidElement builds the tree of the i-th child.
func (r *Raw) KidElement(i int) (*Element, error) {
	k := r.Kids[i].Outer
	outer := r.Outer
	if len(r.Decls) > 0 {
		outer = append(outer[:len(outer):len(outer)], r.Decls...)
	}
	return build(r.Buf[k.Start:k.End], string(r.Default), outer)
}

// KidAttr returns an attribute, without namespace, of the i-th child. It
// allocates only where the value has references or white space to normalise.
func (r *Raw) KidAttr(i int, local string) ([]byte, bool) {
	k := r.Kids[i]
	return TagAttr(r.Buf[k.Outer.Start:k.Inner.Start], local)
}

// TagAttr is the value of an attribute without prefix in a start tag that the
// scanner has let through.
func TagAttr(tag []byte, local string) ([]byte, bool) {
	t := tagReader{src: tag}
	t.name()
	for t.next() {
		if string(t.attr) == local {
			v := t.value
			if bytes.IndexByte(v, '&') >= 0 || bytes.ContainsAny(v, "\t\n\r") {
				return appendPlain(nil, v, true), true
			}
			return v, true
		}
	}
	return nil, false
}

// builder makes trees of bytes the scanner has let through. Names and values
// are cut out of one string, so that a tree costs one allocation per element
// and one for its text.
type builder struct {
	src   string
	raw   []byte
	pos   int
	binds []strBind
}

type strBind struct{ prefix, space string }

// build makes the tree of one scanned element.
func build(doc []byte, defaultSpace string, outer []Decl) (*Element, error) {
	b := builder{src: string(doc), raw: doc}
	b.binds = append(b.binds, strBind{"", defaultSpace}, strBind{"xml", XMLSpace})
	for _, d := range outer {
		if len(d.Prefix) > 0 {
			b.binds = append(b.binds, strBind{string(d.Prefix), string(d.Space)})
		}
	}
	e, err := b.element()
	if err == nil && b.pos != len(b.src) {
		err = errNotScanned
	}
	return e, err
}

func (b *builder) space(prefix string) (string, error) {
	for i := len(b.binds) - 1; i >= 0; i-- {
		if b.binds[i].prefix == prefix {
			return b.binds[i].space, nil
		}
	}
	return "", errNotScanned
}

// element reads from a start tag to its end tag.
func (b *builder) element() (*Element, error) {
	outside := len(b.binds)
	defer func() { b.binds = b.binds[:outside] }()
	e, empty, err := b.startTag()
	if err != nil || empty {
		return e, err
	}
	var text []byte // only if the text is not one plain piece
	for b.pos < len(b.src) {
		rest := b.src[b.pos:]
		switch {
		case rest[0] != '<':
			n := strings.IndexByte(rest, '<')
			if n < 0 {
				return nil, errNotScanned
			}
			text = b.text(e, text, b.raw[b.pos:b.pos+n], strings.ContainsAny(rest[:n], "&\r"))
			b.pos += n
		case strings.HasPrefix(rest, "</"):
			n := strings.IndexByte(rest, '>')
			if n < 0 {
				return nil, errNotScanned
			}
			b.pos += n + 1
			if text != nil {
				e.Text = string(text)
			}
			return e, nil
		case strings.HasPrefix(rest, "<!"):
			inner, _, ok := strings.Cut(rest, "]]>")
			const open = "<![CDATA["
			if !ok || len(inner) < len(open) {
				return nil, errNotScanned
			}
			text = b.cdata(e, text, inner[len(open):])
			b.pos += len(inner) + 3
		default:
			c, err := b.element()
			if err != nil {
				return nil, err
			}
			e.Children = append(e.Children, c)
		}
	}
	return nil, errNotScanned
}

// text adds a piece of character data to what e has.
func (b *builder) text(e *Element, text, piece []byte, change bool) []byte {
	if text == nil && e.Text == "" && !change {
		e.Text = b.src[b.pos : b.pos+len(piece)]
		return nil
	}
	if text == nil {
		text = append(text, e.Text...)
	}
	return appendPlain(text, piece, false)
}

// cdata adds a CDATA section: nothing in it is markup, line ends are normalised.
func (b *builder) cdata(e *Element, text []byte, piece string) []byte {
	if text == nil {
		text = append([]byte{}, e.Text...)
	}
	piece = strings.ReplaceAll(piece, "\r\n", "\n")
	return append(text, strings.ReplaceAll(piece, "\r", "\n")...)
}

// startTag reads a start tag and puts its declarations in force.
func (b *builder) startTag() (e *Element, empty bool, err error) {
	t := tagReader{src: b.raw[b.pos:]}
	prefix, local, ok := b.split(b.pos, t.name())
	if !ok {
		return nil, false, errNotScanned
	}
	attrs := 0
	for t.next() {
		if p, l, _ := b.split(b.pos, t.at); p == "xmlns" || p == "" && l == "xmlns" {
			if p == "" {
				l = ""
			}
			b.binds = append(b.binds, strBind{l, b.value(&t)})
		} else {
			attrs++
		}
	}
	if t.bad {
		return nil, false, errNotScanned
	}
	e = &Element{Name: Name{Local: local}}
	if e.Space, err = b.space(prefix); err != nil {
		return nil, false, err
	}
	if attrs > 0 {
		e.Attrs = make([]TreeAttr, 0, attrs)
	}
	t = tagReader{src: t.src}
	for t.name(); t.next(); {
		p, l, _ := b.split(b.pos, t.at)
		if p == "xmlns" || p == "" && l == "xmlns" {
			continue
		}
		a := TreeAttr{Name: Name{Local: l}, Value: b.value(&t)}
		if p != "" {
			if a.Space, err = b.space(p); err != nil {
				return nil, false, err
			}
		}
		e.Attrs = append(e.Attrs, a)
	}
	b.pos += t.pos
	return e, t.empty, nil
}

// split cuts the name at offset off+at.Start in two.
func (b *builder) split(off int, at Span) (prefix, local string, ok bool) {
	name := b.src[off+at.Start : off+at.End]
	if p, l, has := strings.Cut(name, ":"); has {
		return p, l, l != ""
	}
	return "", name, name != ""
}

// value is the normalised value of the attribute t stands at.
func (b *builder) value(t *tagReader) string {
	v := b.src[b.pos+t.val.Start : b.pos+t.val.End]
	if strings.ContainsAny(v, "&\t\n\r") {
		return string(appendPlain(nil, t.value, true))
	}
	return v
}
