package attack

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
)

// scramFields reads "a=b,c=d".
func scramFields(msg string) map[string]string {
	m := map[string]string{}
	for p := range strings.SplitSeq(msg, ",") {
		if k, v, ok := strings.Cut(p, "="); ok {
			m[k] = v
		}
	}
	return m
}

// pbkdf keeps results: many people here have one salt.
var pbkdf sync.Map

// scramFinal is the client's last message (RFC 5802 §3) for whatever GS2 header
// stands in its first one.
func scramFinal(mech, first, challenge, pass string) (string, error) {
	h := sha256.New
	if mech == "SCRAM-SHA-1" {
		h = sha1.New
	}
	f := scramFields(challenge)
	rounds, err := strconv.Atoi(f["i"])
	if err != nil {
		return "", err
	}
	key, err := salted(h, pass, f["s"], rounds)
	if err != nil {
		return "", err
	}
	parts := strings.SplitN(first, ",", 3) // flag, authzid, the bare message
	gs2 := parts[0] + "," + parts[1] + ","
	without := "c=" + base64.StdEncoding.EncodeToString([]byte(gs2)) + ",r=" + f["r"]
	mac := func(key []byte, text string) []byte { m := hmac.New(h, key); m.Write([]byte(text)); return m.Sum(nil) }
	proof := mac(key, "Client Key")
	stored := h()
	stored.Write(proof)
	for i, b := range mac(stored.Sum(nil), parts[2]+","+challenge+","+without) {
		proof[i] ^= b
	}
	return without + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

func salted(h func() hash.Hash, pass, salt string, rounds int) ([]byte, error) {
	id := fmt.Sprint(h().Size(), rounds, salt, pass)
	if v, ok := pbkdf.Load(id); ok {
		return v.([]byte), nil
	}
	raw, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(h, pass, raw, rounds, h().Size())
	if err == nil {
		pbkdf.Store(id, key)
	}
	return key, err
}
