package elem

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// replacement stands for what may not be in a document.
const replacement = "\uFFFD"

// AppendText appends s as character data. Markup is escaped, so that nothing in
// s can end the text; what XML does not allow, and bad UTF-8, becomes U+FFFD.
func AppendText[T []byte | string](dst []byte, s T) []byte { return appendEscaped(dst, s, false) }

// AppendValue appends s as an attribute value for either quote, without quotes.
func AppendValue[T []byte | string](dst []byte, s T) []byte { return appendEscaped(dst, s, true) }

// AppendAttr appends an attribute or a declaration ("xmlns:p") with a space
// before it; a prefix in the name is the caller's to declare. A name that is
// none is a mistake of the caller and leaves the attribute out.
func AppendAttr(dst []byte, name, value string) []byte {
	prefix, local, qualified := strings.Cut(name, ":")
	if !isNCName(prefix) || qualified && !isNCName(local) {
		return dst
	}
	dst = append(dst, ' ')
	dst = append(dst, name...)
	return quoted(dst, value)
}

func quoted(dst []byte, value string) []byte {
	dst = append(dst, '=', '\'')
	dst = appendEscaped(dst, value, true)
	return append(dst, '\'')
}

// appendEscaped writes runs of harmless bytes at once.
func appendEscaped[T []byte | string](dst []byte, s T, attr bool) []byte {
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			esc := escape(c, attr)
			i++
			if esc != "" {
				dst = append(append(dst, s[done:i-1]...), esc...)
				done = i
			}
			continue
		}
		// At most four bytes, so the conversion stays on the stack.
		r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
		if r == utf8.RuneError && n == 1 || !isChar(r) {
			dst = append(append(dst, s[done:i]...), replacement...)
			done = i + n
		}
		i += n
	}
	return append(dst, s[done:]...)
}

// escape is what an ASCII character is written as, "" for itself.
func escape(c byte, attr bool) string {
	switch c {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '\r': // XML 1.0 §2.11 would make it a line feed
		return "&#13;"
	case '\'', '"', '\t', '\n':
		if !attr {
			return ""
		}
		switch c {
		case '\'':
			return "&apos;"
		case '"':
			return "&quot;"
		case '\t': // XML 1.0 §3.3.3 would make it a space
			return "&#9;"
		}
		return "&#10;"
	}
	if c < ' ' {
		return replacement
	}
	return ""
}

// String is the element as a document of its own.
func (e *Element) String() string { return string(e.AppendTo(nil, "")) }

// AppendTo appends the element as it stands where defaultSpace is the default
// namespace: xmlns is written only where the namespace differs.
func (e *Element) AppendTo(dst []byte, defaultSpace string) []byte {
	name, space := e.Local, e.Space
	if !isNCName(name) {
		name = "invalid-name" // a mistake of whoever made the element; never markup
	}
	if space == XMLSpace || space == xmlnsSpace {
		// Namespaces 1.0 §3: neither may be a default namespace.
		space = defaultSpace
		if e.Space == XMLSpace {
			name = "xml:" + name
		}
	}
	dst = append(dst, '<')
	dst = append(dst, name...)
	if space != defaultSpace {
		dst = append(dst, " xmlns"...)
		dst = quoted(dst, space)
	}
	dst = e.appendAttrs(dst)
	if e.Verbatim == nil && e.Text == "" && len(e.Children) == 0 {
		return append(dst, '/', '>')
	}
	dst = append(dst, '>')
	if e.Verbatim != nil {
		dst = append(dst, e.Verbatim...)
	} else {
		dst = AppendText(dst, e.Text)
		for _, c := range e.Children {
			dst = c.AppendTo(dst, space)
		}
	}
	dst = append(dst, '<', '/')
	dst = append(dst, name...)
	return append(dst, '>')
}

// appendAttrs writes the attributes, with prefixes made up for namespaces other
// than XML's. No element of ours is written with a prefix, so these can't clash.
func (e *Element) appendAttrs(dst []byte) []byte {
	var made []string // namespaces, prefix n0, n1, …
	for _, a := range e.Attrs {
		switch {
		case !isNCName(a.Local) || a.Space == xmlnsSpace || a.Space == "" && a.Local == "xmlns":
			// Not an attribute; writing it would change what the tag says.
		case a.Space == "":
			dst = append(append(dst, ' '), a.Local...)
			dst = quoted(dst, a.Value)
		case a.Space == XMLSpace:
			dst = append(append(dst, " xml:"...), a.Local...)
			dst = quoted(dst, a.Value)
		default:
			i := 0
			for i < len(made) && made[i] != a.Space {
				i++
			}
			prefix := "n" + strconv.Itoa(i)
			if i == len(made) {
				made = append(made, a.Space)
				dst = append(append(dst, " xmlns:"...), prefix...)
				dst = quoted(dst, a.Space)
			}
			dst = append(append(dst, ' '), prefix...)
			dst = append(append(dst, ':'), a.Local...)
			dst = quoted(dst, a.Value)
		}
	}
	return dst
}
