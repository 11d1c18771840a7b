package sasl

import "testing"

func TestPrepare_table(t *testing.T) {
	// RFC 4013 §3, and what else a person may type.
	for _, c := range []struct {
		in, want string
		ok       bool
	}{
		{"I\u00ADX", "IX", true},
		{"user", "user", true},
		{"USER", "USER", true},
		{"\u00AA", "a", true},
		{"\u2168", "IX", true},
		{"\u0007", "", false},
		{"\u0627\u0031", "", false},
		{"correct horse", "correct horse", true},
		{"a\u00A0b", "a b", true},
		{"pässword", "pässword", true},
		{"", "", false},
		{"\u00AD", "", false},
		{"\xff", "", false},
		{"snow\U0001F600man", "", false}, // newer than Unicode 3.2
	} {
		got, err := Prepare(c.in)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("Prepare(%q) = %q, %v", c.in, got, err)
		}
	}
}
