//go:build !race

package deliver

import (
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// A chat message as clients write it.
const typical = `<message to='bob@x.test/phone' type='chat' id='c1f0'><body>Shall we meet at ten in the small room?</body>` +
	`<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>` +
	`<origin-id xmlns='urn:xmpp:sid:0' id='c1f0'/></message>`

func guard(t *testing.T, what string, want float64, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(500, f); n != want {
		t.Errorf("%s: %v allocations, want %v", what, n, want)
	}
}

// What accept and plan allocate for a message. The numbers are today's: a
// higher one is a step back, a lower one belongs in here.
func TestPath_allocations(t *testing.T) {
	raw := scanRaw(t, typical)
	from := jid.MustParse("alice@x.test/desk")
	st := scan(t, typical)
	j := &judged{st: st}
	f := facts{Local: true, Exists: true, Bound: true, Live: true}
	// The stanza, its content (the one copy), the list of its children, its id, and the address in "to".
	guard(t, "accept", 5, func() { _, _ = accept(raw, from, "") })
	// The plan, the archive's entry, the list of its two views, and the conversation's key.
	// Judge allocates one more, what it hands to plan.
	guard(t, "plan", 4, func() { _, _ = plan(j, nil, f) })
	// The bytes the archive keeps.
	guard(t, "encode", 1, func() { _ = j.st.AppendTo(make([]byte, 0, j.st.Size())) })
}
