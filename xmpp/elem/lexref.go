package elem

import "unicode/utf8"

// Kinds of references under way.
const (
	refNamed = iota // or not known yet
	refDecimal
	refHex
)

// predefined are the entities that need no declaration (XML 1.0 §4.6), as they
// stand behind the ampersand.
var predefined = [...]struct {
	ref  string
	char byte
}{{"lt;", '<'}, {"gt;", '>'}, {"amp;", '&'}, {"quot;", '"'}, {"apos;", '\''}}

// reference goes over a reference; w.mark is at its ampersand.
func (s *Scanner) reference(b []byte) step {
	w := s.w
	if w.ref != refNamed {
		return s.charRef(b)
	}
	rest := b[w.mark+1:]
	if rest[0] == '#' {
		if len(rest) == 1 {
			return wait
		}
		w.ref, w.refVal, w.pos = refDecimal, 0, w.mark+2
		if rest[1] == 'x' {
			w.ref, w.pos = refHex, w.mark+3
		}
		return goOn
	}
	maybe := false
	for _, p := range &predefined {
		if len(rest) >= len(p.ref) {
			if string(rest[:len(p.ref)]) == p.ref {
				w.pos = w.mark + 1 + len(p.ref)
				w.state = w.back
				return goOn
			}
		} else if string(rest) == p.ref[:len(rest)] {
			maybe = true
		}
	}
	switch {
	case maybe:
		return wait
	case class[rest[0]]&cStart != 0 || rest[0] >= utf8.RuneSelf || rest[0] == ':':
		// RFC 6120 §11.1: no entity references but the predefined.
		return s.fail(restrictedXML, w.mark, "reference to an entity that is not predefined")
	}
	return s.bad(w.mark, "ampersand that begins no reference")
}

// charRef goes over the digits of a character reference (XML 1.0 §4.1).
func (s *Scanner) charRef(b []byte) step {
	w := s.w
	base, first := uint32(10), w.mark+2
	if w.ref == refHex {
		base, first = 16, w.mark+3
	}
	for i := w.pos; i < len(b); i++ {
		c := b[i]
		if c == ';' {
			if i == first || !isChar(rune(w.refVal)) {
				return s.bad(w.mark, "reference to a character not allowed")
			}
			w.pos, w.state = i+1, w.back
			return goOn
		}
		d := digit(c)
		if d >= base {
			return s.bad(i, "malformed character reference")
		}
		w.refVal = min(w.refVal*base+d, utf8.MaxRune+1)
	}
	w.pos = len(b)
	return wait
}

// appendPlain appends well-formed character data, or an attribute value if attr
// is set, with references replaced and white space normalised (XML 1.0 §2.11, §3.3.3).
func appendPlain(dst, src []byte, attr bool) []byte {
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case c == '&':
			r, n := decodeRef(src[i:])
			dst = utf8.AppendRune(dst, r)
			i += n - 1
		case c == '\r' && i+1 < len(src) && src[i+1] == '\n':
			// The line feed stands for both.
		case attr && (c == '\t' || c == '\n' || c == '\r'):
			dst = append(dst, ' ')
		case c == '\r':
			dst = append(dst, '\n')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// decodeRef returns the character of the well-formed reference at the front of
// b, and the reference's length.
func decodeRef(b []byte) (rune, int) {
	for _, p := range &predefined {
		if len(b) > len(p.ref) && string(b[1:1+len(p.ref)]) == p.ref {
			return rune(p.char), 1 + len(p.ref)
		}
	}
	v, base := uint32(0), uint32(10)
	for i := 2; i < len(b); i++ {
		switch c := b[i]; c {
		case ';':
			return rune(v), i + 1
		case 'x':
			base = 16
		default:
			v = min(v*base+digit(c), utf8.MaxRune+1)
		}
	}
	return utf8.RuneError, len(b)
}

// digit is the value of a hexadecimal digit, 16 of what is none.
func digit(c byte) uint32 {
	switch {
	case '0' <= c && c <= '9':
		return uint32(c - '0')
	case 'a' <= c && c <= 'f':
		return uint32(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return uint32(c-'A') + 10
	}
	return 16
}
