package server

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
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// serve is what `parlance serve` is configured with.
type serve struct {
	dsn, config string
	crowd       int
}

func (v serve) wanted() bool { return v != serve{} }

// Data is the server's data folder.
func (s *Server) Data() string { return filepath.Join(s.Dir, "data") }

// Name is the i-th of the crowd.
func Name(i int) string { return fmt.Sprintf("person%05d", i) }

// configure writes the configuration; a restart writes the ports it has now.
func (s *Server) configure(https, c2s, c2sTLS string) (file string, err error) {
	file = filepath.Join(s.Dir, "parlance.toml")
	text := fmt.Sprintf("domain = %q\ndata = %q\n[storage]\ndsn = %q\n[listen]\nc2s = [%q]\nc2s_tls = [%q]\nhttps = [%q]\n%s\n",
		Domain, s.Data(), s.serve.dsn, c2s, c2sTLS, https, s.serve.config)
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// populate adds the people, with keys that are ready made, before the first start.
func (s *Server) populate(bin, config string) error {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	k1, err1 := saltedKey(sha1.New, salt)
	k256, err2 := saltedKey(sha256.New, salt)
	var csv strings.Builder
	csv.WriteString("user,scram_sha1,scram_sha256\n")
	for _, who := range People {
		fmt.Fprintf(&csv, "%s,%s,%s\n", who, k1, k256)
	}
	for i := range s.serve.crowd {
		fmt.Fprintf(&csv, "%s,%s,%s\n", Name(i), k1, k256)
	}
	file := filepath.Join(s.Dir, "people.csv")
	if err := errors.Join(err1, err2, os.WriteFile(file, []byte(csv.String()), 0o600)); err != nil {
		return err
	}
	if out, err := exec.Command(bin, "user", "import", file, "--config", config).CombinedOutput(); err != nil {
		return fmt.Errorf("server: people: %w\n%s", err, out)
	}
	return nil
}

// saltedKey is a SCRAM secret of Password (RFC 5802 §3) as `parlance user import` reads it.
func saltedKey(h func() hash.Hash, salt []byte) (string, error) {
	const rounds = 10000
	sp, err := pbkdf2.Key(h, Password, salt, rounds, h().Size())
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte { m := hmac.New(h, sp); m.Write([]byte(text)); return m.Sum(nil) }
	stored := h()
	stored.Write(mac("Client Key"))
	b := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%d:%s:%s:%s", rounds, b(salt), b(stored.Sum(nil)), b(mac("Server Key"))), nil
}
