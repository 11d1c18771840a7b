package stream

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// scan gives what the scanner says about a stream's opening.
func scan(t *testing.T, s string, framed bool) *elem.Raw {
	t.Helper()
	sc := elem.NewScanner(elem.DefaultLimits())
	sc.SetFramed(framed)
	if _, _, err := sc.Next([]byte(s)); err != nil {
		t.Fatal(err)
	}
	raw := sc.Raw()
	if raw == nil {
		t.Fatalf("%s is no opening", s)
	}
	return raw
}

func TestReadHeader_table(t *testing.T) {
	const tcp = " xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	const ws = " xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"
	for _, c := range []struct{ s, condition string }{
		{"<stream:stream to='acme.test' version='1.0'" + tcp, ""},
		{"<stream:stream to='acme.test' version='01.00'" + tcp, ""}, // RFC 6120 §4.7.5: leading zeros are ignored
		{"<stream:stream to='acme.test' version='1.13'" + tcp, ""},
		{"<stream:stream to='acme.test' version='2.0'" + tcp, ""},
		{"<stream:stream version='1.0'" + tcp, ""}, // whether "to" is needed is the edge's business
		{"<stream:stream to='acme.test' version='0.9'" + tcp, "unsupported-version"},
		{"<stream:stream to='acme.test' version='1'" + tcp, "unsupported-version"},
		{"<stream:stream to='acme.test' version='1.x'" + tcp, "unsupported-version"},
		{"<stream:stream to='acme.test' version='-1.0'" + tcp, "unsupported-version"},
		{"<stream:stream to='acme.test' version=''" + tcp, "unsupported-version"},
		{"<stream:stream to='acme.test'" + tcp, "unsupported-version"},
		{"<stream:stream to='@' version='1.0'" + tcp, "improper-addressing"},
		{"<stream:stream from='a b' version='1.0'" + tcp, "invalid-from"},
		{"<stream:features to='acme.test' version='1.0'" + tcp, "bad-format"},
		{"<stream to='acme.test' version='1.0' xmlns='jabber:client'>", "invalid-namespace"},
		{"<stream:stream version='1.0' xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>", "invalid-namespace"},
		{"<open to='acme.test' version='1.0'" + ws, ""},
		{"<open to='acme.test'" + ws, "unsupported-version"},
		{"<open to='acme.test' version='1.0'/>", "invalid-namespace"},
		{"<close" + ws, "not-authorized"},
	} {
		framed := strings.HasSuffix(c.s, "/>")
		h, err := ReadHeader(scan(t, c.s, framed), framed)
		switch {
		case err == nil && c.condition != "", err != nil && err.Condition != c.condition:
			t.Errorf("%s: %v, want %q", c.s, err, c.condition)
		case err == nil && strings.Contains(c.s, "to=") && h.To != jid.MustParse("acme.test"):
			t.Errorf("%s: to %v", c.s, h.To)
		case err != nil && err.Text == "":
			t.Errorf("%s: the error does not say what to do", c.s)
		}
	}
}

func TestHeader_addressesAndLanguage(t *testing.T) {
	h, err := ReadHeader(scan(t, "<stream:stream to='ACME.test' from='Alice@acme.test' xml:lang='de' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", false), false)
	if err != nil || h.To.String() != "acme.test" || h.From.String() != "alice@acme.test" || h.Lang != "de" {
		t.Errorf("%+v %v", h, err)
	}
}

// RFC 6120 §4.7.4: a header's language has the form of a language tag, or counts for nothing.
func TestHeader_languageTags(t *testing.T) {
	for tag, want := range map[string]bool{
		"de": true, "de-CH-1901": true, "DE": true, "i-klingon": true, "x-whatever": true, "zh-Hant-TW": true,
		"sl-rozaj-biske-1994": true, strings.Repeat("a-", 31) + "ab": true,
		"": false, "-de": false, "de-": false, "de--CH": false, "1de": false, "deutschland": false, "de_CH": false,
		"de CH": false, "dé": false, "d&amp;": false, "de@x": false, "de-[": false, strings.Repeat("a-", 32) + "a": false,
	} {
		for _, framed := range []bool{false, true} {
			doc := "<stream:stream to='acme.test' xml:lang='" + tag + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
			if framed {
				doc = "<open to='acme.test' xml:lang='" + tag + "' version='1.0' xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"
			}
			h, err := ReadHeader(scan(t, doc, framed), framed)
			if err != nil || (h.Lang == tag) != want && tag != "" || !want && h.Lang != "" {
				t.Errorf("%q: remembered %q, %v; well-formed: %v", tag, h.Lang, err, want)
			}
		}
	}
}

func TestFraming_openIsReadBackWithItsAttributes(t *testing.T) {
	h := &Header{From: jid.MustParse("acme.test"), To: jid.MustParse("oneil@acme.test/<&>'"), ID: `a"b'<&>`}
	for _, f := range []Framing{TCP{}, Text{}} {
		raw := scan(t, string(f.Open(nil, h)), f.Framed())
		got := map[string]string{}
		for _, a := range raw.Attrs {
			got[string(a.Prefix)+":"+string(a.Local)] = string(a.Value)
		}
		if got[":id"] != h.ID || got[":from"] != "acme.test" || got[":to"] != h.To.String() || got[":version"] != "1.0" || got["xml:lang"] != "en" {
			t.Errorf("%v", got)
		}
	}
}

func TestText_declaresWhatItReliesOn(t *testing.T) {
	for _, c := range []struct {
		el, want string
		nameEnd  int
	}{
		{"<message to='a'/>", "<message xmlns='jabber:client' to='a'/>", 8},
		{"<iq/>", "<iq xmlns='jabber:client'/>", 3},
		{"<stream:error><x/></stream:error>", "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><x/></stream:error>", 13},
		{"<r xmlns='urn:xmpp:sm:3'/>", "<r xmlns='urn:xmpp:sm:3'/>", 0},
	} {
		if got := string(Text{}.Element([]byte("x"), []byte(c.el), c.nameEnd)); got != "x"+c.want {
			t.Errorf("%s", got)
		}
		if got := string(TCP{}.Element([]byte("x"), []byte(c.el), c.nameEnd)); got != "x"+c.el {
			t.Errorf("%s", got)
		}
	}
}

// RFC 6120 §4.9.2: condition, text, application condition, in this order.
func TestError_element(t *testing.T) {
	e := &Error{Condition: "policy-violation", Text: "<&>'\"", App: elem.New("urn:x", "app")}
	b, nameEnd := e.AppendTo(nil)
	if string(b[:nameEnd]) != "<stream:error" {
		t.Errorf("name ends at %d", nameEnd)
	}
	el, err := elem.Parse(Text{}.Element(nil, b, nameEnd))
	if err != nil {
		t.Fatal(err)
	}
	if el.Space != Space || len(el.Children) != 3 || el.Children[0].Name != (elem.Name{Space: ErrorSpace, Local: "policy-violation"}) ||
		el.Children[1].Text != e.Text || el.Children[2].Local != "app" {
		t.Errorf("%s", b)
	}
	made, _ := Failf("no such thing", "%d", 1).AppendTo(nil)
	if !strings.Contains(string(made), "<undefined-condition ") {
		t.Errorf("%s: a condition of RFC 6120 §4.9.3 is due", made)
	}
	if got := Fail("conflict", "").Error(); got != "stream: conflict" {
		t.Error(got)
	}
}
