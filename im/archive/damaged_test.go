package archive

import "testing"

// HARDENING F12: what is no message any more is seen, whatever it is, and replaced.
func TestKept_damaged(t *testing.T) {
	for text, bad := range map[string]bool{
		`<message from="a@x/1" id='1'><body>h&amp;i</body><x:y xmlns:x="urn:x"/></message>`: false,
		`<message xml:lang="en"></message>`:                                                 false,
		"":                                                                                  true,
		"<message":                                                                          true,
		"<message></wrong>":                                                                 true,
		"<messages></message>":                                                              true,
		"<message><body>&nope;</body></message>":                                            true,
		"<message><body>\xff</body></message>":                                              true,
		"<message></message><message></message>":                                            true,
		"<message><body></body></message><iq></message>":                                    true,
		"<presence><body>x</body></presence>":                                               true,
		"<message><body>x</body><!-- --></message>":                                         true,
		"<message><p:body>prefix of nobody</p:body></message>":                              true,
	} {
		k := Kept{Stanza: []byte(text)}
		if k.Damaged() != bad {
			t.Errorf("%q: damaged %v, due %v", text, !bad, bad)
		}
		if got := string(k.AppendWith(nil, []byte("<i/>"))); bad && got != "<message><i/></message>" {
			t.Errorf("%q is sent as %q", text, got)
		}
	}
}
