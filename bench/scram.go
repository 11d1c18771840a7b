package bench

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
)

// scram is the client's side of RFC 5802, without channel binding.
type scram struct {
	hash     func() hash.Hash
	password string
	nonce    string
	bare     string // client-first-message-bare
	server   []byte // the signature the server must show
	keys     *keyCache
}

// keyCache keeps derived keys: whoever logs in again has them, as real clients do.
type keyCache struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (k *keyCache) salted(h func() hash.Hash, password, salt string, rounds int) ([]byte, error) {
	size := h().Size()
	id := fmt.Sprint(size, " ", rounds, " ", salt, " ", password)
	k.mu.Lock()
	key := k.keys[id]
	k.mu.Unlock()
	if key != nil {
		return key, nil
	}
	key, err := pbkdf2.Key(h, password, []byte(salt), rounds, size)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[string][]byte{}
	}
	k.keys[id] = key
	return key, nil
}

func newScram(mech, password string, keys *keyCache) *scram {
	s := &scram{hash: sha1.New, password: password, nonce: rand.Text(), keys: keys}
	if mech == "SCRAM-SHA-256" {
		s.hash = sha256.New
	}
	return s
}

// first is the client's first message (RFC 5802 §7).
func (s *scram) first(user string) string {
	s.bare = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user) + ",r=" + s.nonce
	return "n,," + s.bare
}

// final answers the server's first message.
func (s *scram) final(challenge string) (string, error) {
	f := attributes(challenge)
	rounds, err := strconv.Atoi(f["i"])
	if err != nil || rounds < 1 || rounds > 1_000_000 || !strings.HasPrefix(f["r"], s.nonce) {
		return "", fmt.Errorf("bench: SCRAM: the server says %q", challenge)
	}
	salt, err := base64.StdEncoding.DecodeString(f["s"])
	if err != nil {
		return "", fmt.Errorf("bench: SCRAM: salt: %w", err)
	}
	salted, err := s.keys.salted(s.hash, s.password, string(salt), rounds)
	if err != nil {
		return "", err
	}
	// RFC 5802 §3: ClientKey, StoredKey, AuthMessage, ClientProof, ServerSignature.
	key := s.mac(salted, "Client Key")
	h := s.hash()
	h.Write(key)
	without := "c=biws,r=" + f["r"]
	auth := s.bare + "," + challenge + "," + without
	sig := s.mac(h.Sum(nil), auth)
	for i := range key {
		key[i] ^= sig[i]
	}
	s.server = s.mac(s.mac(salted, "Server Key"), auth)
	return without + ",p=" + base64.StdEncoding.EncodeToString(key), nil
}

// verify checks that the server knows the password too.
func (s *scram) verify(last string) error {
	got, err := base64.StdEncoding.DecodeString(attributes(last)["v"])
	if err != nil || !hmac.Equal(got, s.server) {
		return errors.New("bench: SCRAM: the server's signature is wrong")
	}
	return nil
}

func (s *scram) mac(key []byte, msg string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(msg))
	return m.Sum(nil)
}

func attributes(msg string) map[string]string {
	m := map[string]string{}
	for p := range strings.SplitSeq(msg, ",") {
		if k, v, ok := strings.Cut(p, "="); ok {
			m[k] = v
		}
	}
	return m
}
