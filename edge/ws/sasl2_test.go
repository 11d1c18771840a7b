package ws_test

import (
	"encoding/base64"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/interop/client"
)

// login2 is XEP-0388 with a resource and stream management; more is what else is asked for.
func login2(mech, data, more string) string {
	return "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='" + mech + "'><initial-response>" + base64.StdEncoding.EncodeToString([]byte(data)) +
		"</initial-response><user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>" + more +
		"<bind xmlns='urn:xmpp:bind:0'><tag>Web</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind></authenticate>"
}

// attr finds an attribute of the element of that name in one message.
func attr(t *testing.T, doc, local, name string) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		tok, err := d.Token()
		if err != nil {
			t.Fatalf("no <%s/> in %s", local, doc)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == local {
			for _, a := range e.Attr {
				if a.Name.Local == name {
					return a.Value
				}
			}
		}
	}
}

// A page that is loaded anew: token, resumption and a message in one flight, no
// waiting (XEP-0388 §2.6.1, XEP-0198 §9.2, XEP-0484 §3.4).
func TestSASL2_oneFlight(t *testing.T) {
	b := start(t)
	p := b.dial()
	p.say(open)
	p.say(login2("PLAIN", "\x00alice\x00"+edgetest.Password, "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"))
	p.wants("<open ")
	p.wants("<authentication xmlns='urn:xmpp:sasl:2'>", "HT-SHA-256-NONE")
	s := p.wants("<success xmlns='urn:xmpp:sasl:2'>", "<bound xmlns='urn:xmpp:bind:0'>", "alice@acme.test/Web/")
	token, id := attr(t, s, "token", "token"), attr(t, s, "enabled", "id")
	p.wants("<stream:features xmlns:stream=", "urn:xmpp:csi:0")
	p.Close()
	if !b.core.AwaitCount("detach ", 1, patience) {
		t.Fatal("the cut was not seen")
	}
	p = b.dial()
	p.say(open)
	p.say(login2("HT-SHA-256-NONE", client.TokenProof("alice", token, nil), "<fast xmlns='urn:xmpp:fast:0'/><resume xmlns='urn:xmpp:sm:3' previd='"+id+"' h='0'/>"))
	p.say("<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.wants("<open ")
	p.wants("<stream:features ")
	s = p.wants("<success xmlns='urn:xmpp:sasl:2'>", "<resumed xmlns='urn:xmpp:sm:3'", "alice@acme.test/Web/")
	if strings.Contains(s, "<bound") || strings.Contains(s, "<failed") {
		t.Errorf("%s", s)
	}
	p.wants("<iq xmlns='jabber:client'", "id='p'", "result") // no features before it
}

func TestSASL2_failureKeepsTheStream(t *testing.T) {
	b := start(t)
	p := b.dial()
	p.open()
	p.say(login2("PLAIN", "\x00alice\x00no", ""))
	p.wants("<failure xmlns='urn:xmpp:sasl:2'>", "<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	p.say(login2("PLAIN", "\x00alice\x00"+edgetest.Password, ""))
	p.wants("<success ")
}
