package search

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const (
	spaceFallback = "urn:xmpp:fallback:0"
	spaceEME      = "urn:xmpp:eme:0"
	spaceOMEMO1   = "eu.siacs.conversations.axolotl"
	spaceSharing  = "urn:xmpp:sfs:0"
	spaceFile     = "urn:xmpp:file:metadata:0"
)

// Reader takes messages apart; one goroutine at a time.
type Reader struct {
	words words
	scan  elem.Scanner
	text  []byte
}

// limits are those of what was accepted, which has grown by what the server adds to it.
func limits() elem.Limits {
	lim := elem.DefaultLimits()
	lim.Bytes, lim.Depth, lim.Elements, lim.Attrs, lim.Decls = 4*lim.Bytes, 2*lim.Depth, 2*lim.Elements, 2*lim.Attrs, 4*lim.Decls
	return lim
}

// read takes the words of a stored message: of its bodies and subjects, and of the names of files. Text
// that stands in for what a client shows another way is none of it (XEP-0428 §2.2), nor is that of
// an encrypted message (XEP-0380 §3). One that is damaged has no words.
func (r *Reader) read(message []byte) {
	r.words.reset()
	r.scan.Reset(limits())
	r.scan.SetFramed(true)
	ev, n, err := r.scan.Next(message)
	if err == nil && ev == elem.Stanza && n == len(message) {
		r.readKids(r.scan.Raw())
	}
	_, _, _ = r.scan.Next(nil) // gives its memory back
}

func (r *Reader) readKids(raw *elem.Raw) {
	var cuts []cut
	for i := range raw.Kids {
		switch k := &raw.Kids[i]; string(k.Space) {
		case spaceEME, spaceOMEMO1:
			return
		case spaceFallback:
			if e, err := raw.KidElement(i); err == nil {
				cuts = append(cuts, readCuts(e)...)
			}
		}
	}
	for i := range raw.Kids {
		k := &raw.Kids[i]
		switch string(k.Space) {
		case "", stanza.Space:
			if local := string(k.Local); local == "body" || local == "subject" {
				r.words.add(without(r.inner(raw, i), local, cuts))
			}
		case spaceSharing:
			if e, err := raw.KidElement(i); err == nil {
				f := e.Child(spaceFile, "file")
				for _, what := range [...]string{"name", "desc"} {
					if c := f.Child(spaceFile, what); c != nil {
						r.words.add([]byte(c.Text))
					}
				}
			}
		}
	}
}

// inner is the text of a child, without a tree where it is plain.
func (r *Reader) inner(raw *elem.Raw, i int) []byte {
	in := raw.Buf[raw.Kids[i].Inner.Start:raw.Kids[i].Inner.End]
	if bytes.IndexByte(in, '&') < 0 && bytes.IndexByte(in, '<') < 0 {
		return in
	}
	e, err := raw.KidElement(i)
	if err != nil {
		return nil
	}
	r.text = append(r.text[:0], e.Text...)
	return r.text
}

// cut is a part of a body or subject that is fallback, in characters (XEP-0426 §3).
type cut struct {
	what       string
	start, end int // end -1: all of it
}

// readCuts is XEP-0428 §2.2: without a child all text is fallback, without a range all of that child.
func readCuts(e *elem.Element) (out []cut) {
	if len(e.Children) == 0 {
		return []cut{{"body", 0, -1}, {"subject", 0, -1}}
	}
	for _, c := range e.Children {
		k := cut{c.Local, 0, -1}
		if s, err := strconv.Atoi(c.Attr("start")); err == nil {
			k.start = s
		}
		if end, err := strconv.Atoi(c.Attr("end")); err == nil {
			k.end = end
		}
		out = append(out, k)
	}
	return out
}

func without(text []byte, what string, cuts []cut) []byte {
	var out []byte
	found := false
	for _, c := range cuts {
		found = found || c.what == what
	}
	if !found {
		return text
	}
	for at := 0; len(text) > 0; at++ {
		_, n := utf8.DecodeRune(text)
		keep := true
		for _, c := range cuts {
			if c.what == what && at >= c.start && (c.end < 0 || at < c.end) {
				keep = false
			}
		}
		if keep {
			out = append(out, text[:n]...)
		}
		text = text[n:]
	}
	return out
}
