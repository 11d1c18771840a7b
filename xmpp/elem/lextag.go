package elem

import "unicode/utf8"

// qname goes over a name with at most one colon (Namespaces 1.0 §4).
func (s *Scanner) qname(b []byte, n *qname) step {
	w := s.w
	i := w.pos
	for i < len(b) {
		c := b[i]
		if class[c]&cName != 0 {
			if class[c]&cStart == 0 && n.begins(i) {
				return s.bad(i, "name begins with a character not allowed there")
			}
			i++
			continue
		}
		if c == ':' {
			if n.colon != 0 || n.begins(i) {
				return s.bad(i, "misplaced colon in a name")
			}
			n.colon = uint32(i)
			i++
			continue
		}
		if c < utf8.RuneSelf {
			if n.begins(i) {
				return s.bad(i, "name expected")
			}
			n.end = uint32(i)
			w.pos = i
			return goOn
		}
		l := char(b[i:])
		if l == 0 {
			break
		}
		if r, _ := utf8.DecodeRune(b[i:]); l < 0 || !isNameRune(r, n.begins(i)) {
			return s.bad(i, "character not allowed in a name")
		}
		i += l
	}
	w.pos = i
	return wait
}

// begins says whether the name, or its part behind the colon, begins at i.
func (n *qname) begins(i int) bool {
	return i == int(n.start) || n.colon != 0 && i == int(n.colon)+1
}

// tag looks at what stands between the attributes of a start tag.
func (s *Scanner) tag(b []byte) step {
	w := s.w
	for i := w.pos; i < len(b); i++ {
		c := b[i]
		if class[c]&cSpace != 0 {
			w.spaced = true
			continue
		}
		w.pos = i + 1
		switch {
		case c == '>':
			return tagOpen
		case c == '/':
			w.state = afterSlash
			return goOn
		case !w.spaced:
			return s.bad(i, "white space expected")
		}
		w.pos = i
		w.attrs = append(w.attrs, attr{name: qname{start: uint32(i)}})
		w.state = inAttrName
		return s.attribute(b)
	}
	w.pos = len(b)
	return wait
}

// attribute goes over an attribute as it is usually written, all at once; what
// is written or cut off otherwise is left to the states.
func (s *Scanner) attribute(b []byte) step {
	w := s.w
	a := w.lastAttr()
	if st := s.qname(b, &a.name); st != goOn {
		return st
	}
	if st := s.attrNamed(b, a); st != goOn {
		return st
	}
	i := w.pos
	if i+1 < len(b) && b[i] == '=' && (b[i+1] == '\'' || b[i+1] == '"') {
		w.quote = b[i+1]
		a.start = uint32(i + 2)
		w.pos, w.state = i+2, inValue
		return s.value(b)
	}
	return goOn
}

// attrNamed checks the attribute's name against those before it (XML 1.0 §3.1).
func (s *Scanner) attrNamed(b []byte, a *attr) step {
	w := s.w
	name := b[a.name.start:a.name.end]
	for i := w.tagAttrs(); i < len(w.attrs)-1; i++ {
		if n := w.attrs[i].name; string(b[n.start:n.end]) == string(name) {
			return s.bad(int(a.name.start), "attribute twice")
		}
	}
	if a.name.colon != 0 {
		name = a.name.prefix(b)
	}
	a.decl = string(name) == "xmlns"
	w.state = beforeEq
	return goOn
}

// lastAttr is the attribute under way.
func (w *work) lastAttr() *attr { return &w.attrs[len(w.attrs)-1] }

// tagAttrs is where the attributes of the tag under way begin.
func (w *work) tagAttrs() int {
	if len(w.stack) == 0 {
		return 0
	}
	return w.topAttr
}

// beforeValue looks for the equals sign, then for the quote.
func (s *Scanner) beforeValue(b []byte) step {
	w := s.w
	for i := w.pos; i < len(b); i++ {
		c := b[i]
		switch {
		case class[c]&cSpace != 0:
		case w.state == beforeEq && c == '=':
			w.state = beforeQuote
		case w.state == beforeQuote && (c == '"' || c == '\''):
			w.quote = c
			w.lastAttr().start = uint32(i + 1)
			w.pos, w.state = i+1, inValue
			return goOn
		default:
			return s.bad(i, "attribute without a quoted value")
		}
	}
	w.pos = len(b)
	return wait
}

// value goes over an attribute value (XML 1.0 §2.3 AttValue).
func (s *Scanner) value(b []byte) step {
	w := s.w
	i := w.pos
	for i < len(b) {
		c := b[i]
		if class[c]&cValue != 0 {
			i++
			continue
		}
		switch {
		case c == w.quote:
			w.pos = i + 1
			return s.attrDone(b)
		case c == '\'' || c == '"':
			i++
		case c == '<':
			return s.bad(i, "< in an attribute value")
		case c == '&':
			w.lastAttr().raw = true
			w.mark, w.pos, w.state, w.back, w.ref = i, i+1, inRef, inValue, 0
			return goOn
		default:
			n := char(b[i:])
			if n == 0 {
				w.pos = i
				return wait
			}
			if n < 0 {
				return s.bad(i, "character not allowed")
			}
			if c < ' ' {
				w.lastAttr().raw = true
			}
			i += n
		}
	}
	w.pos = i
	return wait
}

// attrDone counts the attribute whose closing quote is behind.
func (s *Scanner) attrDone(b []byte) step {
	w := s.w
	a := w.lastAttr()
	a.end = uint32(w.pos - 1)
	if a.decl {
		if w.decls++; s.lim.Decls > 0 && w.decls > s.lim.Decls {
			return s.fail(policyViolation, int(a.name.start), "too many namespace declarations")
		}
	} else {
		if w.tagPlain++; s.lim.Attrs > 0 && w.tagPlain > s.lim.Attrs {
			return s.fail(policyViolation, int(a.name.start), "too many attributes")
		}
	}
	w.state, w.spaced = inTag, false
	if w.pos < len(b) && b[w.pos] == '>' {
		w.pos++
		return tagOpen
	}
	return goOn
}

// endName compares an end tag's name with the start tag's.
func (s *Scanner) endName(b []byte) step {
	w := s.w
	var want []byte
	if n := len(w.stack); n > 0 {
		want = b[w.stack[n-1].start:w.stack[n-1].end]
	} else {
		want = s.head.name
	}
	want = want[w.pos-(w.mark+2):]
	n := min(len(want), len(b)-w.pos)
	if string(b[w.pos:w.pos+n]) != string(want[:n]) {
		for b[w.pos] == want[0] {
			w.pos, want = w.pos+1, want[1:]
		}
		return s.bad(w.pos, "end tag does not match")
	}
	w.pos += n
	if n < len(want) {
		return wait
	}
	w.state = afterEndName
	return s.endTag(b)
}

// endTag looks for the end of an end tag.
func (s *Scanner) endTag(b []byte) step {
	w := s.w
	for i := w.pos; i < len(b); i++ {
		switch c := b[i]; {
		case c == '>':
			w.pos = i + 1
			return tagEnd
		case class[c]&cSpace == 0:
			return s.bad(i, "end tag does not match")
		}
	}
	w.pos = len(b)
	return wait
}
