package jid

import (
	"strings"

	"golang.org/x/text/secure/precis"
)

// Nickname enforces the Nickname profile (RFC 8266 §2.3), so that a name has no
// spaces at its ends and one between words, and gives the key by which two names
// are the same (RFC 8266 §2.4).
func Nickname(s string) (nick, key string, err error) {
	if nick, err = enforce(precis.Nickname, "resource", s); err != nil {
		return "", "", err
	}
	if strings.TrimSpace(nick) == "" {
		return "", "", &Error{Part: "resource", Why: "empty"}
	}
	if nick, err = normResource(nick); err != nil {
		return "", "", err
	}
	if key, err = precis.Nickname.CompareKey(nick); err != nil {
		return "", "", &Error{Part: "resource", Why: err.Error()}
	}
	return nick, skeleton(key), nil
}

// lookalikes are lower-case letters of other scripts that are drawn as Latin
// ones: two names that differ only in them are one name to who reads them.
var lookalikes = strings.NewReplacer(
	"а", "a", "е", "e", "о", "o", "р", "p", "с", "c", "у", "y", "х", "x", "і", "i", "ѕ", "s", "ј", "j", "һ", "h", "ԁ", "d", "ԛ", "q", "ԝ", "w", "ӏ", "l", // Cyrillic
	"ο", "o", "α", "a", "ν", "v", "ρ", "p", "υ", "u", "ι", "i", "κ", "k", "χ", "x", "ϲ", "c", "ϳ", "j", // Greek
	"ı", "i", "ɑ", "a", "ɡ", "g", "ո", "n", "օ", "o", "ս", "u", // Latin extensions, Armenian
)

func skeleton(key string) string {
	if isASCII(key) {
		return key
	}
	return lookalikes.Replace(key)
}
