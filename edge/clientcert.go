package edge

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Authorities are those whose certificates people may log in with (XEP-0178 §2).
type Authorities struct {
	roots *x509.CertPool
	certs []*x509.Certificate
	list  string // file of revoked ones; "" if there is none

	mu      sync.Mutex
	at      time.Time              // mu: of the file, as read
	revoked []*x509.RevocationList // mu
}

// NewAuthorities reads the authorities from PEM, and the list of what they have
// revoked (PEM or DER) from a file, again whenever that changes.
func NewAuthorities(rootsPEM []byte, list string) (*Authorities, error) {
	a := &Authorities{roots: x509.NewCertPool(), list: list}
	for block, rest := pem.Decode(rootsPEM); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("edge: authorities: %w", err)
		}
		if !c.IsCA {
			return nil, fmt.Errorf("edge: authorities: %q is no authority's certificate", c.Subject)
		}
		a.roots.AddCert(c)
		a.certs = append(a.certs, c)
	}
	if len(a.certs) == 0 {
		return nil, errors.New("edge: authorities: no certificate in PEM")
	}
	if list != "" {
		if err := a.reread(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Ask makes a server's TLS configuration ask for a certificate. Whoever has none,
// or another one, comes in all the same: there are other ways to log in.
func (a *Authorities) Ask(conf *tls.Config) {
	conf.ClientAuth, conf.ClientCAs = tls.RequestClientCert, a.roots
}

// Addresses are whom the certificate of a connection names, if it is one of
// ours, valid now, meant for clients, and not revoked; the first is the client's own,
// those behind it lead to an authority.
func (a *Authorities) Addresses(chain []*x509.Certificate, now time.Time) ([]jid.JID, error) {
	if len(chain) == 0 {
		return nil, nil
	}
	leaf := *chain[0]
	if leaf.IsCA {
		return nil, errors.New("edge: client certificate: it is an authority's")
	}
	// crypto/x509 does not know otherName, and says so where nothing else is in a
	// critical subjectAltName: it is read below.
	var critical []asn1.ObjectIdentifier
	for _, id := range leaf.UnhandledCriticalExtensions {
		if !id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			critical = append(critical, id)
		}
	}
	leaf.UnhandledCriticalExtensions = critical
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: a.roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return nil, fmt.Errorf("edge: client certificate: %w", err)
	}
	if len(leaf.ExtKeyUsage) == 0 && len(leaf.UnknownExtKeyUsage) == 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, errors.New("edge: client certificate: it is not meant for logins")
	}
	if err := a.standing(chains, now); err != nil {
		return nil, err
	}
	return sasl.Addresses(chain[0])
}

// standing is nil if one of the chains has nothing in it that was revoked.
func (a *Authorities) standing(chains [][]*x509.Certificate, now time.Time) error {
	if a.list == "" {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.reread(); err != nil {
		return err // fails closed: nobody knows what was revoked
	}
	for _, chain := range chains {
		if a.clean(chain, now) {
			return nil
		}
	}
	return errors.New("edge: client certificate: it was revoked, or the list of revoked ones is out of date")
}

func (a *Authorities) clean(chain []*x509.Certificate, now time.Time) bool {
	for i, c := range chain[:len(chain)-1] {
		for _, l := range a.revoked {
			if !bytes.Equal(l.RawIssuer, c.RawIssuer) || l.CheckSignatureFrom(chain[i+1]) != nil {
				continue
			}
			if !l.NextUpdate.IsZero() && now.After(l.NextUpdate) {
				return false
			}
			for _, r := range l.RevokedCertificateEntries {
				if r.SerialNumber.Cmp(c.SerialNumber) == 0 {
					return false
				}
			}
		}
	}
	return true
}

// reread reads the list if the file is another one; mu is held, or nobody else is there.
func (a *Authorities) reread() error {
	st, err := os.Stat(a.list)
	if err != nil {
		return fmt.Errorf("edge: revoked certificates: %w", err)
	}
	if st.ModTime().Equal(a.at) {
		return nil
	}
	b, err := os.ReadFile(a.list)
	if err != nil {
		return fmt.Errorf("edge: revoked certificates: %w", err)
	}
	var lists []*x509.RevocationList
	ders := [][]byte{b}
	if block, rest := pem.Decode(b); block != nil {
		ders = nil
		for ; block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "X509 CRL" {
				ders = append(ders, block.Bytes)
			}
		}
	}
	for _, der := range ders {
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			return fmt.Errorf("edge: revoked certificates: %w", err)
		}
		lists = append(lists, l)
	}
	a.revoked, a.at = lists, st.ModTime()
	return nil
}
