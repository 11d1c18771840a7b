package elem_test

import (
	"reflect"
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// nasty are strings that try to break out of where they are written (HARDENING X7).
var nasty = []string{
	`'`, `"`, `<`, `>`, `&`, `]]>`, `<![CDATA[`, `'/><a b='`, `"/><a b="`, `</a>`, `&lt;`, `&#60;`, `<!-- -->`, `<?xml?>`,
	"\t\n\r \r\n", "]]", "é€😀", `'"<>&]]>`, "a\u2028b", "\ufeff", `\`, "\x7f\u0085",
}

func TestAppend_nothingBreaksOut(t *testing.T) {
	for _, s := range nasty {
		e := elem.New("u", "a", "x", s, "xml:lang", s).SetText(s).Add(elem.New(s, "b").SetText(s))
		e.Attrs = append(e.Attrs, elem.TreeAttr{Name: elem.Name{Space: "v" + s, Local: "y"}, Value: s})
		doc := e.String()
		got, err := elem.Parse([]byte(doc))
		if err != nil {
			t.Errorf("%q: %s: %v", s, doc, err)
		} else if !reflect.DeepEqual(got, e) {
			t.Errorf("%q: %s is read as %s", s, doc, got)
		}
		doc = "<a" + string(elem.AppendAttr(nil, "x", s)) + ">" + string(elem.AppendText(nil, []byte(s))) + "</a>"
		if got, err := elem.Parse([]byte(doc)); err != nil || got.Attr("x") != s || got.Text != s || len(got.Attrs) != 1 {
			t.Errorf("%q: %s is read as %v, %v", s, doc, got, err)
		}
	}
}

// What XML does not allow is replaced, so that it can't end a stream.
func TestAppend_illegalCharactersAreReplaced(t *testing.T) {
	for in, want := range map[string]string{
		"a\x00b": "a\ufffdb", "\x01": "\ufffd", "\x0b\x0c": "\ufffd\ufffd", "\x1b[0m": "\ufffd[0m", "\ufffe": "\ufffd", "\uffff": "\ufffd",
		"\xff": "\ufffd", "a\xc3": "a\ufffd", "\xed\xa0\x80": "\ufffd\ufffd\ufffd", "\xc0\xbc": "\ufffd\ufffd", "\ufffd": "\ufffd",
		"\U0001fffe": "\U0001fffe", "\xf4\x90\x80\x80": "\ufffd\ufffd\ufffd\ufffd", "é\xe2\x82": "é\ufffd\ufffd",
	} {
		e, err := elem.Parse([]byte(elem.New("", "a", "b", in).SetText(in).String()))
		if err != nil || e.Text != want || e.Attr("b") != want {
			t.Errorf("%q: %v, %v", in, e, err)
		}
	}
}

func TestElement_AppendTo(t *testing.T) {
	const client = "jabber:client"
	for _, c := range []struct {
		e    *elem.Element
		def  string
		want string
	}{
		{elem.New(client, "a"), client, "<a/>"},
		{elem.New(client, "a"), "", "<a xmlns='jabber:client'/>"},
		{elem.New("", "a"), client, "<a xmlns=''/>"},
		{elem.New(client, "iq", "type", "get").Add(elem.New("u", "q").Add(elem.New("u", "i"), elem.New(client, "j"))), client,
			"<iq type='get'><q xmlns='u'><i/><j xmlns='jabber:client'/></q></iq>"},
		{elem.New("u", "a").SetText("x"), "u", "<a>x</a>"},
		{&elem.Element{Name: elem.Name{Space: "u", Local: "a"}, Verbatim: []byte("<b/>"), Text: "no"}, "u", "<a><b/></a>"},
		{&elem.Element{Name: elem.Name{Space: elem.XMLSpace, Local: "a"}, Children: []*elem.Element{elem.New("u", "b")}}, "u", "<xml:a><b/></xml:a>"},
		// What would not be markup we meant is left out or named so.
		{elem.New("u", "a/><b"), "u", "<invalid-name/>"},
		{elem.New("u", "a", "xmlns", "v", "b c", "d", "e:f", "g", "", "h"), "u", "<a/>"},
		{elem.New("http://www.w3.org/2000/xmlns/", "a"), "u", "<a/>"},
	} {
		if got := string(c.e.AppendTo(nil, c.def)); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	for _, name := range []string{"a", "xmlns", "xmlns:p", "p:a", "é"} {
		if got, want := string(elem.AppendAttr(nil, name, "v")), " "+name+"='v'"; got != want {
			t.Errorf("AppendAttr(%q) wrote %s", name, got)
		}
	}
	for _, name := range []string{"", "a b", "a='x' b", "a:", ":a", "a:b:c", "a:1", "1", "a>", "xmlns:a b"} {
		if got := string(elem.AppendAttr(nil, name, "v")); got != "" {
			t.Errorf("AppendAttr(%q) wrote %s", name, got)
		}
	}
}

func TestParseIn_outerNamespaces(t *testing.T) {
	outer := []elem.Decl{{Prefix: []byte("p"), Space: []byte("urn:p")}}
	e, err := elem.ParseIn([]byte("<a p:x='1'><p:b/><c xmlns=''/></a>"), "urn:d", outer)
	want := elem.New("urn:d", "a").Add(elem.New("urn:p", "b"), elem.New("", "c"))
	want.Attrs = []elem.TreeAttr{{Name: elem.Name{Space: "urn:p", Local: "x"}, Value: "1"}}
	if err != nil || !reflect.DeepEqual(e, want) {
		t.Errorf("%v, %v, want %v", e, err, want)
	}
	if e, err := elem.ParseIn([]byte("<q:a/>"), "urn:d", outer); condition(err) != "bad-namespace-prefix" {
		t.Errorf("%v, %v", e, err)
	}
	if len(outer) != 1 || string(outer[0].Prefix) != "p" {
		t.Error("the caller's declarations were changed")
	}
	if _, err := elem.ParseIn([]byte("<a/>"), "", make([]elem.Decl, 64)); err == nil {
		t.Error("more declarations than a header may have are accepted")
	}
}

func TestElement_accessors(t *testing.T) {
	e := elem.New("u", "a", "x", "1").Set("x", "2").Set("xml:lang", "de").Add(elem.New("v", "b"), elem.New("u", "b").SetText("t"))
	if e.Attr("x") != "2" || e.Attr("xml:lang") != "de" || e.Attr("lang") != "" || len(e.Attrs) != 2 {
		t.Errorf("attributes of %s", e)
	}
	if _, ok := e.Lookup("y"); ok || e.ChildText("b") != "t" || e.ChildText("c") != "" || e.Child("v", "b") == nil || e.Child("w", "b") != nil {
		t.Errorf("children of %s", e)
	}
	if (*elem.Element)(nil).Child("", "a") != nil {
		t.Error("nothing has a child")
	}
}
