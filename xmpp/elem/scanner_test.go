package elem_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
)

const streamHeader = `<?xml version='1.0'?><stream:stream to='acme.test' version='1.0' xml:lang='en' ` +
	`xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:p='urn:outer'>`

// chat has 407 bytes: what a usual client sends for one line of talk.
const chat = `<message from='romeo@montague.example/orchard-3f5a' to='juliet@capulet.example' type='chat' id='5f0e1c9e-77a1-4b43'>` +
	`<body>Wherefore art thou, Romeo? It is the east and Juliet is the sun, far. &amp;</body>` +
	`<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>` +
	`<origin-id xmlns='urn:xmpp:sid:0' id='5f0e1c9e-77a1-4b43'/><markable xmlns='urn:xmpp:chat-markers:0'/></message>`

// opened is a scanner behind the stream header.
func opened(t testing.TB, lim elem.Limits) *elem.Scanner {
	t.Helper()
	s := elem.NewScanner(lim)
	ev, n, err := s.Next([]byte(streamHeader))
	if ev != elem.Header || n != len(streamHeader) || err != nil {
		t.Fatalf("header: %v, %d, %v", ev, n, err)
	}
	return s
}

func condition(err error) string {
	var se *elem.SyntaxError
	if errors.As(err, &se) {
		return se.Condition
	}
	return fmt.Sprint(err)
}

func TestScanner_streamFromHeaderToFooter(t *testing.T) {
	in := streamHeader + "\n" + chat + " " + `<presence/></stream:stream >`
	s := elem.NewScanner(elem.DefaultLimits())
	var got []string
	for in != "" {
		ev, n, err := s.Next([]byte(in))
		if err != nil || ev == elem.NeedMore {
			t.Fatalf("%v at %.40q: %v", ev, in, err)
		}
		name := ""
		if r := s.Raw(); r != nil {
			name = string(r.Space) + " " + string(r.Local)
		}
		got = append(got, fmt.Sprint(ev, " ", n, " ", name))
		in = in[n:]
	}
	want := []string{
		fmt.Sprint(elem.Header, " ", len(streamHeader), " http://etherx.jabber.org/streams stream"),
		fmt.Sprint(elem.Space, " 1 "),
		fmt.Sprint(elem.Stanza, " ", len(chat), " jabber:client message"),
		fmt.Sprint(elem.Space, " 1 "),
		fmt.Sprint(elem.Stanza, " 11 jabber:client presence"),
		fmt.Sprint(elem.Footer, " 17 "),
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("events\n%v\nwant\n%v", got, want)
	}
}

func TestScanner_rawOfAStanza(t *testing.T) {
	s := opened(t, elem.DefaultLimits())
	in := `<message to='a&amp;b' xml:lang='de' xmlns:q='urn:q&lt;'>x<body>hi</body><q:e/><p:f p:g='1'><deep xmlns='urn:d'/></p:f></message>`
	ev, n, err := s.Next([]byte(in))
	if ev != elem.Stanza || n != len(in) || err != nil {
		t.Fatal(ev, n, err)
	}
	r := s.Raw()
	if string(r.Buf) != in || string(r.Default) != "jabber:client" || r.Prefixed {
		t.Errorf("Buf %q, Default %q, Prefixed %v", r.Buf, r.Default, r.Prefixed)
	}
	if got := fmt.Sprintf("%q", r.Attrs); got != `[{"" "" "to" "a&b"} {"xml" "http://www.w3.org/XML/1998/namespace" "lang" "de"}]` {
		t.Error("Attrs", got)
	}
	if got := fmt.Sprintf("%q", r.Decls); got != `[{"q" "urn:q<"}]` {
		t.Error("Decls", got)
	}
	if got := fmt.Sprintf("%q", r.Outer); got != `[{"p" "urn:outer"}]` {
		t.Error("Outer", got)
	}
	if got := in[r.Inner.Start:r.Inner.End]; !strings.HasPrefix(got, "x<body>") || !strings.HasSuffix(got, "</p:f>") {
		t.Error("Inner", got)
	}
	var kids []string
	for _, k := range r.Kids {
		kids = append(kids, fmt.Sprintf("%s %s %s %s", k.Space, k.Local, in[k.Outer.Start:k.Outer.End], in[k.Inner.Start:k.Inner.End]))
	}
	want := []string{
		"jabber:client body <body>hi</body> hi",
		"urn:q< e <q:e/> ",
		"urn:outer f <p:f p:g='1'><deep xmlns='urn:d'/></p:f> <deep xmlns='urn:d'/>",
	}
	if fmt.Sprintf("%q", kids) != fmt.Sprintf("%q", want) {
		t.Errorf("Kids %q", kids)
	}
	e, err := r.KidElement(2)
	if err != nil || e.Space != "urn:outer" || e.Child("urn:d", "deep") == nil {
		t.Errorf("KidElement: %v, %v", e, err)
	}
	whole, err := r.Element()
	if err != nil || whole.ChildText("body") != "hi" || whole.Attr("to") != "a&b" || whole.Attr("xml:lang") != "de" || whole.Text != "x" {
		t.Errorf("Element: %v, %v", whole, err)
	}
}
