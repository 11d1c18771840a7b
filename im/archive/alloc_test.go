//go:build !race

package archive

import "testing"

// A page of the archive looks at each of its messages.
func TestKept_damagedAllocatesNothing(t *testing.T) {
	k := Kept{Stanza: []byte(`<message from="a@x/1" id='1'><body>h&amp;i</body><x:y xmlns:x="urn:x"/></message>`)}
	if n := testing.AllocsPerRun(1000, func() { k.Damaged() }); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}
