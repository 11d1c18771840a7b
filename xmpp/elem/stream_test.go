package elem_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// HARDENING X1, X2 and RFC 6120 §11.1: each restricted token at six positions of
// a stream; CDATA is text (where text may be).
func TestScanner_restrictedTokens(t *testing.T) {
	positions := map[string][2]string{
		"before the header": {"", streamHeader},
		"after the header":  {streamHeader, "<presence/>"},
		"in a stanza":       {streamHeader + "<message>", "</message>"},
		"in a child":        {streamHeader + "<message><body>x", "</body></message>"},
		"between stanzas":   {streamHeader + "<presence/>", "<presence/>"},
		"after the footer":  {streamHeader + "</stream:stream>", ""},
	}
	for token, want := range map[string]string{
		"<!-- x -->":                          "restricted-xml",
		"<?php x?>":                           "restricted-xml",
		"<!DOCTYPE a>":                        "restricted-xml",
		"<!DOCTYPE a [<!ENTITY b 'c'>]>":      "restricted-xml",
		" <?xml version='1.0'?>":              "restricted-xml",
		"<message><?xml version='1.0'?>":      "restricted-xml",
		"<message to='&ent;'/>":               "restricted-xml",
		"<message><!DOCTYPE a [ ]></message>": "restricted-xml",
	} {
		for where, p := range positions {
			want := want
			if where == "after the footer" {
				want = "not-well-formed"
			}
			if got := trace([]byte(p[0]+token+p[1]), false, elem.DefaultLimits(), 1); !strings.Contains(got, "elem: "+want+": ") {
				t.Errorf("%s %s: %s", token, where, got)
			}
		}
	}
	for where, p := range positions {
		got := trace([]byte(p[0]+"<![CDATA[<x>]]>"+p[1]), false, elem.DefaultLimits(), 1)
		if inside := strings.HasPrefix(where, "in "); inside == strings.Contains(got, "elem: ") {
			t.Errorf("CDATA %s: %s", where, got)
		}
	}
}

func TestScanner_streams(t *testing.T) {
	for _, c := range []struct {
		what, in string
		want     string // end of the trace
	}{
		{"footer of another name", streamHeader + "</stream:strea>", "not-well-formed: end tag does not match"},
		{"footer of another prefix", streamHeader + "</s:stream>", "not-well-formed: end tag does not match"},
		{"footer before the header", "</stream:stream>", "not-well-formed: end tag without a start tag"},
		{"second footer", streamHeader + "</stream:stream></stream:stream>", "not-well-formed: data after the end of the stream"},
		{"space after the footer", streamHeader + "</stream:stream>\n ", "2 spaces, 0 left"},
		{"stanza after the footer", streamHeader + "</stream:stream><a/>", "not-well-formed: data after the end of the stream"},
		{"empty stream", "<s:s xmlns:s='u'/> ", "1 spaces, 0 left"},
		{"stanza after an empty stream", "<s:s xmlns:s='u'/><a/>", "not-well-formed: data after the end of the stream"},
		{"text between stanzas", streamHeader + "<a/>x", "bad-format: text between stanzas"},
		{"a letter beyond ASCII between stanzas", streamHeader + "é", "bad-format: text between stanzas"},
		{"NUL between stanzas", streamHeader + "\x00", "not-well-formed: no element"},
		{"byte order mark", "\xef\xbb\xbf" + streamHeader, "not-well-formed: no element"}, // RFC 6120 §11.6
		{"TLS on a plain port", "\x16\x03\x01\x02\x00", "not-well-formed: no element"},
		{"HTTP", "GET / HTTP/1.1\r\n", "not-well-formed: no element"},
		{"prefix not declared in the header", "<stream:stream xmlns='u'>", "bad-namespace-prefix: prefix of an element not declared"},
		{"prefix not declared in a stanza", streamHeader + "<q:a/>", "bad-namespace-prefix: prefix of an element not declared"},
		{"prefix rebound to the same in a stanza", streamHeader + "<a xmlns:stream='u'/>", "0 spaces, 0 left"},
		{"stream header within the stream", streamHeader + "<stream:stream>", " left"},
		{"too many declarations in the header", "<a" + numbered(65, " xmlns:p%d='u'") + ">", "policy-violation: too many namespace declarations"},
		{"XML declaration without end", "<?xml version='1.0'" + rep(300, " "), "policy-violation: XML declaration too long"},
		{"encoding", "<?xml version='1.0' encoding='latin1'?><a>", "unsupported-encoding: encoding is not UTF-8"},
	} {
		for _, step := range []int{0, 1} {
			if got := trace([]byte(c.in), false, elem.Limits{}, step); !strings.HasSuffix(got, c.want) {
				t.Errorf("%s: %s, want %s", c.what, got, c.want)
			}
		}
	}
}

func TestScanner_header(t *testing.T) {
	s := elem.NewScanner(elem.DefaultLimits())
	if _, _, err := s.Next([]byte(streamHeader)); err != nil {
		t.Fatal(err)
	}
	r := s.Raw()
	if !r.Prefixed || string(r.Space) != "http://etherx.jabber.org/streams" || string(r.Default) != "jabber:client" ||
		fmt.Sprintf("%q", r.Decls) != `[{"" "jabber:client"} {"stream" "http://etherx.jabber.org/streams"} {"p" "urn:outer"}]` ||
		fmt.Sprintf("%q", r.Attrs[:2]) != `[{"" "" "to" "acme.test"} {"" "" "version" "1.0"}]` {
		t.Error(dump(r))
	}
}

// The header's declarations are in force for stanzas, also after the caller has
// reused the buffer the header came in.
func TestScanner_headerPrefixesInStanzas(t *testing.T) {
	s := elem.NewScanner(elem.DefaultLimits())
	head := []byte(streamHeader)
	if _, _, err := s.Next(head); err != nil {
		t.Fatal(err)
	}
	clear(head)
	for _, c := range []struct{ in, want string }{
		{"<stream:error/>", `"http://etherx.jabber.org/streams" true "jabber:client" [{"stream" "http://etherx.jabber.org/streams"}]`},
		{"<a><p:b/></a>", `"jabber:client" false "jabber:client" [{"p" "urn:outer"}]`},
		{"<a><b p:c=''/></a>", `"jabber:client" false "jabber:client" [{"p" "urn:outer"}]`},
		{"<a xmlns='u'><b p:c=''/></a>", `"u" false "u" [{"p" "urn:outer"}]`},
		{"<a xmlns:p='q'><p:b/></a>", `"jabber:client" false "jabber:client" []`},
		{"<a><b xmlns:p='q'><p:b/></b></a>", `"jabber:client" false "jabber:client" []`},
		{"<a><b xmlns:p='q'/><p:b/></a>", `"jabber:client" false "jabber:client" [{"p" "urn:outer"}]`},
		{"<a xmlns=''/>", `"" false "" []`},
	} {
		ev, _, err := s.Next([]byte(c.in))
		if ev != elem.Stanza || err != nil {
			t.Fatal(c.in, ev, err)
		}
		r := s.Raw()
		if got := fmt.Sprintf("%q %v %q %q", r.Space, r.Prefixed, r.Default, r.Outer); got != c.want {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
		e, err := r.Element()
		if err != nil || e.Space != string(r.Space) || e.Local != string(r.Local) {
			t.Errorf("%s: %v, %v", c.in, e, err)
		}
	}
}

// RFC 6120 §4.3.3: a new stream on the same connection starts from nothing.
func TestScanner_resetForgetsTheStream(t *testing.T) {
	s := opened(t, elem.DefaultLimits())
	if ev, _, err := s.Next([]byte("<a><b")); ev != elem.NeedMore || err != nil {
		t.Fatal(ev, err)
	}
	s.Reset(elem.DefaultLimits())
	if ev, n, err := s.Next([]byte(streamHeader + "<a/>")); ev != elem.Header || n != len(streamHeader) || err != nil {
		t.Error(ev, n, err)
	}
}

// RFC 7395 §3.3: every message is a document of its own and inherits nothing.
func TestScanner_framed(t *testing.T) {
	s := elem.NewScanner(elem.DefaultLimits())
	s.SetFramed(true)
	open := `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='acme.test' version='1.0' xmlns:p='u'/>`
	for _, in := range []string{open, `<?xml version='1.0'?><message xmlns='jabber:client'/>`, `<message/>`, `<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>`} {
		ev, n, err := s.Next([]byte(in))
		if ev != elem.Stanza || n != len(in) || err != nil {
			t.Fatalf("%s: %v, %d, %v", in, ev, n, err)
		}
		if r := s.Raw(); string(r.Local) == "message" && !strings.HasPrefix(string(r.Buf), "<message") {
			t.Errorf("Buf %q", r.Buf)
		}
		s.Reset(elem.DefaultLimits()) // framing stays
	}
	for _, in := range []string{"</message>", "x", "<p:a/>", "<?xml version='1.0'?></a>"} {
		s.Reset(elem.DefaultLimits())
		if _, _, err := s.Next([]byte(in)); err == nil {
			t.Errorf("%s is accepted", in)
		}
	}
}

func TestRaw_KidAttr(t *testing.T) {
	s := opened(t, elem.DefaultLimits())
	in := []byte("<m><a x='1' p:y='2' z = \"&lt;'&#10;\r\n\" e=''/>text<b x='/>' ></b><p:c/></m>")
	if ev, _, err := s.Next(in); ev != elem.Stanza || err != nil {
		t.Fatal(ev, err)
	}
	r := s.Raw()
	for _, c := range []struct {
		kid         int
		local, want string
		ok          bool
	}{
		{0, "x", "1", true}, {0, "y", "", false}, {0, "z", "<'\n ", true}, {0, "e", "", true}, {0, "a", "", false},
		{1, "x", "/>", true}, {1, "y", "", false}, {2, "x", "", false},
	} {
		if v, ok := r.KidAttr(c.kid, c.local); string(v) != c.want || ok != c.ok {
			t.Errorf("KidAttr(%d, %s) = %q, %v", c.kid, c.local, v, ok)
		}
	}
}
