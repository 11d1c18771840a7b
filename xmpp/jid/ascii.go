package jid

// Classes of ASCII bytes.
const (
	inLocal    = 1 << iota // in a normal local part
	inDomain               // letter, digit or hyphen of a normal domain label
	inResource             // in a resource
	upper
)

// class says where an ASCII byte may stand. It never changes.
var class = classes()

func classes() (t [256]uint8) {
	for c := byte(0x20); c < 0x7F; c++ {
		t[c] |= inResource
		if c > 0x20 {
			t[c] |= inLocal
		}
		switch {
		case 'A' <= c && c <= 'Z':
			t[c] = t[c]&^inLocal | upper
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
			t[c] |= inDomain
		}
	}
	for _, c := range []byte(`"&'/:<>@`) { // RFC 7622 §3.3.1
		t[c] &^= inLocal
	}
	return t
}

// parseNormal parses an address of ASCII characters that is in its normal form
// already; false sends everything else the long way.
func parseNormal(s string) (JID, bool) {
	if len(s) > maxPart { // the long way looks at the parts
		return JID{}, false
	}
	l := 0
	for l < len(s) && class[s[l]]&inLocal != 0 {
		l++
	}
	start := 0
	if l < len(s) && s[l] == '@' {
		if l == 0 {
			return JID{}, false
		}
		start = l + 1
	} else {
		l = 0
	}
	d, plain := scanDomain(s, start)
	if !plain || d == start {
		return JID{}, false
	}
	if d < len(s) {
		if s[d] != '/' || d+1 == len(s) {
			return JID{}, false
		}
		for i := d + 1; i < len(s); i++ {
			if class[s[i]]&inResource == 0 {
				return JID{}, false
			}
		}
	}
	return JID{s: s, l: uint16(l), d: uint16(d)}, true
}

// scanDomain returns where the domain name beginning at i ends: a slash, the
// end of s, or the first byte that can't be part of one. It is not plain if it is
// no name of letters, digits and hyphens in DNS's lengths, or has an A-label.
func scanDomain(s string, i int) (end int, plain bool) {
	start, label, plain := i, i, true
	for ; ; i++ {
		if i < len(s) && class[s[i]]&inDomain != 0 {
			continue
		}
		// A label's end: RFC 1035 §2.3.4, RFC 5891 §4.2.3.1 (hyphens at places 3
		// and 4 are kept for A-labels and their like).
		n := i - label
		if n == 0 || n > 63 || s[label] == '-' || s[i-1] == '-' ||
			n > 3 && s[label+2] == '-' && s[label+3] == '-' {
			plain = false
		}
		if i == len(s) || s[i] != '.' {
			break
		}
		label = i + 1
	}
	return i, plain && i-start <= 253
}
