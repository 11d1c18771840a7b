package jid

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
)

// maxRounds is how often the rules are applied before a string that still
// changes is refused (RFC 8264 §7: "three more times").
const maxRounds = 4

// normLocal enforces UsernameCaseMapped and the characters a local part never
// has (RFC 7622 §3.3).
func normLocal(s string) (string, error) {
	if s == "" {
		return "", &Error{Part: "local", Why: "empty"}
	}
	if len(s) > 4*maxPart { // no mapping of the profile shrinks more than fourfold
		return "", &Error{Part: "local", Why: "longer than 1023 bytes"}
	}
	if isASCII(s) {
		// PRECIS on ASCII is: 0x21 to 0x7E, upper case to lower case.
		s = strings.ToLower(s)
	} else {
		var err error
		if s, err = enforce(precis.UsernameCaseMapped, "local", s); err != nil {
			return "", err
		}
	}
	if len(s) > maxPart {
		return "", &Error{Part: "local", Why: "longer than 1023 bytes"}
	}
	// Checked after the mapping: width mapping turns U+FF20 into an at-sign.
	for i := 0; i < len(s); i++ {
		if s[i] < utf8.RuneSelf && class[s[i]]&(inLocal|upper) == 0 {
			return "", &Error{Part: "local", Why: "character not allowed"}
		}
	}
	return s, nil
}

// normResource enforces OpaqueString (RFC 7622 §3.4).
func normResource(s string) (string, error) {
	if s == "" {
		return "", &Error{Part: "resource", Why: "empty"}
	}
	if len(s) > 4*maxPart {
		return "", &Error{Part: "resource", Why: "longer than 1023 bytes"}
	}
	if isASCII(s) {
		for i := 0; i < len(s); i++ {
			if class[s[i]]&inResource == 0 {
				return "", &Error{Part: "resource", Why: "character not allowed"}
			}
		}
	} else {
		var err error
		if s, err = enforce(precis.OpaqueString, "resource", s); err != nil {
			return "", err
		}
	}
	if len(s) > maxPart {
		return "", &Error{Part: "resource", Why: "longer than 1023 bytes"}
	}
	return s, nil
}

// enforce applies a profile until the string no longer changes (RFC 8264 §7).
func enforce(p *precis.Profile, part, s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", &Error{Part: part, Why: "not UTF-8"}
	}
	for range maxRounds {
		t, err := p.String(s)
		if err != nil {
			return "", &Error{Part: part, Why: err.Error()}
		}
		if t == s {
			return s, nil
		}
		s = t
	}
	return "", &Error{Part: part, Why: "no stable form"}
}

// domainNames maps a domain name for comparison: UTS 46 non-transitional, bidi
// rule, contextual joiners, letters-digits-hyphen in ASCII labels, DNS lengths.
var domainNames = idna.New(
	idna.MapForLookup(),
	idna.BidiRule(),
	idna.Transitional(false),
	idna.StrictDomainName(true),
	idna.VerifyDNSLength(true),
)

// normDomain enforces RFC 7622 §3.2: an IP literal, an IPv4 address or a domain
// name, internationalised labels as U-labels, in lower case, without a final dot.
func normDomain(s string) (string, error) {
	if s == "" {
		return "", &Error{Part: "domain", Why: "empty"}
	}
	if len(s) > 4*maxPart {
		return "", &Error{Part: "domain", Why: "longer than 1023 bytes"}
	}
	if s[0] == '[' {
		return ipLiteral(s)
	}
	if isASCII(s) {
		// RFC 7622 §3.2: a final dot is removed before anything else.
		s = strings.ToLower(strings.TrimSuffix(s, "."))
		switch end, plain := scanDomain(s, 0); {
		case strings.HasSuffix(s, "."):
			return "", &Error{Part: "domain", Why: "empty label"}
		case !plain: // an A-label
		case end != len(s):
			return "", &Error{Part: "domain", Why: "not a domain name"}
		default:
			return s, nil
		}
	}
	return unicodeDomain(s)
}

// unicodeDomain normalises a name with labels that are not plain ASCII.
func unicodeDomain(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", &Error{Part: "domain", Why: "not UTF-8"}
	}
	for range maxRounds {
		a, err := domainNames.ToASCII(s)
		if err == nil {
			// UTS 46 maps the ideographic full stops to a dot, so a final dot may
			// appear only now.
			if a = strings.TrimSuffix(a, "."); strings.HasSuffix(a, ".") {
				return "", &Error{Part: "domain", Why: "empty label"}
			}
			if _, plain := scanDomain(a, 0); plain {
				// Nothing international is left, as with full-width letters.
				return normDomain(a)
			}
		}
		u := ""
		if err == nil {
			u, err = domainNames.ToUnicode(a)
		}
		if err != nil {
			return "", &Error{Part: "domain", Why: "not a domain name"}
		}
		if u == s {
			if len(s) > maxPart {
				return "", &Error{Part: "domain", Why: "longer than 1023 bytes"}
			}
			return s, nil
		}
		s = u
	}
	return "", &Error{Part: "domain", Why: "no stable form"}
}

// ipLiteral normalises an IPv6 address in brackets (RFC 3986 §3.2.2, RFC 5952).
func ipLiteral(s string) (string, error) {
	if a, ok := strings.CutSuffix(s[1:], "]"); ok {
		if ip, err := netip.ParseAddr(a); err == nil && ip.Is6() && ip.Zone() == "" {
			return "[" + ip.String() + "]", nil
		}
	}
	return "", &Error{Part: "domain", Why: "not an IP literal"}
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
