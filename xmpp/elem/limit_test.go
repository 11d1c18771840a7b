package elem_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// feed gives in to a scanner behind a stream header, bytewise, and returns the
// number of stanzas and what went wrong, with the offset in in.
func feed(t *testing.T, lim elem.Limits, in string) (stanzas, offset int, err error) {
	t.Helper()
	s := opened(t, lim)
	from := 0
	for have := 1; have <= len(in); {
		ev, n, err := s.Next([]byte(in[from:have]))
		if err != nil {
			var se *elem.SyntaxError
			errors.As(err, &se)
			return stanzas, from + se.Offset, err
		}
		if ev == elem.NeedMore {
			have++
		}
		if ev == elem.Stanza {
			stanzas++
		}
		from += n
	}
	return stanzas, from, nil
}

func rep(n int, s string) string { return strings.Repeat(s, n) }

// numbered writes f for 0 to n-1.
func numbered(n int, f string) string {
	out := ""
	for i := range n {
		out += fmt.Sprintf(f, i)
	}
	return out
}

// HARDENING X3, X4: at the limit accepted, above refused with the byte that
// exceeds it.
func TestScanner_limits(t *testing.T) {
	const header = len(streamHeader)
	nest := func(n int) string { return rep(n, "<a>") + rep(n, "</a>") }
	for _, c := range []struct {
		what string
		lim  elem.Limits
		n    int
		in   func(n int) string
		at   func(n int) int // offset of the byte refused, with n above the limit
	}{
		{"bytes", elem.Limits{Bytes: header + 100}, header + 100, func(n int) string { return "<a>" + rep(n-7, "x") + "</a>" }, func(n int) int { return n - 1 }},
		{"bytes in an attribute", elem.Limits{Bytes: header + 100}, header + 100, func(n int) string { return "<a b='" + rep(n-9, "x") + "'/>" }, func(n int) int { return n - 1 }},
		{"depth", elem.Limits{Depth: 50}, 50, nest, func(n int) int { return 3 * (n - 1) }},
		{"depth, empty", elem.Limits{Depth: 2}, 2, func(n int) string { return rep(n-1, "<a>") + "<b/>" + rep(n-1, "</a>") }, func(n int) int { return 3 * (n - 1) }},
		{"depth in a form", elem.Limits{Depth: 50}, 50, func(n int) string {
			return "<iq><query xmlns='q'><x xmlns='jabber:x:data'>" + nest(n-3) + "</x></query></iq>"
		}, func(n int) int { return 46 + 3*(n-4) }},
		{"elements", elem.Limits{Elements: 32}, 32, func(n int) string { return "<m>" + rep(n-1, "<a/>") + "</m>" }, func(n int) int { return 3 + 4*(n-2) }},
		{"elements, nested", elem.Limits{Elements: 32}, 32, nest, func(n int) int { return 3 * (n - 1) }},
		{"attributes", elem.Limits{Attrs: 64}, 64, func(n int) string { return "<m" + numbered(n, " a%02d=''") + "/>" }, func(n int) int { return 2 + 7*(n-1) + 1 }},
		{"attributes of a child", elem.Limits{Attrs: 64}, 64, func(n int) string { return "<m a=''><c" + numbered(n, " a%02d=''") + "/></m>" }, func(n int) int { return 10 + 7*(n-1) + 1 }},
		{"declarations", elem.Limits{Decls: 64}, 64, func(n int) string { return "<m" + numbered(n, " xmlns:a%02d='u'") + "/>" }, func(n int) int { return 2 + 14*(n-1) + 1 }},
		{"declarations in children", elem.Limits{Decls: 64}, 64, func(n int) string { return "<m>" + rep(n, "<a xmlns='u'/>") + "</m>" }, func(n int) int { return 3 + 14*(n-1) + 3 }},
	} {
		for _, d := range []int{-1, 0} {
			if got, _, err := feed(t, c.lim, c.in(c.n+d)); err != nil || got != 1 {
				t.Errorf("%s: %d of %d: %v", c.what, c.n+d, c.n, err)
			}
		}
		got, at, err := feed(t, c.lim, c.in(c.n+1))
		if condition(err) != "policy-violation" || got != 0 {
			t.Errorf("%s: %d of %d: %v, want policy-violation", c.what, c.n+1, c.n, err)
		} else if want := c.at(c.n + 1); at != want {
			t.Errorf("%s: refused at byte %d, want %d", c.what, at, want)
		}
	}
}

// The counts are of one stanza, not of the stream.
func TestScanner_limitsBeginAnew(t *testing.T) {
	s := opened(t, elem.Limits{})
	s.SetLimits(elem.Limits{Bytes: 53, Depth: 2, Elements: 2, Attrs: 2, Decls: 2})
	in := []byte(rep(100, "<a b='' c='' xmlns:p='u'><d xmlns='v' e='' f=''/></a> "))
	for len(in) > 0 {
		ev, n, err := s.Next(in)
		if ev == elem.NeedMore || err != nil {
			t.Fatalf("%v %v with %d bytes left", ev, err, len(in))
		}
		in = in[n:]
	}
}

// HARDENING X3: 10⁵ open tags, never closed.
func TestScanner_deepNestIsRefusedAtOnce(t *testing.T) {
	in := []byte(rep(100000, "<a>"))
	s := opened(t, elem.DefaultLimits())
	_, _, err := s.Next(in)
	var se *elem.SyntaxError
	if !errors.As(err, &se) || se.Condition != "policy-violation" || se.Offset != 150 {
		t.Errorf("%+v, want policy-violation at the 51st tag", err)
	}
	if _, _, again := s.Next([]byte("<a/>")); again != err {
		t.Errorf("after an error: %v", again)
	}
}

// White space between stanzas is consumed, so that it can't add up to a limit.
func TestScanner_spaceIsNoElement(t *testing.T) {
	s := opened(t, elem.Limits{Bytes: len(streamHeader)})
	in := []byte(rep(len(streamHeader)*3, "\n"))
	if ev, n, err := s.Next(in); ev != elem.Space || n != len(in) || err != nil {
		t.Error(ev, n, err)
	}
}

// HARDENING X4: what a stanza holds is bounded by its bytes, or is small.
func TestScanner_heapOfAStanza(t *testing.T) {
	const full = 256 << 10
	pad := func(in, end string) []byte { return []byte(in + rep(full-len(in)-len(end), "x") + end) }
	for what, in := range map[string][]byte{
		"text":         pad("<m>", "</m>"),
		"attribute":    pad("<m a='", "'/>"),
		"elements":     pad("<m>"+rep(4095, "<a/>"), "</m>"),
		"nested":       pad(rep(50, "<a>"), rep(50, "</a>")),
		"attributes":   pad("<m>"+rep(500, "<a"+numbered(64, " a%d=''")+"/>"), "</m>"),
		"declarations": pad("<m"+numbered(64, " xmlns:a%d='u'")+">"+rep(4095, "<a63:a/>"), "</m>"),
	} {
		s := opened(t, elem.DefaultLimits())
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		ev, _, err := s.Next(in)
		runtime.ReadMemStats(&after)
		if ev != elem.Stanza || err != nil {
			t.Fatalf("%s: %v %v", what, ev, err)
		}
		got := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d bytes, %d allocated (%.1f×)", what, len(in), got, float64(got)/float64(len(in)))
		if got > 12*uint64(len(in)) {
			t.Errorf("%s: %d bytes allocate %d", what, len(in), got)
		}
		runtime.KeepAlive(s)
	}
}

// An idle connection holds the header's declarations and nothing else.
func TestScanner_idleMemory(t *testing.T) {
	const n = 500
	big := []byte("<m>" + rep(1000, "<a b='&amp;'/>") + "</m>")
	scanners := make([]*elem.Scanner, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range scanners {
		s := opened(t, elem.DefaultLimits())
		for _, in := range [][]byte{[]byte(chat), big, []byte(" ")} {
			if ev, _, err := s.Next(in); ev == elem.NeedMore || err != nil {
				t.Fatal(ev, err)
			}
		}
		if ev, _, _ := s.Next(nil); ev != elem.NeedMore || !elem.Idle(s) || s.Raw() != nil {
			t.Fatal("working memory is kept")
		}
		scanners[i] = s
	}
	runtime.GC()
	runtime.GC() // a pool survives one
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes", each)
	if each > 512 {
		t.Errorf("an idle scanner holds %d bytes", each)
	}
	runtime.KeepAlive(scanners)
}

// STACK: a chat message is scanned without an allocation.
func TestScanner_chatAllocatesNothing(t *testing.T) {
	s := opened(t, elem.DefaultLimits())
	buf := []byte(chat)
	// Without Next(nil) in between: the pool forgets at random under -race.
	if n := testing.AllocsPerRun(500, func() {
		if ev, _, err := s.Next(buf); ev != elem.Stanza || err != nil {
			t.Fatal(ev, err)
		}
		if v, ok := s.Raw().KidAttr(3, "id"); !ok || len(v) == 0 {
			t.Fatal("no id")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
