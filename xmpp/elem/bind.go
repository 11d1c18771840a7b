package elem

// xmlnsSpace is what the prefix xmlns is bound to (Namespaces 1.0 §3).
const xmlnsSpace = "http://www.w3.org/2000/xmlns/"

// maxOuter is how many declarations a stream header may have: as many as
// there are bits in work.outer.
const maxOuter = 64

// text returns what r points to.
func (s *Scanner) text(b []byte, r ref) []byte {
	switch r.from {
	case inBuffer:
		return b[r.start:r.end]
	case inScratch:
		return s.w.scratch[r.start:r.end]
	case inHeader:
		return s.head.decls[r.start].Space
	case isXML:
		return xmlSpaceBytes
	}
	return nil
}

// xmlSpaceBytes never changes.
var xmlSpaceBytes = []byte(XMLSpace)

// bind puts one declaration in force (Namespaces 1.0 §3).
func (s *Scanner) bind(b []byte, a *attr) step {
	w := s.w
	n := binding{space: ref{inBuffer, a.start, a.end}}
	if a.raw {
		from := len(w.scratch)
		w.scratch = appendPlain(w.scratch, b[a.start:a.end], true)
		n.space = ref{inScratch, uint32(from), uint32(len(w.scratch))}
	}
	space, at := s.text(b, n.space), int(a.name.start)
	if a.name.colon != 0 {
		n.start, n.end = a.name.colon+1, a.name.end
	}
	prefix := b[n.start:n.end]
	switch {
	case string(prefix) == "xmlns":
		return s.bad(at, "the prefix xmlns declared")
	case string(prefix) == "xml":
		if string(space) != XMLSpace {
			return s.bad(at, "the prefix xml bound to another namespace")
		}
	case string(space) == XMLSpace || string(space) == xmlnsSpace:
		return s.bad(at, "a reserved namespace bound to another prefix")
	case len(space) == 0 && len(prefix) != 0:
		return s.bad(at, "a prefix bound to no namespace")
	}
	w.binds = append(w.binds, n)
	return goOn
}

// lookup finds what a prefix is bound to; the empty prefix is the default.
func (s *Scanner) lookup(b, prefix []byte) (ref, bool) {
	w := s.w
	for i := len(w.binds) - 1; i >= 0; i-- {
		if n := &w.binds[i]; string(b[n.start:n.end]) == string(prefix) {
			return n.space, true
		}
	}
	if s.head != nil {
		for i := len(s.head.decls) - 1; i >= 0; i-- {
			if string(s.head.decls[i].Prefix) == string(prefix) {
				if len(prefix) > 0 {
					w.outer |= 1 << i
				}
				return ref{from: inHeader, start: uint32(i)}, true
			}
		}
	}
	switch string(prefix) {
	case "xml":
		return ref{from: isXML}, true
	case "":
		return ref{from: isNothing}, true
	}
	return ref{}, false
}

// resolve checks the namespaces of the tag under way: declarations first, then
// the prefixes of element and attributes, then attributes that are the same by
// expanded name (Namespaces 1.0 §6.3).
func (s *Scanner) resolve(b []byte) step {
	w := s.w
	tag := w.attrs[w.tagAttrs():]
	prefixed := 0
	for i := range tag {
		if tag[i].decl {
			if s.bind(b, &tag[i]) == failed {
				return failed
			}
		} else if tag[i].name.colon != 0 {
			prefixed++
		}
	}
	if w.name.colon != 0 {
		if _, ok := s.lookup(b, w.name.prefix(b)); !ok {
			return s.fail(badNamespacePrefix, int(w.name.start), "prefix of an element not declared")
		}
	}
	for i := range tag {
		if prefixed == 0 {
			break
		}
		if tag[i].decl || tag[i].name.colon == 0 {
			continue
		}
		space, ok := s.lookup(b, tag[i].name.prefix(b))
		if !ok {
			return s.fail(badNamespacePrefix, int(tag[i].name.start), "prefix of an attribute not declared")
		}
		if prefixed > 1 && s.sameBefore(b, tag[:i], &tag[i], space) {
			return s.bad(int(tag[i].name.start), "attribute twice under two prefixes")
		}
	}
	return goOn
}

// sameBefore says whether one of the attributes before has a's expanded name.
func (s *Scanner) sameBefore(b []byte, before []attr, a *attr, space ref) bool {
	for i := range before {
		p := &before[i]
		if p.decl || p.name.colon == 0 || string(p.name.local(b)) != string(a.name.local(b)) {
			continue
		}
		other, _ := s.lookup(b, p.name.prefix(b))
		if string(s.text(b, other)) == string(s.text(b, space)) {
			return true
		}
	}
	return false
}
