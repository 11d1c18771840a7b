package roster

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/stanza"
)

// named are the nine states of RFC 6121 Appendix A.1.
var named = []struct {
	name  string
	state State
}{
	{"None", 0},
	{"None + Pending Out", PendingOut},
	{"None + Pending In", PendingIn},
	{"None + Pending Out+In", PendingOut | PendingIn},
	{"To", To},
	{"To + Pending In", To | PendingIn},
	{"From", From},
	{"From + Pending Out", From | PendingOut},
	{"Both", To | From},
}

func stateOf(t *testing.T, name string) State {
	t.Helper()
	for _, n := range named {
		if n.name == name {
			return n.state
		}
	}
	t.Fatalf("no state %q", name)
	return 0
}

// The tables of RFC 6121 Appendix A.2 and A.3, row by row: existing state,
// whether the stanza is routed or delivered, new state ("=" for no change).
const tableOut = `
subscribe    | None                  | MUST     | None + Pending Out
subscribe    | None + Pending Out    | MUST     | =
subscribe    | None + Pending In     | MUST     | None + Pending Out+In
subscribe    | None + Pending Out+In | MUST     | =
subscribe    | To                    | MUST     | =
subscribe    | To + Pending In       | MUST     | =
subscribe    | From                  | MUST     | From + Pending Out
subscribe    | From + Pending Out    | MUST     | =
subscribe    | Both                  | MUST     | =
unsubscribe  | None                  | MUST     | =
unsubscribe  | None + Pending Out    | MUST     | None
unsubscribe  | None + Pending In     | MUST     | =
unsubscribe  | None + Pending Out+In | MUST     | None + Pending In
unsubscribe  | To                    | MUST     | None
unsubscribe  | To + Pending In       | MUST     | None + Pending In
unsubscribe  | From                  | MUST     | =
unsubscribe  | From + Pending Out    | MUST     | From
unsubscribe  | Both                  | MUST     | From
subscribed   | None                  | MUST NOT | =
subscribed   | None + Pending Out    | MUST NOT | =
subscribed   | None + Pending In     | MUST     | From
subscribed   | None + Pending Out+In | MUST     | From + Pending Out
subscribed   | To                    | MUST NOT | =
subscribed   | To + Pending In       | MUST     | Both
subscribed   | From                  | MUST NOT | =
subscribed   | From + Pending Out    | MUST NOT | =
subscribed   | Both                  | MUST NOT | =
unsubscribed | None                  | MUST NOT | =
unsubscribed | None + Pending Out    | MUST NOT | =
unsubscribed | None + Pending In     | MUST     | None
unsubscribed | None + Pending Out+In | MUST     | None + Pending Out
unsubscribed | To                    | MUST NOT | =
unsubscribed | To + Pending In       | MUST     | To
unsubscribed | From                  | MUST     | None
unsubscribed | From + Pending Out    | MUST     | None + Pending Out
unsubscribed | Both                  | MUST     | To`

const tableIn = `
subscribe    | None                  | MUST     | None + Pending In
subscribe    | None + Pending Out    | MUST     | None + Pending Out+In
subscribe    | None + Pending In     | MUST NOT | =
subscribe    | None + Pending Out+In | MUST NOT | =
subscribe    | To                    | MUST     | To + Pending In
subscribe    | To + Pending In       | MUST NOT | =
subscribe    | From                  | MUST NOT | =
subscribe    | From + Pending Out    | MUST NOT | =
subscribe    | Both                  | MUST NOT | =
unsubscribe  | None                  | MUST NOT | =
unsubscribe  | None + Pending Out    | MUST NOT | =
unsubscribe  | None + Pending In     | MUST     | None
unsubscribe  | None + Pending Out+In | MUST     | None + Pending Out
unsubscribe  | To                    | MUST NOT | =
unsubscribe  | To + Pending In       | MUST     | To
unsubscribe  | From                  | MUST     | None
unsubscribe  | From + Pending Out    | MUST     | None + Pending Out
unsubscribe  | Both                  | MUST     | To
subscribed   | None                  | MUST NOT | =
subscribed   | None + Pending Out    | MUST     | To
subscribed   | None + Pending In     | MUST NOT | =
subscribed   | None + Pending Out+In | MUST     | To + Pending In
subscribed   | To                    | MUST NOT | =
subscribed   | To + Pending In       | MUST NOT | =
subscribed   | From                  | MUST NOT | =
subscribed   | From + Pending Out    | MUST     | Both
subscribed   | Both                  | MUST NOT | =
unsubscribed | None                  | MUST NOT | =
unsubscribed | None + Pending Out    | MUST     | None
unsubscribed | None + Pending In     | MUST NOT | =
unsubscribed | None + Pending Out+In | MUST     | None + Pending In
unsubscribed | To                    | MUST     | None
unsubscribed | To + Pending In       | MUST     | None + Pending In
unsubscribed | From                  | MUST NOT | =
unsubscribed | From + Pending Out    | MUST     | From
unsubscribed | Both                  | MUST     | From`

type row struct {
	typ      stanza.Type
	from, to State
	pass     bool
}

func rows(t *testing.T, table string) []row {
	t.Helper()
	var out []row
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		f := strings.Split(line, "|")
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		r := row{typ: stanza.Type(f[0]), from: stateOf(t, f[1]), pass: f[2] == "MUST"}
		r.to = r.from
		if f[3] != "=" {
			r.to = stateOf(t, f[3])
		}
		out = append(out, r)
	}
	if len(out) != 36 {
		t.Fatalf("%d rows, want 9 states times 4 types", len(out))
	}
	return out
}

func TestOutbound_appendixA2(t *testing.T) {
	for _, r := range rows(t, tableOut) {
		next, route := Outbound(r.typ, r.from)
		if next&core != r.to || route != r.pass {
			t.Errorf("%s in %04b: next %04b, route %v; want %04b, %v", r.typ, r.from, next&core, route, r.to, r.pass)
		}
	}
}

func TestInbound_appendixA3(t *testing.T) {
	for _, r := range rows(t, tableIn) {
		next, deliver, reply := Inbound(r.typ, r.from)
		if next != r.to || deliver != r.pass {
			t.Errorf("%s in %04b: next %04b, deliver %v; want %04b, %v", r.typ, r.from, next, deliver, r.to, r.pass)
		}
		// RFC 6121 §3.1.3: who is subscribed already is told so at once.
		var want stanza.Type
		if r.typ == stanza.Subscribe && r.from&From != 0 {
			want = stanza.Subscribed
		}
		if reply != want {
			t.Errorf("%s in %04b: reply %q, want %q", r.typ, r.from, reply, want)
		}
	}
}

// RFC 6121 §3.4.2: in these states an approval that nobody asked for is kept.
func TestOutbound_preApproval(t *testing.T) {
	for _, n := range named {
		next, route := Outbound(stanza.Subscribed, n.state)
		keeps := n.name == "None" || n.name == "None + Pending Out" || n.name == "To"
		if got := next&Approved != 0; got != keeps || (keeps && (route || next&Listed == 0)) {
			t.Errorf("%s: approved %v, routed %v, listed %v; want approved %v and, if so, an item and no routing",
				n.name, got, route, next&Listed != 0, keeps)
		}
		if next, _ := Outbound(stanza.Unsubscribed, n.state|Approved|Listed); next&Approved != 0 {
			t.Errorf("%s: unsubscribed leaves the pre-approval", n.name)
		}
	}
}

func TestInbound_approvedBefore(t *testing.T) {
	for _, n := range named {
		next, deliver, reply := Inbound(stanza.Subscribe, n.state|Approved|Listed)
		if deliver || reply != stanza.Subscribed || next&From == 0 || next&PendingIn != 0 {
			t.Errorf("%s: next %06b, deliver %v, reply %q; want From, answered and not shown", n.name, next, deliver, reply)
		}
	}
}

// RFC 6121 §3.1.2: a request makes a roster item, a request received does not.
func TestState_whatMakesAnItem(t *testing.T) {
	if next, _ := Outbound(stanza.Subscribe, None); next&Listed == 0 {
		t.Error("asking makes no roster item")
	}
	if next, _, _ := Inbound(stanza.Subscribe, None); next&Listed != 0 {
		t.Error("being asked makes a roster item")
	}
	if next, _ := Outbound(stanza.Unsubscribe, None); next != None {
		t.Error("unsubscribing from a stranger makes an item")
	}
	if next, _ := Outbound(stanza.Subscribed, PendingIn); next != From|Listed {
		t.Errorf("approving gives %06b, want From and an item", next)
	}
}
