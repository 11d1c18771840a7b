package stream

// Lang is the language of what the server itself says to people. RFC 6120
// §4.7.4: our header names it, for it is the client's own language, matches it,
// or is the only one there is.
const Lang = "en"

// langMost is the longest language tag remembered for a stream. It is repeated
// on every stanza and kept with every message: RFC 5646 §4.4.1 finds 35 enough
// for anything that has a meaning.
const langMost = 64

// langTag says whether b has the form of a language tag, which RFC 6120 §4.7.4
// demands: letters first, subtags of one to eight letters and digits (RFC 5646
// §2.1). A header with another one is taken as if it had none: nothing that is
// no language is put on the stanzas that go to others.
func langTag(b []byte) bool {
	if len(b) == 0 || len(b) > langMost {
		return false
	}
	length, first := 0, true
	for _, c := range b {
		switch {
		case c == '-' && length > 0:
			length, first = 0, false
			continue
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9' && !first:
		default:
			return false
		}
		if length++; length > 8 {
			return false
		}
	}
	return length > 0
}
