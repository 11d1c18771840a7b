package elem

import (
	"bytes"
	"strings"
)

// maxXMLDecl bounds the XML declaration; the longest usual one has 55 bytes.
const maxXMLDecl = 256

// xmlDecl looks at an XML declaration at the very start (XML 1.0 §2.8).
func (s *Scanner) xmlDecl(b []byte) step {
	const begin = "<?xml"
	w := s.w
	if n := min(len(b), len(begin)); string(b[:n]) != begin[:n] {
		return s.fail(restrictedXML, 0, "processing instruction")
	}
	if len(b) > len(begin) && class[b[len(begin)]]&cSpace == 0 {
		return s.fail(restrictedXML, 0, "processing instruction")
	}
	end := bytes.Index(b[:min(len(b), maxXMLDecl)], []byte("?>"))
	if end < 0 {
		if len(b) >= maxXMLDecl {
			return s.fail(policyViolation, 0, "XML declaration too long")
		}
		return wait
	}
	if st := s.xmlDeclFields(string(b[len(begin):end])); st == failed {
		return st
	}
	w.pos, w.start = end+2, end+2
	w.state = afterXMLDecl
	return goOn
}

// root skips the white space between XML declaration and root element.
func (s *Scanner) root(b []byte) step {
	w := s.w
	w.pos += spaces(b[w.pos:])
	w.start = w.pos
	if w.pos == len(b) {
		return wait
	}
	if b[w.pos] != '<' {
		return s.bad(w.pos, "no element")
	}
	w.pos++
	w.state = afterLess
	return goOn
}

// xmlDeclFields checks version, encoding and standalone, which come in this order.
func (s *Scanner) xmlDeclFields(t string) step {
	const white = " \t\r\n"
	seen := 0
	for {
		rest := strings.TrimLeft(t, white)
		if rest == "" && seen > 0 {
			return goOn
		}
		name, value, rest, ok := xmlDeclField(rest)
		if !ok || class[t[0]]&cSpace == 0 {
			return s.bad(0, "malformed XML declaration")
		}
		switch {
		case name == "version" && seen == 0:
			seen = 1
			if value != "1.0" {
				return s.bad(0, "XML version is not 1.0")
			}
		case name == "encoding" && seen == 1:
			seen = 2
			// RFC 6120 §11.6, §4.9.3.22: UTF-8 only.
			if !strings.EqualFold(value, "UTF-8") {
				return s.fail(unsupportedEncoding, 0, "encoding is not UTF-8")
			}
		case name == "standalone" && (seen == 1 || seen == 2) && (value == "yes" || value == "no"):
			seen = 3
		default:
			return s.bad(0, "malformed XML declaration")
		}
		if t = rest; t == "" {
			return goOn
		}
	}
}

// xmlDeclField takes name = "value" off the front of t.
func xmlDeclField(t string) (name, value, rest string, ok bool) {
	const white = " \t\r\n"
	name, rest, ok = strings.Cut(t, "=")
	rest = strings.TrimLeft(rest, white)
	if !ok || rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return "", "", "", false
	}
	value, rest, ok = strings.Cut(rest[1:], rest[:1])
	return strings.TrimRight(name, white), value, rest, ok
}
