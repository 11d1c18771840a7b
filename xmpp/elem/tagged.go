package elem

// tagged takes a complete tag, whose end is w.pos, into account.
func (s *Scanner) tagged(b []byte, st step) Event {
	w := s.w
	if st == tagEnd {
		if len(w.stack) == 0 {
			s.phase = ended
			return Footer
		}
		return s.endElement(b, w.mark)
	}
	w.tagPlain = 0
	outside := uint32(len(w.binds))
	if s.resolve(b) == failed {
		return NeedMore
	}
	if s.phase == prolog {
		return s.streamHeader(b, st == tagBoth)
	}
	switch len(w.stack) {
	case 0:
		w.topTag, w.topAttr = w.name, len(w.attrs)
		w.inner.Start = w.pos
	case 1:
		s.kid(b)
		fallthrough
	default:
		w.attrs = w.attrs[:w.topAttr]
	}
	w.stack = append(w.stack, open{w.name.start, w.name.end, outside})
	w.state = inContent
	if st == tagBoth {
		return s.endElement(b, w.pos)
	}
	return NeedMore
}

// kid notes a direct child of the top-level element.
func (s *Scanner) kid(b []byte) {
	w := s.w
	space, _ := s.lookup(b, w.name.prefix(b))
	n := kidName{space: space, start: w.name.start, end: w.name.end}
	if w.name.colon != 0 {
		n.start = w.name.colon + 1
	}
	w.kids = append(w.kids, n)
	w.raw.Kids = append(w.raw.Kids, Kid{
		Outer: Span{Start: int(w.name.start) - 1 - w.start},
		Inner: Span{Start: w.pos - w.start},
	})
}

// endElement closes the innermost element, whose content ended at inner.
func (s *Scanner) endElement(b []byte, inner int) Event {
	w := s.w
	last := len(w.stack) - 1
	switch last {
	case 0:
		w.inner.End = inner
		s.begun = !s.framed
		s.fill(b)
		w.raw.Inner = Span{w.inner.Start - w.start, w.inner.End - w.start}
		return Stanza
	case 1:
		k := &w.raw.Kids[len(w.raw.Kids)-1]
		k.Inner.End, k.Outer.End = inner-w.start, w.pos-w.start
	}
	w.binds = w.binds[:w.stack[last].binds]
	w.stack = w.stack[:last]
	w.state = inContent
	return NeedMore
}

// streamHeader keeps the declarations of the opening tag (RFC 6120 §4.2, §4.8).
func (s *Scanner) streamHeader(b []byte, empty bool) Event {
	w := s.w
	if len(w.binds) > maxOuter {
		s.fail(policyViolation, w.start, "too many namespace declarations")
		return NeedMore
	}
	w.topTag, w.topAttr = w.name, len(w.attrs)
	s.begun, s.phase = true, body
	if empty {
		s.phase = closing
	}
	h := new(header)
	size := int(w.name.end - w.name.start)
	for i := range w.binds {
		size += int(w.binds[i].end-w.binds[i].start) + len(s.text(b, w.binds[i].space))
	}
	mem := make([]byte, 0, size)
	keep := func(t []byte) []byte {
		from := len(mem)
		mem = append(mem, t...)
		return mem[from:len(mem):len(mem)]
	}
	h.name = keep(b[w.name.start:w.name.end])
	if len(w.binds) > 0 {
		h.decls = make([]Decl, len(w.binds))
		for i, n := range w.binds {
			h.decls[i] = Decl{keep(b[n.start:n.end]), keep(s.text(b, n.space))}
		}
	}
	s.fill(b)
	s.head = h
	return Header
}

// fill completes raw. The bindings of the top-level element are in force.
func (s *Scanner) fill(b []byte) {
	w := s.w
	r := &w.raw
	w.binds = w.binds[:min(len(w.binds), w.topDecls())]
	r.Buf = b[w.start:w.pos:w.pos]
	r.Local = w.topTag.local(b)
	r.Prefixed = w.topTag.colon != 0
	space, _ := s.lookup(b, w.topTag.prefix(b))
	r.Space = s.text(b, space)
	def, _ := s.lookup(b, nil)
	r.Default = s.text(b, def)
	decl := 0
	for i := range w.attrs[:w.topAttr] {
		a := &w.attrs[i]
		if a.decl {
			n := w.binds[decl]
			decl++
			r.Decls = append(r.Decls, Decl{b[n.start:n.end], s.text(b, n.space)})
			continue
		}
		v := b[a.start:a.end]
		if a.raw {
			from := len(w.scratch)
			w.scratch = appendPlain(w.scratch, v, true)
			v = w.scratch[from:]
		}
		out := Attr{Prefix: a.name.prefix(b), Local: a.name.local(b), Value: v}
		if a.name.colon != 0 {
			sp, _ := s.lookup(b, out.Prefix)
			out.Space = s.text(b, sp)
		}
		r.Attrs = append(r.Attrs, out)
	}
	for i := range r.Kids {
		k := &w.kids[i]
		r.Kids[i].Space, r.Kids[i].Local = s.text(b, k.space), b[k.start:k.end]
	}
	for i := 0; w.outer>>i != 0; i++ {
		if w.outer>>i&1 != 0 {
			r.Outer = append(r.Outer, s.head.decls[i])
		}
	}
	w.done = true
}

// topDecls counts the declarations on the top-level element.
func (w *work) topDecls() int {
	n := 0
	for i := range w.attrs[:w.topAttr] {
		if w.attrs[i].decl {
			n++
		}
	}
	return n
}
