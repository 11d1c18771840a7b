package store

import "strings"

// litePlaceholders turns $1 into ?1. SQLite reads $1 as a name and numbers names in the order in which they
// first appear, so that "… $2 … $1" would silently swap its arguments. Quoted text, quoted names
// and comments stay as they are.
func litePlaceholders(q string) string {
	if strings.IndexByte(q, '$') < 0 {
		return q
	}
	b := []byte(q)
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\'' || c == '"' || c == '`':
			i = skipTo(q, i+1, q[i:i+1]) // a doubled quote opens the next quoted part: the same end
		case c == '[':
			i = skipTo(q, i+1, "]")
		case c == '-' && strings.HasPrefix(q[i:], "--"):
			i = skipTo(q, i+2, "\n")
		case c == '/' && strings.HasPrefix(q[i:], "/*"):
			i = skipTo(q, i+2, "*/")
		case c == '$' && i+1 < len(b) && digit(b[i+1]) && (i == 0 || !nameByte(b[i-1])):
			b[i] = '?'
		}
	}
	return string(b)
}

// skipTo returns the index of the last byte of the first end at or after i, or the text's end.
func skipTo(q string, i int, end string) int {
	j := strings.Index(q[i:], end)
	if j < 0 {
		return len(q)
	}
	return i + j + len(end) - 1
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// nameByte reports whether c may stand inside a name, where a $ is part of it.
func nameByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || digit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
