package elem

// lexState says what the next byte belongs to.
type lexState uint8

const (
	atTop        lexState = iota // nothing seen yet
	inXMLDecl                    // <?xml
	afterXMLDecl                 // white space before the root element
	afterLess                    // <
	afterBang                    // <!
	inTagName                    // <a
	inTag                        // <a and what stands between attributes
	afterSlash                   // <a/
	inAttrName                   // <a b
	beforeEq                     // <a b and white space
	beforeQuote                  // <a b=
	inValue                      // <a b='
	inContent                    // <a>
	inCDATA                      // <![CDATA[
	inRef                        // &
	inEndName                    // </
	afterEndName                 // </a
)

// step is what a state's function came to.
type step uint8

const (
	goOn    step = iota
	wait         // all there is was looked at
	failed       // s.err is set
	tagOpen      // w.pos is at the end of a start tag
	tagBoth      // the same of an empty element
	tagEnd       // the same of an end tag
)

// scan goes on from where it was until something is complete or b ends.
func (s *Scanner) scan(b []byte) (Event, *SyntaxError) {
	w := s.w
	for w.pos < len(b) {
		var st step
		switch w.state {
		case inContent:
			st = s.content(b)
		case afterLess:
			st = s.less(b)
		case inTagName:
			st = s.tagName(b)
		case inTag:
			st = s.tag(b)
		case inAttrName:
			st = s.attribute(b)
		case beforeEq, beforeQuote:
			st = s.beforeValue(b)
		case inValue:
			st = s.value(b)
		case inRef:
			st = s.reference(b)
		case inEndName:
			st = s.endName(b)
		default:
			st = s.rare(b)
		}
		switch st {
		case goOn:
			continue
		case wait:
			return NeedMore, nil
		case failed:
			return NeedMore, s.err
		}
		if ev := s.tagged(b, st); ev != NeedMore || s.err != nil {
			return ev, s.err
		}
	}
	return NeedMore, nil
}

// rare runs the states that are not worth a place in the main switch.
func (s *Scanner) rare(b []byte) step {
	switch s.w.state {
	case atTop:
		return s.top(b)
	case inXMLDecl:
		return s.xmlDecl(b)
	case afterXMLDecl:
		return s.root(b)
	case afterBang:
		return s.bang(b)
	case afterSlash:
		if b[s.w.pos] != '>' {
			return s.bad(s.w.pos, "slash within a tag")
		}
		s.w.pos++
		return tagBoth
	case inCDATA:
		return s.cdata(b)
	default: // afterEndName
		return s.endTag(b)
	}
}

// fail records an error; the scanner stays there.
func (s *Scanner) fail(condition string, at int, msg string) step {
	s.err = &SyntaxError{condition, at, msg}
	return failed
}

// bad is fail for what is not well-formed.
func (s *Scanner) bad(at int, msg string) step { return s.fail(notWellFormed, at, msg) }

// top looks at the first byte of an element; white space is gone already.
func (s *Scanner) top(b []byte) step {
	switch {
	case s.phase == ended:
		return s.bad(0, "data after the end of the stream")
	case b[0] == '<':
		s.w.pos, s.w.state = 1, afterLess
		return goOn
	case s.phase == prolog || s.framed || b[0] < ' ':
		return s.bad(0, "no element")
	}
	// RFC 6120 §4.9.3.1: well-formed, but nothing a stream can hold.
	return s.fail(badFormat, 0, "text between stanzas")
}

// less looks at what follows "<".
func (s *Scanner) less(b []byte) step {
	w := s.w
	w.mark = w.pos - 1
	switch c := b[w.pos]; {
	case c == '/':
		if len(w.stack) == 0 && (s.framed || s.phase != body) {
			return s.bad(w.pos, "end tag without a start tag")
		}
		w.pos++
		w.state = inEndName
		return s.endName(b)
	case c == '!':
		w.pos++
		w.state = afterBang
		return goOn
	case c == '?':
		// RFC 6120 §11.1: no processing instruction; §11.5: the XML declaration
		// only at the very start.
		if w.mark != 0 || s.begun {
			return s.fail(restrictedXML, w.mark, "processing instruction or late XML declaration")
		}
		w.pos = 0
		w.state = inXMLDecl
		return goOn
	}
	if s.framed || s.phase == body {
		if d := s.lim.Depth; d > 0 && len(w.stack) >= d {
			return s.fail(policyViolation, w.mark, "elements nested too deep")
		}
		if w.elements++; s.lim.Elements > 0 && w.elements > s.lim.Elements {
			return s.fail(policyViolation, w.mark, "too many elements")
		}
	}
	w.name = qname{start: uint32(w.pos)}
	w.state = inTagName
	return s.tagName(b)
}

// tagName goes over the name of a start tag.
func (s *Scanner) tagName(b []byte) step {
	st := s.qname(b, &s.w.name)
	if st == goOn {
		s.w.state, s.w.spaced = inTag, false
	}
	return st
}

// bang looks at what follows "<!".
func (s *Scanner) bang(b []byte) step {
	const open = "[CDATA["
	w := s.w
	rest := b[w.pos:]
	switch c := rest[0]; {
	case c == '-' || class[c]&cStart != 0:
		// RFC 6120 §11.1: no comments, no document type declarations.
		return s.fail(restrictedXML, w.mark, "comment or document type declaration")
	case c != '[' || len(w.stack) == 0:
		return s.bad(w.mark, "markup declaration")
	case len(rest) < len(open):
		if string(rest) != open[:len(rest)] {
			return s.bad(w.mark, "markup declaration")
		}
		return wait
	case string(rest[:len(open)]) != open:
		return s.bad(w.mark, "markup declaration")
	}
	w.pos += len(open)
	w.state = inCDATA
	return goOn
}

// content goes over character data (XML 1.0 §2.4).
func (s *Scanner) content(b []byte) step {
	w := s.w
	i := w.pos
	for i < len(b) {
		c := b[i]
		if class[c]&cText != 0 {
			i++
			continue
		}
		switch {
		case c == '<':
			w.pos, w.state = i+1, afterLess
			if i+1 == len(b) {
				return wait
			}
			return s.less(b)
		case c == '&':
			w.mark, w.pos, w.state, w.back, w.ref = i, i+1, inRef, inContent, 0
			return goOn
		case c == ']':
			done, found := bracketsEnd(b[i:])
			if !done {
				w.pos = i
				return wait
			}
			if found {
				return s.bad(i, "]]> in text")
			}
			i++
		default:
			n := char(b[i:])
			if n == 0 {
				w.pos = i
				return wait
			}
			if n < 0 {
				return s.bad(i, "character not allowed")
			}
			i += n
		}
	}
	w.pos = i
	return wait
}

// cdata goes over a CDATA section (XML 1.0 §2.7).
func (s *Scanner) cdata(b []byte) step {
	w := s.w
	i := w.pos
	for i < len(b) {
		c := b[i]
		if class[c]&cText != 0 || c == '<' || c == '&' {
			i++
			continue
		}
		if c == ']' {
			done, found := bracketsEnd(b[i:])
			if !done {
				break
			}
			if found {
				w.pos, w.state = i+3, inContent
				return goOn
			}
			i++
			continue
		}
		n := char(b[i:])
		if n == 0 {
			break
		}
		if n < 0 {
			return s.bad(i, "character not allowed")
		}
		i += n
	}
	w.pos = i
	return wait
}

// bracketsEnd says whether b begins with "]]>", once enough of it is there.
func bracketsEnd(b []byte) (done, found bool) {
	const end = "]]>"
	if len(b) >= len(end) {
		return true, string(b[:len(end)]) == end
	}
	return string(b) != end[:len(b)], false
}
