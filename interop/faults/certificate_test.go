package faults

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// issue writes a certificate and its key over those of the server, and gives the certificate.
func issue(t *testing.T, dir string, serial int64, name string, from, to time.Time) []byte {
	t.Helper()
	key, err1 := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	tpl := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: from, NotAfter: to, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err2 := x509.CreateCertificate(crand.Reader, tpl, tpl, &key.PublicKey, key)
	kb, err3 := x509.MarshalPKCS8PrivateKey(key)
	err := errors.Join(err1, err2, err3,
		os.WriteFile(filepath.Join(dir, "tls-cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(dir, "tls-key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kb}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// served is the certificate a new connection gets.
func served(t *testing.T, s *server.Server) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := (&tls.Dialer{Config: client.TLSConfig(server.Domain, "xmpp-client")}).DialContext(ctx, "tcp", s.C2STLS)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
}

// HARDENING F27: certificates are swapped under load and no session is dropped; an
// expired one, one for another name and one whose key does not fit are refused, and the old one stays.
func TestCertificate_swappedUnderLoad(t *testing.T) {
	swaps := scaled(10, 200)
	r := note(t, "F27", fmt.Sprintf("%d certificates swapped by SIGHUP under load; between them expired ones, for another name, with another's key, cut off", swaps))
	rng := rand.New(rand.NewPCG(lot(t), 11))
	dir := t.TempDir()
	now := time.Now()
	good := issue(t, dir, 1, server.Domain, now.Add(-time.Hour), now.Add(90*24*time.Hour))
	s, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Dir: dir,
		Config: fmt.Sprintf("[tls]\ncert = %q\nkey = %q", filepath.Join(dir, "tls-cert.pem"), filepath.Join(dir, "tls-key.pem"))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Finish(t) })
	l := newLoad(s, rng, 5*time.Millisecond)
	before := l.views(t, s)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	l.start(ctx)
	answers := func() int {
		return strings.Count(s.Output(), "msg=reloaded") + strings.Count(s.Output(), "reload refused")
	}
	refused := 0
	for i := range swaps {
		next := good
		from, to, name := now.Add(-time.Hour), now.Add(time.Duration(60+i)*24*time.Hour), server.Domain
		bad := i%2 == 1
		switch kind := i / 2 % 4; {
		case !bad:
			next = issue(t, dir, int64(i+2), name, from, to)
		case kind == 0:
			issue(t, dir, int64(i+2), name, from.AddDate(-1, 0, 0), now.Add(-time.Minute))
		case kind == 1:
			issue(t, dir, int64(i+2), "other.test", from, to)
		case kind == 2:
			old, err := os.ReadFile(filepath.Join(dir, "tls-key.pem"))
			issue(t, dir, int64(i+2), name, from, to)
			if err = errors.Join(err, os.WriteFile(filepath.Join(dir, "tls-key.pem"), old, 0o600)); err != nil {
				t.Fatal(err)
			}
		default:
			if err := os.Truncate(filepath.Join(dir, "tls-cert.pem"), 100); err != nil {
				t.Fatal(err)
			}
		}
		had := answers()
		if err := syscall.Kill(s.Pid, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(patience); answers() == had; {
			if !wait(ctx, 5*time.Millisecond) || time.Now().After(end) {
				t.Fatalf("swap %d: no answer to SIGHUP", i)
			}
		}
		if bad {
			refused++
		}
		if !bytes.Equal(served(t, s), next) {
			t.Fatalf("swap %d (bad: %v): another certificate is served than the last good one", i, bad)
		}
		good = next
	}
	l.finish(t, ctx)
	resumed, fresh := l.sessions()
	r.count(t, "%d bad ones refused; %d sessions dropped", refused, int(resumed+fresh)-len(l.people))
	if int(resumed+fresh) != len(l.people) {
		t.Error("sessions were dropped")
	}
	l.judge(t, r, l.history(t, s, before))
}
