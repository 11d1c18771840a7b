package jid

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// The short ways for ASCII come to what PRECIS and IDNA come to.
func TestNorm_asciiAsTheProfilesDo(t *testing.T) {
	for c := rune(0); c < utf8.RuneSelf; c++ {
		for _, s := range []string{string(c), "a" + string(c), string(c) + "b", "a" + string(c) + "B"} {
			want, err := precis.UsernameCaseMapped.String(s)
			got, gotErr := normLocal(s)
			if strings.ContainsAny(s, `"&'/:<>@`) { // RFC 7622 §3.3.1
				if gotErr == nil {
					t.Errorf("local %q is allowed", s)
				}
			} else if (err == nil) != (gotErr == nil) || err == nil && got != want {
				t.Errorf("local %q: %q, %v; the profile %q, %v", s, got, gotErr, want, err)
			}
			want, err = precis.OpaqueString.String(s)
			got, gotErr = normResource(s)
			if (err == nil) != (gotErr == nil) || err == nil && got != want {
				t.Errorf("resource %q: %q, %v; the profile %q, %v", s, got, gotErr, want, err)
			}
		}
	}
	rnd := rand.New(rand.NewPCG(20261123, 2))
	const chars = "aB0--..xn_ "
	for range 20000 {
		var b []byte
		for range rnd.IntN(12) {
			b = append(b, chars[rnd.IntN(len(chars))])
		}
		s := string(b)
		got, gotErr := normDomain(s)
		a, err := domainNames.ToASCII(strings.TrimSuffix(s, "."))
		want := ""
		if err == nil {
			want, err = domainNames.ToUnicode(a)
		}
		if err == nil && want == "" || strings.HasSuffix(want, ".") {
			err = errors.New("no name")
		}
		if (err == nil) != (gotErr == nil) || err == nil && got != want {
			t.Errorf("domain %q: %q, %v; the profile %q, %v", s, got, gotErr, want, err)
		}
	}
}

// FuzzJID: normal forms are normal; parts can't leak into each other; the short
// way comes to what the long one does.
func FuzzJID(f *testing.F) {
	for _, s := range []string{
		"juliet@example.com/balcony", "Juliet@Example.COM./x", "fu\u00dfball@münchen.de", "\u03a3@xn--mnchen-3ya.de/\u265a",
		"a＠b@c", "a@b。c", "[::1]", "a@[2001:DB8::1]/x", "a@b/c@d/e", "\u0130@b", "a\u200d@b", "\u05d0@\u05d1", "\u1e9e@b", "ﬀ@b", "a@ﬀ",
		"\u212a@\u212a/\u212a", "a@xn--zca", "a@b.xn--a", "e\u0301@b/e\u0301", "a@\u00adb", "\u0345@b", "a@b\u200c", "a@b/\u00a0", "1.2.3.4",
		"\u3000@b", "a@-b", "@", "/", "a@b/", "ab--cd.example", "\u0660@b/\u06f0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		j, err := Parse(s)
		fast, ok := parseNormal(s)
		if ok && (err != nil || fast != j) {
			t.Fatalf("%q: the short way %v, Parse %v, %v", s, fast, j, err)
		}
		if err == nil {
			check(t, s, j)
		}
		if ok {
			long, err := New(j.Local(), j.Domain(), j.Resource())
			if err != nil || long != j {
				t.Fatalf("%q: the short way %v, the long %v, %v", s, j, long, err)
			}
		}
		third := len(s) / 3
		if j, err := New(s[:third], s[third:2*third], s[2*third:]); err == nil {
			check(t, s, j)
		}
	})
}

func check(t *testing.T, s string, j JID) {
	t.Helper()
	again, err := Parse(j.String())
	if err != nil || again != j {
		t.Fatalf("%q: %q is parsed as %q, %v", s, j, again, err)
	}
	if !utf8.ValidString(j.String()) || j.IsZero() || j.Domain() == "" {
		t.Fatalf("%q: %q", s, j)
	}
	if strings.ContainsAny(j.Local(), `"&'/:<>@`) || strings.ContainsAny(j.Domain(), "/@<>&'\"") {
		t.Fatalf("%q: %q", s, j)
	}
	for _, p := range []string{j.Local(), j.Domain(), j.Resource()} {
		if len(p) > maxPart || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7F || r == 0xFFFE || r == 0xFFFF }) {
			t.Fatalf("%q: part %q", s, p)
		}
	}
	if b := j.Bare(); b != again.Bare() || b.Resource() != "" || b.Domain() != j.Domain() || b.Local() != j.Local() || b.DomainJID() != j.DomainJID() {
		t.Fatalf("%q: bare %q", s, b)
	}
	if parsed, err := Parse(j.Bare().String()); err != nil || parsed != j.Bare() {
		t.Fatalf("%q: bare %q is parsed as %q, %v", s, j.Bare(), parsed, err)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, s := range []string{"juliet@capulet.example/balcony-3f5a", "Juliet@Capulet.example/balcony-3f5a", "jülia@münchen.example/Balkon"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
