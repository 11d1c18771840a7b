package search

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// maxWord is how many bytes of a word count.
const maxWord = 48

// span is a word within a words value's bytes. An empty one stands between two texts.
type span struct{ start, end int32 }

// words takes texts apart. It is used again and again by one goroutine.
type words struct {
	buf  []byte // folded text; spans point into it
	list []span
	work work
}

// work is memory that folding uses.
type work struct{ nfkc, folded, decomposed []byte }

func (w *words) reset() { w.buf, w.list = w.buf[:0], w.list[:0] }

func (w *words) word(i int) []byte { s := w.list[i]; return w.buf[s.start:s.end] }

// add takes another text; no phrase reaches from one into the next.
func (w *words) add(text []byte) {
	if len(text) == 0 {
		return
	}
	if len(w.list) > 0 {
		w.list = append(w.list, span{})
	}
	from := len(w.buf)
	for i, c := range text {
		if c >= utf8.RuneSelf {
			w.buf = w.buf[:from]
			w.addFolded(w.fold(text))
			return
		}
		w.buf = append(w.buf, text[i])
	}
	w.addASCII(from)
}

// addASCII folds in place what begins at from.
func (w *words) addASCII(from int) {
	start := -1
	for i := from; i < len(w.buf); i++ {
		c := w.buf[i]
		switch {
		case 'A' <= c && c <= 'Z':
			w.buf[i] = c + 'a' - 'A'
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
		default:
			if start >= 0 {
				w.put(start, i)
				start = -1
			}
			continue
		}
		if start < 0 {
			start = i
		}
	}
	if start >= 0 {
		w.put(start, len(w.buf))
	}
}

// fold takes away what does not count: compatibility forms, case, accents.
func (w *words) fold(text []byte) []byte {
	k := &w.work
	k.nfkc = norm.NFKC.Append(k.nfkc[:0], text...)
	k.folded = append(k.folded[:0], cases.Fold().Bytes(k.nfkc)...)
	return k.folded
}

// accented are the scripts whose letters are the same with and without marks.
var accented = []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic}

// spaceless are the scripts whose words no space separates, or whose words carry their endings (Hangul).
var spaceless = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai,
	unicode.Lao, unicode.Khmer, unicode.Myanmar}

// What a rune is to words.
const (
	gap    = iota
	silent // as if it were not there
	letter
	alone    // a word of its own: an emoji
	unspaced // of a script without spaces
)

func kind(r rune) int {
	switch {
	case r < utf8.RuneSelf:
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return letter
		}
		return gap
	case r < 0x300:
		if unicode.IsLetter(r) || unicode.IsNumber(r) {
			return letter
		}
		if r == 0xad { // a soft hyphen
			return silent
		}
		return gap
	case r <= 0x36f, 0x591 <= r && r <= 0x5bd, 0x64b <= r && r <= 0x65f, r == 0x640, r == 0x670, r == 0x200d, 0xfe00 <= r && r <= 0xfe0f:
		return silent // accents, points of Hebrew and Arabic, joiners and variation selectors
	case unicode.In(r, spaceless...), r == 'ー':
		return unspaced
	case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r):
		return letter
	case r != utf8.RuneError && unicode.Is(unicode.So, r):
		return alone
	}
	return gap
}

// addFolded takes a folded text with more than ASCII in it.
func (w *words) addFolded(text []byte) {
	start, was := -1, gap // of the word under way; what it is made of
	end := func() {
		if start >= 0 && was == unspaced {
			w.pairs(start)
		} else if start >= 0 {
			w.put(start, len(w.buf))
		}
		start, was = -1, gap
	}
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		r = w.bare(r)
		is := kind(r)
		if is == silent {
			continue
		}
		if is != was || is == alone {
			end()
		}
		if is == gap {
			continue
		}
		if start < 0 {
			start, was = len(w.buf), is
		}
		w.buf = utf8.AppendRune(w.buf, r)
	}
	end()
}

// bare is a letter without its accents.
func (w *words) bare(r rune) rune {
	if r < 0xc0 || !unicode.In(r, accented...) {
		return r
	}
	var one [utf8.UTFMax]byte
	d := norm.NFD.Append(w.work.decomposed[:0], one[:utf8.EncodeRune(one[:], r)]...)
	w.work.decomposed = d
	r, _ = utf8.DecodeRune(d)
	return r
}

// put takes the word from start to end.
func (w *words) put(start, end int) {
	if end-start > maxWord {
		for end = start + maxWord; !utf8.RuneStart(w.buf[end]); end-- {
		}
	}
	w.list = append(w.list, span{int32(start), int32(end)})
}

// pairs takes a run of characters that begins at start and ends the buffer: each with the next, the last alone. So
// one character is found as the beginning of a pair, two as a pair, more as pairs in a row.
func (w *words) pairs(start int) {
	n := len(w.buf)
	for i := start; i < n; {
		_, a := utf8.DecodeRune(w.buf[i:])
		_, b := utf8.DecodeRune(w.buf[i+a:]) // 0 at the end
		w.list = append(w.list, span{int32(i), int32(i + a + b)})
		i += a
	}
}
