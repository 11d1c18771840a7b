package elem

import "unicode/utf8"

// Classes of bytes.
const (
	cText  = 1 << iota // ASCII that needs no look in character data
	cValue             // ASCII that needs no look in an attribute value
	cStart             // ASCII that begins a name
	cName              // ASCII within a name
	cSpace             // XML 1.0 §2.3 S
)

// class says what a byte may be. It never changes.
var class = classes()

func classes() (t [256]uint8) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = cText | cValue
	}
	for _, c := range []byte("\t\n\r") {
		t[c] = cText
	}
	for _, c := range []byte("<&]") {
		t[c] &^= cText
	}
	for _, c := range []byte("<&'\"") {
		t[c] &^= cValue
	}
	for _, c := range []byte(" \t\n\r") {
		t[c] |= cSpace
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= cStart | cName
		t[c-'a'+'A'] |= cStart | cName
	}
	t['_'] |= cStart | cName
	for _, c := range []byte("0123456789-.") {
		t[c] |= cName
	}
	return t
}

// isChar says whether r may stand in a document (XML 1.0 §2.2).
func isChar(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

// isNameRune says whether r, beyond ASCII, may begin a name or stand in one.
func isNameRune(r rune, begin bool) bool {
	if r > 0xFFFF {
		return false
	}
	if begin {
		return within(nameStarts[:], uint16(r))
	}
	return within(nameChars[:], uint16(r))
}

// char returns the length of the character at the front of b: 0 if it is cut
// off, -1 if it is bad UTF-8 or not allowed (XML 1.0 §2.2).
func char(b []byte) int {
	if b[0] < utf8.RuneSelf {
		if isChar(rune(b[0])) {
			return 1
		}
		return -1
	}
	if !utf8.FullRune(b) {
		return 0
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n == 1 || !isChar(r) {
		return -1
	}
	return n
}

func within(table [][2]uint16, c uint16) bool {
	lo, hi := 0, len(table)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		switch {
		case c < table[m][0]:
			hi = m
		case c > table[m][1]:
			lo = m + 1
		default:
			return true
		}
	}
	return false
}

// isNCName says whether s is a name without a colon (Namespaces 1.0 §3).
func isNCName(s string) bool {
	for i, r := range s {
		switch {
		case r < utf8.RuneSelf:
			if i == 0 && class[r]&cStart == 0 || class[r]&cName == 0 {
				return false
			}
		case !isNameRune(r, i == 0) || r == utf8.RuneError:
			return false
		}
	}
	return s != ""
}
