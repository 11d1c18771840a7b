package elem

// tagReader walks over the attributes of a start tag the scanner has let
// through. It checks nothing but its own bounds.
type tagReader struct {
	src []byte // from "<" on
	pos int

	at, val     Span   // name and value of the attribute it stands at
	attr, value []byte // the same as bytes
	empty, bad  bool   // an empty element; not a start tag
}

// name reads the element's name and returns where it is.
func (t *tagReader) name() Span {
	t.pos = 1
	for t.pos < len(t.src) && !tagDelimiter(t.src[t.pos]) {
		t.pos++
	}
	return Span{min(1, len(t.src)), min(t.pos, len(t.src))}
}

func tagDelimiter(c byte) bool {
	return c == '>' || c == '/' || c == '=' || class[c]&cSpace != 0
}

// next reads the next attribute; false at the end of the tag.
func (t *tagReader) next() bool {
	t.pos += spaces(t.src[min(t.pos, len(t.src)):])
	if t.pos >= len(t.src) {
		t.bad = true
		return false
	}
	switch t.src[t.pos] {
	case '>':
		t.pos++
		return false
	case '/':
		t.empty = true
		t.pos += 2
		t.bad = t.pos > len(t.src)
		return false
	}
	t.at.Start = t.pos
	for t.pos < len(t.src) && !tagDelimiter(t.src[t.pos]) {
		t.pos++
	}
	t.at.End = t.pos
	for t.pos < len(t.src) && t.src[t.pos] != '"' && t.src[t.pos] != '\'' {
		t.pos++
	}
	if t.pos >= len(t.src) {
		t.bad = true
		return false
	}
	quote := t.src[t.pos]
	t.pos++
	t.val.Start = t.pos
	for t.pos < len(t.src) && t.src[t.pos] != quote {
		t.pos++
	}
	t.val.End = t.pos
	t.attr, t.value = t.src[t.at.Start:t.at.End], t.src[t.val.Start:t.val.End]
	if t.pos++; t.pos > len(t.src) {
		t.bad = true
		return false
	}
	return true
}
