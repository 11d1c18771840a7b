package version

import (
	"testing"

	"github.com/parlance-im/parlance/im"
)

// XEP-0092 §2: name and version; the operating system is nobody's business.
func TestVersion_withoutTheOperatingSystem(t *testing.T) {
	f := Feature("1.2.3<&>")
	out, err := f.IQ[0].Handle(t.Context(), &im.IQ{})
	if err != nil {
		t.Fatal(err)
	}
	if out.Space != "jabber:iq:version" || out.ChildText("name") != "Parlance" || out.ChildText("version") != "1.2.3<&>" || len(out.Children) != 2 {
		t.Errorf("%s", out.AppendTo(nil, ""))
	}
	if f.IQ[0].Scope != im.ToHost {
		t.Errorf("scope %v", f.IQ[0].Scope)
	}
}
