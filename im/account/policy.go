package account

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Refused says why a password or a name can't be set. It never quotes it.
type Refused struct{ Why string }

func (r *Refused) Error() string { return "account: refused: " + r.Why }

const maxPassword = 1024 // bytes, as xmpp/sasl takes

// rules for new passwords (HARDENING V7): length, no composition rules, no
// common ones.
type rules struct {
	min    int              // characters
	minOf  func(string) int // on one host; nil: all have the same
	any    bool             // no rules
	common map[string]bool  // refused ones, lower case; read only
}

func newRules(c Config) (rules, error) {
	list, err := files.ReadFile("common.txt")
	if err != nil {
		return rules{}, err
	}
	r := rules{min: c.MinPassword, minOf: c.MinOf, any: c.AnyPassword, common: map[string]bool{}}
	for line := range strings.Lines(string(list)) {
		r.common[strings.TrimSuffix(line, "\n")] = true
	}
	return r, nil
}

// check prepares a new password and applies the rules; the error is a *Refused.
func (r rules) check(who jid.JID, password string) (prepared string, err error) {
	if len(password) > maxPassword {
		return "", &Refused{fmt.Sprintf("a password has at most %d bytes", maxPassword)}
	}
	prepared, err = sasl.Prepare(password)
	if err != nil {
		return "", &Refused{strings.TrimPrefix(err.Error(), "sasl: ")}
	}
	if r.any {
		return prepared, nil
	}
	lower, least := strings.ToLower(prepared), r.min
	if r.minOf != nil {
		least = max(r.minOf(who.Domain()), 8) // HARDENING V7: the floor
	}
	switch {
	case utf8.RuneCountInString(prepared) < least:
		return "", &Refused{fmt.Sprintf("the password is shorter than %d characters", least)}
	case r.isCommon(lower):
		return "", &Refused{"this password is one of the first that an attacker tries"}
	case isPattern(lower):
		return "", &Refused{"this password is only a pattern"}
	case holdsOnly(lower, who.Local(), who.Domain()):
		return "", &Refused{"the password is hardly more than the person's address"}
	}
	return prepared, nil
}

// isCommon knows a listed password also behind and before digits and signs, in
// leet spelling, and said twice.
func (r rules) isCommon(p string) bool {
	bare := strings.TrimFunc(p, func(r rune) bool { return !unicode.IsLetter(r) })
	if len(p)-len(bare) > 8 {
		bare = p // so many digits and signs are not an ornament
	}
	for _, v := range []string{p, unleet(p), bare, unleet(bare)} {
		if r.common[v] {
			return true
		}
		if n := len(v) / 2; len(v) > 0 && len(v)%2 == 0 && v[:n] == v[n:] && r.common[v[:n]] {
			return true
		}
	}
	return false
}

func unleet(p string) string {
	return strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "8", "b",
		"@", "a", "$", "s", "!", "i").Replace(p)
}

// isPattern finds passwords of one or two different characters, and runs of the
// alphabet, of digits and of keyboard rows, in either direction.
func isPattern(p string) bool {
	distinct := map[rune]bool{}
	for _, c := range p {
		distinct[c] = true
	}
	if len(distinct) <= 2 {
		return true
	}
	for _, row := range []string{"abcdefghijklmnopqrstuvwxyz", "0123456789", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm",
		"azertyuiopqsdfghjklmwxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "1q2w3e4r5t6y7u8i9o0p"} {
		if runOf(p, row) || runOf(p, reversed(row)) {
			return true
		}
	}
	return false
}

// runOf says whether p is a piece of the row written again and again.
func runOf(p, row string) bool {
	return strings.Contains(strings.Repeat(row, 2+len(p)/len(row)), p)
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// holdsOnly says whether p is made of the given words, and fewer than four
// characters beside them.
func holdsOnly(p string, words ...string) bool {
	rest := p
	for _, w := range words {
		if len(w) >= 3 {
			rest = strings.ReplaceAll(rest, strings.ToLower(w), "")
		}
	}
	return rest != p && utf8.RuneCountInString(rest) < 4
}
