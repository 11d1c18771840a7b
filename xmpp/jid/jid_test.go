package jid_test

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// parts is a parsed address for comparison.
type parts struct{ local, domain, resource string }

// RFC 7622 §3.5, the examples of addresses, and what else is legal.
func TestParse_legal(t *testing.T) {
	for _, c := range []struct {
		in   string
		want parts
	}{
		{"juliet@example.com", parts{"juliet", "example.com", ""}},
		{"juliet@example.com/foo", parts{"juliet", "example.com", "foo"}},
		{"juliet@example.com/foo bar", parts{"juliet", "example.com", "foo bar"}},
		{"juliet@example.com/foo@bar", parts{"juliet", "example.com", "foo@bar"}},
		{`foo\20bar@example.com`, parts{`foo\20bar`, "example.com", ""}},
		{"fussball@example.com", parts{"fussball", "example.com", ""}},
		{"fu\u00dfball@example.com", parts{"fu\u00dfball", "example.com", ""}},
		{"\u03c0@example.com", parts{"\u03c0", "example.com", ""}},
		{"\u03a3@example.com/foo", parts{"\u03c3", "example.com", "foo"}},
		{"\u03c3@example.com/foo", parts{"\u03c3", "example.com", "foo"}},
		{"\u03c2@example.com/foo", parts{"\u03c2", "example.com", "foo"}},
		{"king@example.com/\u265a", parts{"king", "example.com", "\u265a"}},
		{"example.com", parts{"", "example.com", ""}},
		{"example.com/foobar", parts{"", "example.com", "foobar"}},
		{"a.example.com/b@example.net", parts{"", "a.example.com", "b@example.net"}},
		{"example.com/a/b", parts{"", "example.com", "a/b"}}, // §3.1: the first slash
		{"example.com/a@b/c", parts{"", "example.com", "a@b/c"}},
		{"Juliet@Example.COM/Foo", parts{"juliet", "example.com", "Foo"}}, // case
		{"juliet@example.com.", parts{"juliet", "example.com", ""}},       // §3.2: final dot
		{"juliet@example.com./x", parts{"juliet", "example.com", "x"}},
		{"example。com", parts{"", "example.com", ""}}, // UTS 46 dots
		{"example.com。", parts{"", "example.com", ""}},
		{"ｅｘａｍｐｌｅ.com", parts{"", "example.com", ""}},      // width
		{"xn--mnchen-3ya.de", parts{"", "münchen.de", ""}}, // A-label to U-label
		{"XN--MNCHEN-3YA.de", parts{"", "münchen.de", ""}},
		{"MÜNCHEN.de", parts{"", "münchen.de", ""}},
		{"u\u0308@example.com/u\u0308", parts{"\u00fc", "example.com", "\u00fc"}}, // NFC
		{"ａｂ@example.com", parts{"ab", "example.com", ""}},                        // width mapping
		{"a@example.com/\u00a0x", parts{"a", "example.com", " x"}},                // §3.4: other spaces
		// A space at the front of a resource: OpaqueString (RFC 8265 §4.2) allows it.
		{"a@example.com/ foo", parts{"a", "example.com", " foo"}},
		{"127.0.0.1", parts{"", "127.0.0.1", ""}},
		{"a@[::1]/r", parts{"a", "[::1]", "r"}},
		{"[2001:DB8:0:0::1]", parts{"", "[2001:db8::1]", ""}}, // RFC 5952
		{"localhost", parts{"", "localhost", ""}},
		{"a@b", parts{"a", "b", ""}},
		{strings.Repeat("a", 1023) + "@b", parts{strings.Repeat("a", 1023), "b", ""}}, // §3.3 length
		{"a@b/" + strings.Repeat("r", 1023), parts{"a", "b", strings.Repeat("r", 1023)}},
	} {
		j, err := jid.Parse(c.in)
		if err != nil {
			t.Errorf("Parse(%.60q): %v", c.in, err)
			continue
		}
		if got := (parts{j.Local(), j.Domain(), j.Resource()}); got != c.want {
			t.Errorf("Parse(%.60q) = %.60q, want %.60q", c.in, got, c.want)
		}
		if again, err := jid.Parse(j.String()); err != nil || again != j {
			t.Errorf("Parse(%.60q) is not idempotent: %v, %v", c.in, again, err)
		}
		if n, err := jid.New(c.want.local, c.want.domain, c.want.resource); err != nil || n != j {
			t.Errorf("New of the parts of %.60q = %v, %v", c.in, n, err)
		}
	}
}

// RFC 7622 §3.5, the examples of what is none, and what else is not legal.
func TestParse_illegal(t *testing.T) {
	for _, in := range []string{
		`"juliet"@example.com`,          // RFC 7622 §3.5
		"foo bar@example.com",           // RFC 7622 §3.5
		"juliet@example.com/ foo\u0007", // control
		"@example.com/",                 // RFC 7622 §3.5
		"henry\u2163@example.com",       // RFC 7622 §3.5
		"\u265a@example.com",            // RFC 7622 §3.5
		"juliet@",                       // RFC 7622 §3.5
		"/foobar",                       // RFC 7622 §3.5
		"", "@", "/", "a@/b", "@b", "b/", "a@b/", "a@@b", "a@b@c", "a:b@c", "a<b@c", "a>b@c", "a'b@c", "a&b@c",
		"a＠b@c",  // width-mapped to an at-sign
		"a／b@c",  // and to a slash
		"a@b..c", // empty label
		"a@.b",
		"a@b..", "a@b。。", "a@é..", "a@é.。", "a@xn--mnchen-3ya..", //
		"a@..",
		"a@.",
		"a@-b",
		"a@b-",
		"a@b c",
		"a@b_c", // not letters, digits, hyphen
		"a@b\x00",
		"a\x7f@b",
		"a@b/\x00",
		"a@b/\x7f",
		"a\xff@b", "a@\xff", "a@b/\xff", "a@b/\xed\xa0\x80", // not UTF-8
		"a@b/\ufffe",                                // not a character
		"a@b/\ue000",                                // private use is unassigned in PRECIS' sense
		"a\u0000@b", "a@xn--", "a@xn--a", "a@xn--ü", // not A-labels
		"a@[::1", "a@[::1]x", "a@[]", "a@[fe80::1%eth0]", "a@[127.0.0.1]", "a@::1",
		"a@" + strings.Repeat("b", 64),
		"a@" + strings.Repeat("b.", 127) + "b",
		strings.Repeat("a", 1024) + "@b",
		"a@b/" + strings.Repeat("r", 1024),
		strings.Repeat("ü", 512) + "@b",
		"a@b/" + strings.Repeat("ü", 512),
		strings.Repeat("a", 100000), "a@b/" + strings.Repeat("♚", 100000), strings.Repeat("é", 100000) + "@b", "a@" + strings.Repeat("é", 100000),
	} {
		if j, err := jid.Parse(in); err == nil {
			t.Errorf("Parse(%.60q) = %q, want an error", in, j)
		} else if j != (jid.JID{}) {
			t.Errorf("Parse(%.60q) returned a JID with its error", in)
		}
	}
}

func TestJID_parts(t *testing.T) {
	full := jid.MustParse("juliet@example.com/balcony")
	if b := full.Bare(); b != jid.MustParse("juliet@example.com") || !b.IsBare() || b.IsFull() || b.IsDomain() {
		t.Errorf("Bare = %v", b)
	}
	if d := full.DomainJID(); d != jid.MustParse("example.com") || !d.IsDomain() || !d.IsBare() {
		t.Errorf("DomainJID = %v", d)
	}
	if !full.IsFull() || full.IsBare() || full.IsZero() || full.IsDomain() {
		t.Error("a full JID is not recognised")
	}
	if w, err := full.WithResource("garden"); err != nil || w != jid.MustParse("juliet@example.com/garden") {
		t.Errorf("WithResource = %v, %v", w, err)
	}
	if w, err := full.WithResource(""); err == nil {
		t.Errorf("WithResource of nothing = %v", w)
	}
	if w, err := (jid.JID{}).WithResource("x"); err == nil {
		t.Errorf("WithResource on no JID = %v", w)
	}
	var zero jid.JID
	if !zero.IsZero() || zero.IsBare() || zero.IsFull() || zero.IsDomain() || zero.String() != "" ||
		zero.Bare() != zero || zero.DomainJID() != zero || zero.Local()+zero.Domain()+zero.Resource() != "" {
		t.Error("the zero JID has parts")
	}
	dr := jid.MustParse("example.com/x")
	if dr.Local() != "" || dr.Bare() != jid.MustParse("example.com") || !dr.IsFull() || dr.IsDomain() {
		t.Errorf("a domain with a resource: %v", dr)
	}
	m := map[jid.JID]int{jid.MustParse("Juliet@Example.COM"): 7}
	if m[full.Bare()] != 7 {
		t.Error("equal addresses are different map keys")
	}
}

// STACK: the fast path costs no allocation.
func TestParse_normalAddressesAllocateNothing(t *testing.T) {
	for _, s := range []string{"juliet@example.com", "juliet@example.com/balcony", "example.com"} {
		if n := testing.AllocsPerRun(200, func() {
			j, _ := jid.Parse(s)
			if j.Bare().Domain() == "" || j.DomainJID().IsZero() {
				t.Fatal("no domain")
			}
		}); n != 0 {
			t.Errorf("Parse(%q) allocates %v times", s, n)
		}
	}
}

func TestMustParse_panicsOnWhatIsNoAddress(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || err.Error() != "jid: local: character not allowed" {
			t.Errorf("recovered %v", err)
		}
	}()
	jid.MustParse("a<b@c")
}
