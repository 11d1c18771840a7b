package account

import (
	"errors"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestV7_passwordRules(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		who := jid.MustParse("liddell@acme.test")
		for _, c := range []struct {
			password string
			ok       bool
		}{
			{good, true},
			{"correct horse battery", true},
			{"кошка сидит на столе", true},
			{strings.Repeat("long but fine ", 20), true}, // 64 and more are allowed
			{"only-small-letters", true},                 // no composition rules
			{"839201746528", true},                       // digits alone, no pattern
			{"elevenchar1", false},
			{"kurz", false},
			{"", false},
			{"password1234", false},
			{"PassWord2026!", false},
			{"P@ssw0rd2026", false},
			{"passwordpassword", false},
			{"!!iloveyou!!", false},
			{"qwertyuiop123", false},
			{"123456789012", false},
			{"abcdefghijklmn", false},
			{"nmlkjihgfedcba", false},
			{"aaaaaaaaaaaaaaa", false},
			{"ababababababab", false},
			{"liddell@acme.test", false},
			{"liddellliddell1", false},
			{"tomato-voyage-\x07", false},
			{"tomato-voyage-\U0001F600", false}, // SASLprep: not every client can send it
			{strings.Repeat("x-y z", 300), false},
			{"\xff\xfetomato-voyage", false},
		} {
			_, err := s.rules.check(who, c.password)
			if (err == nil) != c.ok {
				t.Errorf("%q: %v", c.password, err)
			}
			if r, ok := errors.AsType[*Refused](err); err != nil && (!ok || len(c.password) > 4 && strings.Contains(r.Why, c.password)) {
				t.Errorf("%q: %v is no *Refused, or quotes the password", c.password, err)
			}
		}
		if len(s.rules.common) < 3000 {
			t.Errorf("%d refused passwords, want 3000", len(s.rules.common))
		}
		for p := range s.rules.common {
			if _, err := s.rules.check(who, p); err == nil {
				t.Errorf("%q is on the list and taken", p)
			}
		}
	})
}

func TestV7_floorAndDemo(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		low, err := New(t.Context(), s.db, Config{MinPassword: 3})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := low.rules.check(alice, "oak-tre"); err == nil {
			t.Error("seven characters are below the floor of eight")
		}
		if _, err := low.rules.check(alice, "oak-tre8"); err != nil {
			t.Error(err)
		}
		demo, err := New(t.Context(), s.db, Config{AnyPassword: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := demo.rules.check(alice, "parlance"); err != nil {
			t.Error(err)
		}
		if _, err := demo.rules.check(alice, ""); err == nil {
			t.Error("an empty password is none, even in the demo")
		}
	})
}

func TestName_rules(t *testing.T) {
	for name, ok := range map[string]bool{
		"": true, "Alice Liddell": true, "爱丽丝": true, strings.Repeat("x", 200): true,
		strings.Repeat("x", 201): false, "a\nb": false, "a\x1b[31mb": false, "a\u202eb": false, "\xff": false,
	} {
		if err := checkDisplayName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
