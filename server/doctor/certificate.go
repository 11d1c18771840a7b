package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// soon is how long before its end a certificate is complained about: long
// enough for a person to renew it by hand.
const soon = 21 * 24 * time.Hour

func (e *exam) certificate() {
	c := e.cfg
	certFile, keyFile := c.TLS.Cert, c.TLS.Key
	if c.SelfMade() {
		ca := filepath.Join(c.Data, "ca.pem")
		e.add("certificate", Warn, "set tls.cert and tls.key to a certificate for "+c.Domain+", or give "+ca+" to your people's devices",
			"none is configured: the server makes its own, which nobody trusts yet")
		certFile, keyFile = filepath.Join(c.Data, "cert.pem"), filepath.Join(c.Data, "key.pem")
		if _, err := os.Stat(certFile); errors.Is(err, os.ErrNotExist) {
			return
		}
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		e.add("certificate", Bad, "tls.cert must hold the certificate and then its chain, tls.key the private key that belongs to it, both as PEM", "%v", err)
		return
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		e.add("certificate", Bad, "get a new certificate", "%s: %v", certFile, err)
		return
	}
	e.names(leaf)
	e.dates(leaf)
	if !c.SelfMade() {
		e.chain(leaf, pair.Certificate[1:])
	}
	if st, err := os.Stat(keyFile); err == nil && st.Mode().Perm()&0o007 != 0 {
		e.add("certificate", Bad, "chmod 600 "+keyFile, "every user of this machine can read the private key (mode %04o)", st.Mode().Perm())
	}
}

// names checks that the certificate is for the domain: clients verify the
// domain of the address, not the host they connect to (RFC 6120 §13.7.2.1).
func (e *exam) names(leaf *x509.Certificate) {
	if err := leaf.VerifyHostname(e.cfg.Domain); err != nil {
		has := strings.Join(leaf.DNSNames, ", ")
		if has == "" {
			has = "no DNS name at all (a common name alone does not count)"
		}
		e.add("certificate", Bad, "get one with the DNS name "+e.cfg.Domain+": clients compare it with the address, not with the host they connect to",
			"it is for %s, not for %s", has, e.cfg.Domain)
		return
	}
	e.add("certificate", Good, "", "it names %s", e.cfg.Domain)
}

func (e *exam) dates(leaf *x509.Certificate) {
	now, day := e.Now(), "2 January 2006"
	switch left := leaf.NotAfter.Sub(now); {
	case now.Before(leaf.NotBefore):
		e.add("certificate", Bad, "wait, or set this machine's clock", "it is valid from %s only", leaf.NotBefore.Format(day))
	case left <= 0:
		e.add("certificate", Bad, "renew it; SIGHUP loads the new one without a restart", "it ended on %s", leaf.NotAfter.Format(day))
	case left < soon:
		e.add("certificate", Warn, "renew it; SIGHUP loads the new one without a restart", "it ends on %s, in %d days", leaf.NotAfter.Format(day), int(left.Hours()/24))
	default:
		e.add("certificate", Good, "", "it is valid until %s", leaf.NotAfter.Format(day))
	}
}

func (e *exam) chain(leaf *x509.Certificate, rest [][]byte) {
	pool := x509.NewCertPool()
	for _, der := range rest {
		if c, err := x509.ParseCertificate(der); err == nil {
			pool.AddCert(c)
		}
	}
	// Its end is another line of the table.
	at := e.Now()
	if at.After(leaf.NotAfter) {
		at = leaf.NotAfter
	}
	_, err := leaf.Verify(x509.VerifyOptions{Intermediates: pool, CurrentTime: at})
	if err == nil {
		e.add("certificate", Good, "", "its chain ends at an authority that this machine trusts")
		return
	}
	e.add("certificate", Warn, "put the intermediate certificates behind it in tls.cert; if it is of your own authority, your people's devices must trust that",
		"its chain does not end at an authority that this machine trusts: %v", err)
}
