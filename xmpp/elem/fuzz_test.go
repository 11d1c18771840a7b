package elem_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// addSeeds gives the table of documents to a fuzz target; plain "go test" runs
// the target on them.
func addSeeds(f *testing.F, more ...string) {
	for _, d := range documents(f) {
		f.Add(d.doc)
	}
	for _, s := range append(more, streamHeader+chat+"</stream:stream>", chat) {
		f.Add([]byte(s))
	}
}

// FuzzScanner: pieces are as good as the whole; spans lie within the element and
// in order; trees can be built of whatever is let through.
func FuzzScanner(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		lim := elem.Limits{Bytes: 1 << 12, Depth: 8, Elements: 30, Attrs: 6, Decls: 6}
		for _, framed := range []bool{true, false} {
			want := trace(in, framed, lim, 0)
			for _, step := range []int{1, 5} {
				if got := trace(in, framed, lim, step); got != want {
					t.Fatalf("pieces of %d:\n%s\nwhole:\n%s", step, got, want)
				}
			}
		}
		s := elem.NewScanner(lim)
		if _, _, err := s.Next([]byte(streamHeader)); err != nil {
			t.Fatal(err)
		}
		for rest := in; ; {
			ev, n, err := s.Next(rest)
			if n > len(rest) || err == nil && ev != elem.NeedMore && n == 0 {
				t.Fatalf("%v consumes %d of %d", ev, n, len(rest))
			}
			if err != nil || ev == elem.NeedMore {
				return
			}
			if ev == elem.Stanza {
				checkRaw(t, s.Raw())
			}
			rest = rest[n:]
		}
	})
}

// checkRaw compares a scanned element with the tree of the same bytes.
func checkRaw(t *testing.T, r *elem.Raw) {
	t.Helper()
	e, err := r.Element()
	if err != nil {
		t.Fatalf("%q: %v", r.Buf, err)
	}
	if e.Space != string(r.Space) || e.Local != string(r.Local) || len(e.Attrs) != len(r.Attrs) || len(e.Children) != len(r.Kids) {
		t.Fatalf("%q: tree %s of %s", r.Buf, e, dump(r))
	}
	for i, a := range r.Attrs {
		if b := e.Attrs[i]; b.Space != string(a.Space) || b.Local != string(a.Local) || b.Value != string(a.Value) {
			t.Fatalf("%q: attribute %d %v, tree %v", r.Buf, i, a, b)
		}
	}
	at := r.Inner.Start
	for i, k := range r.Kids {
		if k.Outer.Start < at || k.Inner.Start <= k.Outer.Start || k.Inner.End < k.Inner.Start || k.Outer.End < k.Inner.End || k.Outer.End > r.Inner.End {
			t.Fatalf("%q: child %d at %v", r.Buf, i, k)
		}
		at = k.Outer.End
		c, err := r.KidElement(i)
		if err != nil || !reflect.DeepEqual(c, e.Children[i]) || c.Space != string(k.Space) || c.Local != string(k.Local) {
			t.Fatalf("%q: child %d: %v, %v, in the tree %v", r.Buf, i, c, err, e.Children[i])
		}
		for _, a := range c.Attrs {
			if a.Space != "" {
				continue
			}
			if v, ok := r.KidAttr(i, a.Local); !ok || string(v) != a.Value {
				t.Fatalf("%q: child %d: attribute %s = %q, %v", r.Buf, i, a.Local, v, ok)
			}
		}
	}
	checkRelay(t, r, e)
}

// checkRelay splices the content into a start tag of our own, as im/deliver
// does, and looks for the same children (HARDENING X6).
func checkRelay(t *testing.T, r *elem.Raw, e *elem.Element) {
	t.Helper()
	doc := append([]byte("<relayed"), ' ')
	doc = append(append(doc, "xmlns='"...), elem.AppendValue(nil, r.Default)...)
	doc = append(doc, '\'')
	seen := map[string]bool{"": true, "xml": true}
	for _, d := range append(append([]elem.Decl{}, r.Decls...), r.Outer...) {
		if !seen[string(d.Prefix)] {
			seen[string(d.Prefix)] = true
			doc = append(append(append(doc, " xmlns:"...), d.Prefix...), "='"...)
			doc = append(elem.AppendValue(doc, d.Space), '\'')
		}
	}
	doc = append(append(append(doc, '>'), r.Buf[r.Inner.Start:r.Inner.End]...), "</relayed>"...)
	got, err := elem.Parse(doc)
	if err != nil || got.Text != e.Text || !reflect.DeepEqual(got.Children, e.Children) {
		t.Fatalf("%q is relayed as %q: %v, %v", r.Buf, doc, got, err)
	}
}

// FuzzRoundTrip: what is written of what was read is read as the same (HARDENING X6).
func FuzzRoundTrip(f *testing.F) {
	addSeeds(f, "<a xmlns:p='u' xmlns:q='v' p:b='1' q:b='2' xml:lang='x'>\r&#13;<xml:b/><c xmlns='' p:d='3'/></a>")
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := elem.Parse(in)
		if err != nil {
			return
		}
		for _, def := range []string{"", "jabber:client", "u"} {
			doc := e.AppendTo(nil, def)
			// Prefixes made up for attributes can make more declarations than are allowed.
			again, err := elem.ParseIn(doc, def, nil)
			if err != nil && condition(err) == "policy-violation" {
				continue
			}
			if err != nil || !reflect.DeepEqual(again, e) {
				t.Fatalf("%q: %s is written as %s and read as %v, %v", in, e, doc, again, err)
			}
			if third := again.AppendTo(nil, def); !bytes.Equal(third, doc) {
				t.Fatalf("%q: written as %s, then as %s", in, doc, third)
			}
		}
	})
}

// FuzzAppend: text and values come back as they went in, but for what XML forbids.
func FuzzAppend(f *testing.F) {
	for _, s := range nasty {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := elem.Parse([]byte(elem.New("", "a", "b", s).SetText(s).String()))
		if err != nil || len(e.Attrs) != 1 || len(e.Children) != 0 || e.Text != e.Attr("b") {
			t.Fatalf("%q: %v, %v", s, e, err)
		}
		if legal := []rune(s); string(legal) == s && !bytes.ContainsFunc([]byte(s), func(r rune) bool {
			return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
		}) && e.Text != s {
			t.Fatalf("%q comes back as %q", s, e.Text)
		}
	})
}
