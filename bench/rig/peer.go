package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"text/template"
	"time"
)

//go:embed template
var templates embed.FS

// peerConfig is what the templates may use.
type peerConfig struct {
	Domain, Dir  string
	Port         int
	Archive, SQL bool
	Postgres     int // its port; 0: SQLite
}

// newPeer makes a folder with certificate and configuration of another server.
func newPeer(kind, file string, c peerConfig) (*Server, error) {
	dir, err := os.MkdirTemp("", "parlance-bench-")
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: kind, Dir: dir, Befriended: true}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		return nil, err
	}
	if c.Port, err = freePort(); err != nil {
		return nil, err
	}
	c.Domain, c.Dir, s.Addr = domain, dir, fmt.Sprintf("127.0.0.1:%d", c.Port)
	if err := certificate(dir); err != nil {
		return nil, err
	}
	return s, s.configure(file, c)
}

func (s *Server) configure(file string, c peerConfig) error {
	t, err := template.ParseFS(templates, "template/"+file)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, c); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.Dir, file), b.Bytes(), 0o600)
}

// certificate writes cert.pem, key.pem and both in one.
func certificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: domain}, DNSNames: []string{domain, "conference." + domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		return err
	}
	kb, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	c := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	k := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kb})
	for name, b := range map[string][]byte{"cert.pem": c, "key.pem": k, "both.pem": append(append([]byte(nil), c...), k...)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

const salt = "bench-salt-of-16"

// scramKeys are StoredKey and ServerKey of everybody (RFC 5802 §3): the same
// salt and password, so that thousands of accounts are made at once.
func scramKeys() (stored, server []byte, err error) {
	salted, err := pbkdf2.Key(sha1.New, password, []byte(salt), rounds, sha1.Size)
	if err != nil {
		return nil, nil, err
	}
	mac := func(msg string) []byte {
		m := hmac.New(sha1.New, salted)
		m.Write([]byte(msg))
		return m.Sum(nil)
	}
	k := sha1.Sum(mac("Client Key"))
	return k[:], mac("Server Key"), nil
}

// ring lists the contacts of person i.
func (p People) ring(i int) []int {
	var all []int
	for j := 1; j <= p.Contacts/2; j++ {
		all = append(all, (i+j)%p.N, (i-j+p.N)%p.N)
	}
	return all
}

// listens waits until the server takes connections.
func (s *Server) listens(ctx context.Context) error {
	return s.await(ctx, func() bool {
		c, err := net.DialTimeout("tcp", s.Addr, time.Second)
		return err == nil && c.Close() == nil
	})
}

// freePort asks the kernel for a port that is free now. The peers cannot be
// given a listening socket; should another process take it in between, the
// start fails, loudly.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
