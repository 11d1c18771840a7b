package stanza_test

import (
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const header = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:o='urn:o'>`

// relay reads a stanza, without its children named "drop", and writes it again.
func relay(t *testing.T, in string) string {
	t.Helper()
	s := elem.NewScanner(elem.DefaultLimits())
	if _, _, err := s.Next([]byte(header)); err != nil {
		t.Fatal(err)
	}
	if ev, n, err := s.Next([]byte(in)); ev != elem.Stanza || n != len(in) || err != nil {
		t.Fatalf("%s: %v, %v", in, ev, err)
	}
	st, err := stanza.Read(s.Raw(), func(raw *elem.Raw, i int) bool { return string(raw.Kids[i].Local) == "drop" })
	if err != nil {
		t.Fatalf("%s: %v", in, err)
	}
	for _, k := range st.Kids {
		if e, err := st.Element(k); err != nil || e.Local != k.Local || e.Space != k.Space {
			t.Errorf("%s: child %v is %v, %v", in, k, e, err)
		}
	}
	return string(st.AppendTo(nil))
}

// HARDENING X6: what is sent on is well-formed and means what was judged,
// whatever is taken out of it and whichever prefixes it relies on.
func TestRead_relayedContentIsWellFormed(t *testing.T) {
	for in, want := range map[string]string{
		"<message><body>a</body><drop/><x xmlns='u'/></message>": "<message><body>a</body><x xmlns='u'/></message>",
		"<message>]]<drop/>></message>":                          "<message>]] ></message>",
		"<message>]<drop/>]><b/></message>":                      "<message>] ]><b/></message>",
		"<message>]]<drop/><drop/>><b>]</b></message>":           "<message>]] ><b>]</b></message>",
		"<message>]<drop/>]<drop/>></message>":                   "<message>] ] ></message>",
		"<message><![CDATA[]]]]><drop/>></message>":              "<message><![CDATA[]]]]>></message>",
		// RFC 6120 §8.1.5: neither changed nor removed, the empty one too (XML 1.0 §2.12).
		"<message xml:lang='de'><body xml:lang='cs'>a</body></message>": "<message xml:lang='de'><body xml:lang='cs'>a</body></message>",
		"<message xml:lang=''><body>a</body></message>":                 "<message xml:lang=''><body>a</body></message>",
		"<message xmlns:p='u&amp;v'><p:x/></message>":                   "<message xmlns:p='u&amp;v'><p:x/></message>",
		"<message><o:x/></message>":                                     "<message xmlns:o='urn:o'><o:x/></message>",
		"<message xmlns:o='v'><o:x/></message>":                         "<message xmlns:o='v'><o:x/></message>",
		"<message xmlns:q='w'><o:x q:y=''/></message>":                  "<message xmlns:q='w' xmlns:o='urn:o'><o:x q:y=''/></message>",
	} {
		got := relay(t, in)
		if got != want {
			t.Errorf("%s is sent on as %s, want %s", in, got, want)
		}
		if _, err := elem.ParseIn([]byte(got), stanza.Space, nil); err != nil {
			t.Errorf("%s is sent on as %s: %v", in, got, err)
		}
	}
}
