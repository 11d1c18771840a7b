package sasl

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Names of the channel binding types (XEP-0440 announces them).
const (
	TLSExporter       = "tls-exporter"         // RFC 9266
	TLSServerEndPoint = "tls-server-end-point" // RFC 5929 §4
)

// Binding is what ties a login to its connection.
type Binding struct {
	TLS      bool
	Exporter []byte // tls-exporter; empty if the connection has none
	EndPoint []byte // tls-server-end-point; empty if the certificate has none
	// Certified are whom the client's certificate names, if it is valid.
	Certified []jid.JID
}

// Types lists the available channel binding types, best first.
func (b Binding) Types() []string {
	var out []string
	if b.TLS && len(b.Exporter) > 0 {
		out = append(out, TLSExporter)
	}
	if b.TLS && len(b.EndPoint) > 0 {
		out = append(out, TLSServerEndPoint)
	}
	return out
}

// data gives the bytes of one type; nil if it is not available.
func (b Binding) data(kind string) []byte {
	switch {
	case kind == TLSExporter && b.TLS && len(b.Exporter) > 0:
		return b.Exporter
	case kind == TLSServerEndPoint && b.TLS && len(b.EndPoint) > 0:
		return b.EndPoint
	}
	return nil
}

// Bind makes the Binding of a server's TLS connection after its handshake.
// cert is the certificate the server showed (crypto/tls does not tell); nil
// leaves tls-server-end-point out.
func Bind(state *tls.ConnectionState, cert *x509.Certificate) Binding {
	b := Binding{TLS: true}
	// RFC 9266 §4: 32 bytes, no context. For TLS 1.2 without extended master
	// secret crypto/tls refuses, as RFC 9266 §4.2 wants.
	if data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err == nil {
		b.Exporter = data
	}
	if cert != nil {
		b.EndPoint = certHash(cert)
	}
	return b
}

// certHash is tls-server-end-point: the certificate's hash by the hash function
// of its signature, but SHA-256 for MD5 and SHA-1 (RFC 5929 §4.1). It is
// undefined for signatures without one (Ed25519): nil.
func certHash(cert *x509.Certificate) []byte {
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256, x509.DSAWithSHA256:
		sum := sha256.Sum256(cert.Raw)
		return sum[:]
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		sum := sha512.Sum384(cert.Raw)
		return sum[:]
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		sum := sha512.Sum512(cert.Raw)
		return sum[:]
	}
	return nil
}
