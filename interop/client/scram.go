package client

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
)

// scram is the client side of RFC 5802 with SHA-1, SHA-256 (RFC 7677) or SHA-512.
type scram struct {
	hash        func() hash.Hash
	gs2         string // "n,," or "p=tls-exporter,,"
	binding     []byte
	user, pass  string
	nonce, bare string
	server      []byte // expected server signature
}

func newScram(mech, user, pass, gs2 string, binding []byte) (*scram, error) {
	s := &scram{gs2: gs2, binding: binding, user: user, pass: pass, nonce: Token()}
	switch {
	case strings.HasPrefix(mech, "SCRAM-SHA-512"):
		s.hash = sha512.New
	case strings.HasPrefix(mech, "SCRAM-SHA-256"):
		s.hash = sha256.New
	case strings.HasPrefix(mech, "SCRAM-SHA-1"):
		s.hash = sha1.New
	default:
		return nil, fmt.Errorf("client: mechanism %s unknown", mech)
	}
	return s, nil
}

func (s *scram) first() string {
	u := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s.user)
	s.bare = "n=" + u + ",r=" + s.nonce
	return s.gs2 + s.bare
}

// salted keeps PBKDF2 results: load tests log thousands of people in with a
// handful of (salt, password) pairs.
var salted sync.Map

func (s *scram) final(challenge string) (string, error) {
	f := fields(challenge)
	if !strings.HasPrefix(f["r"], s.nonce) || len(f["r"]) == len(s.nonce) {
		return "", errors.New("client: scram: server nonce does not extend ours")
	}
	iter, err := strconv.Atoi(f["i"])
	if err != nil || iter < 1 || iter > 1_000_000 {
		return "", fmt.Errorf("client: scram: bad iteration count %q", f["i"])
	}
	salt, err := base64.StdEncoding.DecodeString(f["s"])
	if err != nil {
		return "", fmt.Errorf("client: scram: salt: %w", err)
	}
	h := s.hash()
	key := fmt.Sprint(h.Size(), iter, f["s"], s.pass)
	var sp []byte
	if v, ok := salted.Load(key); ok {
		sp = v.([]byte)
	} else {
		if sp, err = pbkdf2.Key(s.hash, s.pass, salt, iter, h.Size()); err != nil {
			return "", err
		}
		salted.Store(key, sp)
	}
	ck := s.mac(sp, "Client Key")
	h.Write(ck)
	stored := h.Sum(nil)
	cb := base64.StdEncoding.EncodeToString(append([]byte(s.gs2), s.binding...))
	without := "c=" + cb + ",r=" + f["r"]
	auth := s.bare + "," + challenge + "," + without
	sig := s.mac(stored, auth)
	for i := range ck {
		ck[i] ^= sig[i]
	}
	s.server = s.mac(s.mac(sp, "Server Key"), auth)
	return without + ",p=" + base64.StdEncoding.EncodeToString(ck), nil
}

// verify checks the server's proof that it knows the password too.
func (s *scram) verify(final string) error {
	got, err := base64.StdEncoding.DecodeString(fields(final)["v"])
	if err != nil || !hmac.Equal(got, s.server) {
		return errors.New("client: scram: the server's signature is wrong")
	}
	return nil
}

func (s *scram) mac(key []byte, msg string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(msg))
	return m.Sum(nil)
}

func fields(msg string) map[string]string {
	m := map[string]string{}
	for _, p := range strings.Split(msg, ",") {
		if k, v, ok := strings.Cut(p, "="); ok {
			m[k] = v
		}
	}
	return m
}

// Token is a fresh random name (128 bits).
func Token() string { return rand.Text() }
