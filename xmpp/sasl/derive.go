package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

func (h Hash) new() func() hash.Hash {
	switch h {
	case SHA1:
		return sha1.New
	case SHA512:
		return sha512.New
	}
	return sha256.New
}

// hashOf is the hash function of a SCRAM mechanism.
func hashOf(mech string) Hash {
	switch {
	case strings.HasPrefix(mech, ScramSHA512):
		return SHA512
	case strings.HasPrefix(mech, ScramSHA1):
		return SHA1
	}
	return SHA256
}

func (h Hash) mac(key []byte, text string) []byte {
	m := hmac.New(h.new(), key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func (h Hash) sum(b []byte) []byte {
	s := h.new()()
	s.Write(b)
	return s.Sum(nil)
}

// Size is the length of the hash function's keys in bytes.
func (h Hash) Size() int { return h.new()().Size() }

// Prepare normalises a password for storage and comparison. RFC 5802 §2.2 says
// SASLprep as a stored string: characters newer than Unicode 3.2 and control
// characters are refused, since clients could not send them.
func Prepare(password string) (string, error) {
	if !utf8.ValidString(password) {
		return "", errors.New("sasl: password is not UTF-8")
	}
	p, err := stringprep.SASLprep.Prepare(password)
	if err != nil {
		// The library's error quotes the rune: nothing of a password is to be shown.
		return "", errors.New("sasl: the password has a character that not every client can send")
	}
	if p == "" {
		return "", errors.New("sasl: the password is empty")
	}
	return p, nil
}

// Derive makes the stored keys of a prepared password (RFC 5802 §3). The time
// is PBKDF2's, and grows with iterations.
func Derive(h Hash, prepared string, salt []byte, iterations int) (Keys, error) {
	salted, err := pbkdf2.Key(h.new(), prepared, salt, iterations, h.Size())
	if err != nil {
		return Keys{}, fmt.Errorf("sasl: derive keys: %w", err)
	}
	return FromSalted(h, salted, salt, iterations)
}

// FromSalted makes the stored keys from a SaltedPassword (RFC 5802 §3), which
// must be as long as the hash.
func FromSalted(h Hash, salted, salt []byte, iterations int) (Keys, error) {
	if len(salted) != h.Size() {
		return Keys{}, fmt.Errorf("sasl: a salted password of %d bytes for %s", len(salted), h)
	}
	return Keys{
		Salt: salt, Iterations: iterations,
		StoredKey: h.sum(h.mac(salted, "Client Key")), ServerKey: h.mac(salted, "Server Key"), Known: true,
	}, nil
}
