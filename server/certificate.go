package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Names of the files of a self-made certificate in the data folder.
const (
	authorityFile = "ca.pem"
	certFile      = "cert.pem"
	keyFile       = "key.pem"
)

// certificate loads the configured certificate, or the one made by ourselves,
// which it makes first if it is not there.
func certificate(c *Config, now time.Time) (tls.Certificate, error) {
	cert, key := c.TLS.Cert, c.TLS.Key
	if c.SelfMade() {
		cert, key = filepath.Join(c.Data, certFile), filepath.Join(c.Data, keyFile)
		if _, err := os.Stat(cert); errors.Is(err, fs.ErrNotExist) {
			if err := os.MkdirAll(c.Data, 0o700); err != nil {
				return tls.Certificate{}, fmt.Errorf("server: certificate: %w", err)
			}
			if err := makeCertificate(c.Data, c.Domain, now); err != nil {
				return tls.Certificate{}, fmt.Errorf("server: certificate: %w", err)
			}
		}
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err == nil {
		err = usable(c, pair)
	}
	switch {
	case err != nil && c.SelfMade():
		return pair, fmt.Errorf("server: certificate: %s with %s: %w (move both away to have new ones made)", cert, key, err)
	case err != nil:
		return pair, fmt.Errorf("server: certificate: %s with %s: %w", cert, key, err)
	}
	return pair, nil
}

// usable refuses a self-made certificate that is not as it was made (HARDENING F23).
// Whether a configured one is expired is for reload to refuse and for doctor to tell: a server that is
// restarted with the certificate it had comes up.
func usable(c *Config, pair tls.Certificate) error {
	if !c.SelfMade() {
		return nil
	}
	if len(pair.Certificate) < 2 {
		return errors.New("its chain is not there")
	}
	ca, err := x509.ParseCertificate(pair.Certificate[1])
	if err != nil {
		return err
	}
	return pair.Leaf.CheckSignatureFrom(ca)
}

// makeCertificate makes an authority and a certificate of it for the domain.
// The authority's key is not kept: it signs this one certificate and is gone.
func makeCertificate(dir, domain string, now time.Time) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := template("Parlance authority of "+domain, now)
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	ca.BasicConstraintsValid = true
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := template(domain, now)
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.DNSNames = []string{domain, "localhost"}
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	block := func(typ string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: b}) }
	// The certificate comes last: if it is there, so are the others.
	return errors.Join(
		keep(dir, authorityFile, block("CERTIFICATE", caDER)),
		keep(dir, keyFile, block("PRIVATE KEY", keyDER)),
		keep(dir, certFile, append(block("CERTIFICATE", der), block("CERTIFICATE", caDER)...)))
}

// keep writes a file whole or not at all, also if the power goes (HARDENING F2):
// an empty certificate would stop every later start.
func keep(dir, name string, b []byte) error {
	f, err := os.CreateTemp(dir, "."+name+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func template(name string, now time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails (crypto/rand)
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		// Browsers and clients refuse server certificates of more than 825 days.
		NotAfter: now.AddDate(2, 0, 0),
	}
}
