package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"
)

// Keys holds the server's certificates, which can be changed while it runs:
// connections that are open keep what they have.
type Keys struct {
	mu      sync.RWMutex
	cert    *tls.Certificate            // mu; of the first host, and of whoever names none of ours
	others  map[string]*tls.Certificate // mu; by host; replaced, never changed in place
	swapped bool                        // mu: which one a session was shown can't be told from now on
}

// NewKeys starts with a certificate.
func NewKeys(cert tls.Certificate) (*Keys, error) {
	k := &Keys{}
	return k, k.Set(cert)
}

// Set changes the certificate of the handshakes to come.
func (k *Keys) Set(cert tls.Certificate) error {
	if err := whole(&cert); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.swapped = k.cert != nil
	k.cert = &cert
	return nil
}

// SetHost gives a host beside the first one a certificate of its own; nil takes it away.
func (k *Keys) SetHost(name string, cert *tls.Certificate) error {
	if cert != nil {
		c := *cert
		if err := whole(&c); err != nil {
			return err
		}
		cert = &c
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	next := maps.Clone(k.others)
	if next == nil {
		next = map[string]*tls.Certificate{}
	}
	if cert == nil {
		delete(next, name)
	} else {
		next[name] = cert
	}
	k.others, k.swapped = next, true
	return nil
}

func whole(cert *tls.Certificate) error {
	if len(cert.Certificate) == 0 || cert.PrivateKey == nil {
		return errors.New("edge: certificate or private key is missing")
	}
	if cert.Leaf != nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	cert.Leaf = leaf
	return err
}

// Leaf is the certificate of new handshakes.
func (k *Keys) Leaf() *x509.Certificate {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.cert.Leaf
}

func (k *Keys) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	c := Base(hello.Conn)
	name := hello.ServerName
	if name == "" && c != nil {
		name = c.wants // RFC 6120 §13.7.1.2: the stream has named its host before STARTTLS
	}
	cert := k.of(strings.ToLower(name))
	if c != nil {
		c.served = cert.Leaf
	}
	return cert, nil
}

// of is a host's certificate, or the one that names what was asked for; mu is held.
func (k *Keys) of(name string) *tls.Certificate {
	if len(k.others) == 0 {
		return k.cert
	}
	if own := k.others[name]; own != nil {
		return own
	}
	if name == "" || k.cert.Leaf.VerifyHostname(name) == nil {
		return k.cert
	}
	for _, c := range k.others { // a service below a host
		if c.Leaf.VerifyHostname(name) == nil {
			return c
		}
	}
	return k.cert
}

// HostLeaf is a host's own certificate; nil if it has none.
func (k *Keys) HostLeaf(name string) *x509.Certificate {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if c := k.others[name]; c != nil {
		return c.Leaf
	}
	return nil
}

// Shown is the certificate a connection was shown, for channel binding
// (RFC 5929 §4); nil if that is not known. A resumed TLS session shows none: it
// is that of the first one, which is ours as long as there was no other.
func (k *Keys) Shown(c *Conn) *x509.Certificate {
	if c != nil && c.served != nil {
		return c.served
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.swapped {
		return nil
	}
	return k.cert.Leaf
}

// Wants says which host a connection is for whose TLS handshake may name none.
func (c *Conn) Wants(host string) { c.wants = host }

// Config is a server's TLS configuration: TLS 1.2 is the floor (RFC 7590 §3.1 and
// RFC 8996), crypto/tls knows no compression, renegotiation by the client or early data
// (HARDENING X12, X13). protos are offered by ALPN, best first.
func (k *Keys) Config(minVersion uint16, protos ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     max(minVersion, tls.VersionTLS12),
		GetCertificate: k.get,
		NextProtos:     protos,
	}
}

// Handshake makes the server's side of a TLS handshake within d. It leaves c
// open if it fails.
//
// Until a whole ClientHello has come there is nothing but the socket, then the
// connection waits for its turn, if it has a pass: at most until 2d after it came.
func Handshake(ctx context.Context, c *Conn, p *Pass, conf *tls.Config, d time.Duration) (*tls.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for _, step := range []func() error{
		func() error { return c.awaitHello() },
		func() error { return p.Turn(ctx, c, c.since.Add(2*d)) },
	} {
		if err := errors.Join(c.SetDeadline(time.Now().Add(d)), ctx.Err()); err != nil {
			return nil, err
		}
		if err := step(); err != nil {
			return nil, err
		}
	}
	t := tls.Server(c, conf)
	if err := errors.Join(c.SetDeadline(time.Now().Add(d)), ctx.Err()); err != nil {
		return nil, err
	}
	// Not HandshakeContext, which starts a goroutine to look after ctx.
	if err := t.Handshake(); err != nil {
		return nil, err
	}
	if !stop() {
		return nil, ctx.Err()
	}
	Slim(t)
	return t, c.SetDeadline(time.Time{})
}
