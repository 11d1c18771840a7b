package sasl

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"
)

func certificate(t *testing.T, key crypto.Signer, alg x509.SignatureAlgorithm) tls.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "acme.test"}, DNSNames: []string{"acme.test"},
		NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: alg,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestBind_bothEndsSeeTheSame(t *testing.T) {
	cert := certificate(t, ecKey(t), x509.ECDSAWithSHA256)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	srv := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
	cli := tls.Client(b, &tls.Config{InsecureSkipVerify: true}) // the test has the certificate itself
	errs := make(chan error, 1)
	go func() { errs <- srv.HandshakeContext(t.Context()) }()
	if err := cli.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The server's handshake ends with the client's Finished, which is read here.
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	ss, cs := srv.ConnectionState(), cli.ConnectionState()
	got := Bind(&ss, cert.Leaf)
	want, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32) // RFC 9266 §4
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Exporter, want) || len(want) != 32 {
		t.Errorf("tls-exporter %x, the client has %x", got.Exporter, want)
	}
	sum := sha256.Sum256(cs.PeerCertificates[0].Raw)
	if !bytes.Equal(got.EndPoint, sum[:]) {
		t.Errorf("tls-server-end-point %x, the client has %x", got.EndPoint, sum)
	}
	if !slices.Equal(got.Types(), []string{TLSExporter, TLSServerEndPoint}) {
		t.Errorf("types %v", got.Types())
	}
	if Bind(&ss, nil).EndPoint != nil {
		t.Error("tls-server-end-point without a certificate")
	}
}

func TestCertHash_followsTheSignature(t *testing.T) {
	// RFC 5929 §4.1.
	ec := ecKey(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key  crypto.Signer
		alg  x509.SignatureAlgorithm
		want func([]byte) []byte
	}{
		{ec, x509.ECDSAWithSHA256, func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }},
		{ec, x509.ECDSAWithSHA384, func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }},
		{ec, x509.ECDSAWithSHA512, func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }},
		{ed, x509.PureEd25519, func([]byte) []byte { return nil }},
	} {
		leaf := certificate(t, c.key, c.alg).Leaf
		if got, want := certHash(leaf), c.want(leaf.Raw); !bytes.Equal(got, want) {
			t.Errorf("%v: %x, want %x", c.alg, got, want)
		}
	}
	if got := certHash(&x509.Certificate{SignatureAlgorithm: x509.SHA1WithRSA, Raw: []byte("x")}); len(got) != 32 {
		t.Errorf("SHA-1 signature: %d bytes, want SHA-256's 32", len(got))
	}
}
