package elem_test

import (
	"fmt"
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// trace feeds in to a scanner in pieces of step bytes (0: all at once) and
// writes down everything it says. Buffers are never reused: each call sees a
// fresh copy, and the one before is overwritten.
func trace(in []byte, framed bool, lim elem.Limits, step int) string {
	s := elem.NewScanner(lim)
	s.SetFramed(framed)
	if step <= 0 {
		step = len(in)
	}
	out, from, spaces := "", 0, 0
	var last []byte
	for have := min(step, len(in)); ; {
		clear(last)
		last = append([]byte(nil), in[from:have]...)
		ev, n, err := s.Next(last)
		switch {
		case err != nil:
			return out + fmt.Sprintf("%d spaces, at %d: %v", spaces, from+err.(*elem.SyntaxError).Offset, err)
		case ev == elem.NeedMore && have == len(in):
			return out + fmt.Sprintf("%d spaces, %d left", spaces, len(in)-from)
		case ev == elem.NeedMore:
			have = min(have+step, len(in))
			continue
		case ev == elem.Space:
			spaces += n
		default:
			out += fmt.Sprintf("%d %d %s\n", ev, n, dump(s.Raw()))
		}
		from += n
	}
}

func dump(r *elem.Raw) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%q %q %q %v %q %q %q %q %v %v", r.Buf, r.Space, r.Local, r.Prefixed, r.Default, r.Attrs, r.Decls, r.Outer, r.Inner, r.Kids)
}

// How bytes are cut into pieces changes nothing, not even where an error is.
func TestScanner_piecesAreAsGoodAsTheWhole(t *testing.T) {
	check := func(in []byte, framed bool, lim elem.Limits) {
		t.Helper()
		want := trace(in, framed, lim, 0)
		for _, step := range []int{1, 2, 3, 7, 64} {
			if got := trace(in, framed, lim, step); got != want {
				t.Errorf("%q in pieces of %d:\n%s\nwhole:\n%s", in, step, got, want)
			}
		}
	}
	tight := elem.Limits{Bytes: 60, Depth: 2, Elements: 3, Attrs: 2, Decls: 2}
	for _, d := range documents(t) {
		check(d.doc, true, elem.DefaultLimits())
		check(d.doc, true, tight)
		check(d.doc, false, elem.DefaultLimits())
		check(append([]byte(streamHeader), d.doc...), false, elem.DefaultLimits())
		check([]byte(streamHeader+chat+string(d.doc)+chat+"</stream:stream>"), false, elem.DefaultLimits())
	}
}

// Only grown bytes are looked at: after NeedMore at most an unfinished
// character, entity name, CDATA opening or "]]>" is left to be seen again.
func TestScanner_looksAtNoByteTwice(t *testing.T) {
	long := func(n int, s string) (out string) {
		for range n {
			out += s
		}
		return out
	}
	in := []byte(streamHeader + "<a" + long(300, "\n") + "b='" + long(300, "é&amp;&#0000000000000000000000000000000038;") + "'" +
		" c" + long(50, "ü") + long(300, " ") + "=" + long(300, "\t") + "'x'>" + long(100, "]]&gt;text") + "<![CDATA[" + long(100, "]]") + "]]>" +
		"<" + long(300, "name") + ">" + "</" + long(300, "name") + long(300, " ") + "></a>")
	s := elem.NewScanner(elem.Limits{})
	from := 0
	for have := 1; have <= len(in); have++ {
		ev, n, err := s.Next(in[from:have])
		if err != nil {
			t.Fatal(err)
		}
		from += n
		if left := elem.Unseen(s, have-from); ev == elem.NeedMore && from > 0 && left > 8 {
			t.Fatalf("%d bytes will be seen again at %q", left, in[from:have])
		}
	}
	if from != len(in) {
		t.Fatalf("%d bytes left", len(in)-from)
	}
}
