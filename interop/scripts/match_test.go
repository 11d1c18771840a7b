package scripts

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
)

// The engine must be able to fail: each row is one expectation against one stanza.
func TestMatch_table(t *testing.T) {
	for _, row := range []struct{ want, got, err string }{
		{`<message id='{any}'><body>a</body></message>`, `<message id='1'><body>a</body></message>`, ""},
		{`<message><body>a</body></message>`, `<message><body>b</body></message>`, "text of <body>"},
		{`<message><body>a</body></message>`, `<message><body/></message>`, "text of <body>"},
		{`<message><body/></message>`, `<message><body>a</body></message>`, "text of <body>"},
		{`<message><body>a</body></message>`, `<message/>`, "lacks <body"},
		{`<message/>`, `<message><body>a</body></message>`, "besides"},
		{`<message/>`, `<message><stanza-id xmlns='urn:xmpp:sid:0'/></message>`, ""},
		{`<message/>`, `<message type='chat'/>`, "has type"},
		{`<message type='chat'/>`, `<message/>`, "lacks type"},
		{`<message p:more='yes'/>`, `<message type='chat'><body>x</body></message>`, ""},
		{`<message type='{none}' p:more='yes'/>`, `<message type='chat'/>`, "was not due"},
		{`<message p:more='yes'><x xmlns='y' p:absent='yes'/></message>`, `<message><x xmlns='y'/></message>`, "must not be"},
		{`<message><x xmlns='y'/></message>`, `<message><x xmlns='z'/></message>`, "lacks <x"},
		{`<iq type='{any of: result|error}' p:more='yes'/>`, `<iq type='set'/>`, "none of"},
		{`<iq to='{me}' type='result'/>`, `<iq to='someone' type='result'/>`, "was due"},
		{`<iq to='{me}' type='result'/>`, `<iq type='result'/>`, ""},
		{`<iq type='error'><error type='cancel'><a xmlns='urn:e'/></error></iq>`, `<iq type='error'><q xmlns='z'/><error type='cancel' by='x'><a xmlns='urn:e'/><text xmlns='urn:e'>t</text></error></iq>`, ""},
		{`<iq type='error'><error type='cancel'><a xmlns='urn:e'/></error></iq>`, `<iq type='error'><error type='cancel'><b xmlns='urn:e'/></error></iq>`, "lacks <a"},
	} {
		w, err := client.ParseNode(row.want)
		if err != nil {
			t.Fatal(err)
		}
		g, err := client.ParseNode(row.got)
		if err != nil {
			t.Fatal(err)
		}
		err = vars{"me": "a@b/c"}.match(w, g)
		if row.err == "" && err != nil || row.err != "" && (err == nil || !strings.Contains(err.Error(), row.err)) {
			t.Errorf("%s\nagainst %s:\n%v, due: %q", row.want, row.got, err, row.err)
		}
	}
}

func TestParse_refusesWhatItDoesNotKnow(t *testing.T) {
	head := "title: t\nspec: s\nclient A = alice/x\n"
	for _, text := range []string{
		"", head, head + "B connects\n", head + "A dances\n", head + "A sends:\n", head + "A connects\n  <x/>\n", head + "A sends:\n  <x>\n",
	} {
		if _, err := parse("x", text); err == nil {
			t.Errorf("accepted: %q", text)
		}
	}
}
