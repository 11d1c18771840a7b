package disco

import (
	"testing"

	"github.com/parlance-im/parlance/xmpp/form"
)

// The expected hashes are those of XEP-0115 §5.2 and §5.3.
func TestHash_examplesOfTheSpecification(t *testing.T) {
	simple := Info{
		Identities: []Identity{{Category: "client", Type: "pc", Name: "Exodus 0.9.1"}},
		Features:   []string{"http://jabber.org/protocol/muc", InfoSpace, ItemsSpace, CapsSpace},
	}
	if got, want := simple.Hash(), "QgayPKawpkPSDYmwT/WM94uAlu0="; got != want {
		t.Errorf("simple: %s, want %s", got, want)
	}
	complex := Info{
		Identities: []Identity{
			{Category: "client", Type: "pc", Lang: "el", Name: "Ψ 0.11"},
			{Category: "client", Type: "pc", Lang: "en", Name: "Psi 0.11"},
		},
		Features: []string{ItemsSpace, InfoSpace, CapsSpace, "http://jabber.org/protocol/muc"},
		Forms: []*form.Form{form.New("result", "urn:xmpp:dataforms:softwareinfo").
			Add("", "os", "", "Mac").Add("", "os_version", "", "10.5.1").
			Add("text-multi", "ip_version", "", "ipv4", "ipv6").
			Add("", "software", "", "Psi").Add("", "software_version", "", "0.11")},
	}
	if got, want := complex.Hash(), "q07IKJEyjvHSyhy//CH0CxmKi8w="; got != want {
		t.Errorf("complex: %s, want %s", got, want)
	}
}
