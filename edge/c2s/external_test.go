package c2s_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/interop/client"
)

// authority signs certificates for the tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  crypto.Signer
	from []*authority // above it
	next int64
}

func newAuthority(t *testing.T, name string, above *authority, change func(*x509.Certificate)) *authority {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	if change != nil {
		change(tmpl)
	}
	a := &authority{t: t, key: key}
	parent, signer := tmpl, crypto.Signer(key)
	if above != nil {
		parent, signer, a.from = above.cert, above.key, append([]*authority{above}, above.from...)
	}
	a.cert = parsed(t, tmpl, parent, key, signer)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func parsed(t *testing.T, tmpl, parent *x509.Certificate, key, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// leaf makes a client's certificate: san are the names in its subjectAltName.
func (a *authority) leaf(san []asn1.RawValue, change ...func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	a.next++
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(a.next), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, Subject: pkix.Name{CommonName: "Somebody"}}
	if san != nil {
		tmpl.ExtraExtensions = []pkix.Extension{sanExt(a.t, san, false)}
	}
	for _, f := range change {
		f(tmpl)
	}
	key := newKey(a.t)
	c := parsed(a.t, tmpl, a.cert, key, a.key)
	out := tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
	if len(a.from) > 0 { // it is no root: the client sends it along
		out.Certificate = append(out.Certificate, a.cert.Raw)
	}
	return out
}

func sanExt(t *testing.T, names []asn1.RawValue, critical bool) pkix.Extension {
	t.Helper()
	b, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: critical, Value: b}
}

// other is an otherName whose value stands in it as given.
func other(oid asn1.ObjectIdentifier, value []byte) asn1.RawValue {
	id, _ := asn1.Marshal(oid)
	wrapped, _ := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: value})
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(id, wrapped...)}
}

var (
	xmppAddrID = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}
	upnID      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
)

func utf8String(s string) []byte { return append([]byte{asn1.TagUTF8String, byte(len(s))}, s...) }

func addr(s string) asn1.RawValue { return other(xmppAddrID, utf8String(s)) }

func addrs(names ...string) (out []asn1.RawValue) {
	for _, n := range names {
		out = append(out, addr(n))
	}
	return out
}

func plainName(tag int, s string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(s)}
}

func named(cn string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: cn} }
}

func usage(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = u }
}

func lives(from, to time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
}

// external is a server with authorities: one trusted, one beneath it, one strange.
type external struct {
	*bench
	root, between, strange *authority
	crl                    string
}

func startExternal(t *testing.T) *external {
	t.Helper()
	x := &external{root: newAuthority(t, "Root", nil, nil), strange: newAuthority(t, "Root", nil, nil)}
	x.between = newAuthority(t, "Between", x.root, nil)
	x.crl = filepath.Join(t.TempDir(), "crl.pem")
	x.revoke(t, time.Now())
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.root.cert.Raw})
	a, err := edge.NewAuthorities(roots, x.crl)
	if err != nil {
		t.Fatal(err)
	}
	x.bench = start2(t, func(c *c2s.Config) {
		c.Authorities = a
		c.TLS = c.Keys.Config(0, "xmpp-client")
		a.Ask(c.TLS)
	})
	return x
}

// revoke writes the list of what the root has revoked.
func (x *external) revoke(t *testing.T, mod time.Time, certs ...tls.Certificate) {
	t.Helper()
	tmpl := &x509.RevocationList{Number: big.NewInt(mod.UnixNano()), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, c := range certs {
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.Leaf.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, tmpl, x.root.cert, x.root.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(x.crl, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(x.crl, mod, mod); err != nil {
		t.Fatal(err)
	}
}

// connect opens a stream over TLS with a certificate.
func (x *external) connect(t *testing.T, cert *tls.Certificate) *client.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", x.direct)
	if err != nil {
		t.Fatal(err)
	}
	conf := client.TLSConfig(edgetest.Domain, "xmpp-client")
	if cert != nil {
		// Whatever the server says it accepts.
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	c := client.Over(tls.Client(conn, conf), edgetest.Domain, patience)
	t.Cleanup(func() { c.Close() })
	if err := c.OpenStream(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestA13_certificates tries 60 and more of them: only an xmppAddr of a certificate
// that is in order makes anybody anybody (HARDENING A13, XEP-0178 §2).
func TestA13_certificates(t *testing.T) {
	x := startExternal(t)
	const me, off = "alice@acme.test", "not offered"
	dns, mail, uri := plainName(2, "acme.test"), plainName(1, me), plainName(6, "xmpp:"+me)
	good := addrs(me)
	noClient := newAuthority(t, "For servers", x.root, usage(x509.ExtKeyUsageServerAuth))
	old := newAuthority(t, "Old", x.root, lives(-3*time.Hour, -2*time.Hour))
	noCA := newAuthority(t, "No authority", x.root, func(c *x509.Certificate) { c.IsCA = false })
	stranger := newAuthority(t, "Between", x.strange, nil)
	critical := func(c *x509.Certificate) {
		c.Subject = pkix.Name{}
		c.ExtraExtensions = []pkix.Extension{sanExt(t, good, true)}
	}
	revoked := x.root.leaf(good)
	x.revoke(t, time.Now().Add(time.Second), revoked)
	rows := []struct {
		name    string
		cert    *tls.Certificate
		authzid string
		want    string
	}{
		{"none", nil, "", off},
		{"one name", ptr(x.root.leaf(good)), "", me},
		{"one name, said", ptr(x.root.leaf(good)), me, me},
		{"one name, said in capitals", ptr(x.root.leaf(good)), "Alice@ACME.test", me},
		{"capitals in the certificate", ptr(x.root.leaf(addrs("Alice@ACME.TEST"))), "", me},
		{"wide letters in the certificate", ptr(x.root.leaf(addrs("ａlice@acme.test"))), "", me},
		{"by an authority between", ptr(x.between.leaf(good)), "", me},
		{"critical name, empty subject", ptr(x.root.leaf(nil, critical)), "", me},
		{"with other kinds of names", ptr(x.root.leaf([]asn1.RawValue{dns, mail, addr(me), uri})), "", me},
		{"any extended usage", ptr(x.root.leaf(good, usage(x509.ExtKeyUsageAny))), "", me},
		{"client and server", ptr(x.root.leaf(good, usage(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth))), "", me},
		{"no extended usage, but signing", ptr(x.root.leaf(good, usage())), "", me},
		{"the same name twice", ptr(x.root.leaf(addrs(me, "ALICE@acme.test"))), "", me},
		{"mine and one elsewhere", ptr(x.root.leaf(addrs("alice@other.test", me))), "", me},
		{"two of ours, none said", ptr(x.root.leaf(addrs(me, "bob@acme.test"))), "", "(invalid-authzid)"},
		{"two of ours, the second said", ptr(x.root.leaf(addrs(me, "bob@acme.test"))), "bob@acme.test", "bob@acme.test"},
		{"two of ours, a third said", ptr(x.root.leaf(addrs(me, "bob@acme.test"))), "carol@acme.test", "(invalid-authzid)"},
		{"another person said", ptr(x.root.leaf(good)), "bob@acme.test", "(invalid-authzid)"},
		{"a resource said", ptr(x.root.leaf(good)), me + "/phone", "(invalid-authzid)"},
		{"a user name said", ptr(x.root.leaf(good)), "alice", "(invalid-authzid)"},
		{"the domain said", ptr(x.root.leaf(good)), "acme.test", "(invalid-authzid)"},
		{"another domain said", ptr(x.root.leaf(addrs(me, "alice@other.test"))), "alice@other.test", "(invalid-authzid)"},
		{"no such account", ptr(x.root.leaf(addrs("nobody@acme.test"))), "", "(not-authorized)"},
		{"disabled account", ptr(x.root.leaf(addrs("dave@acme.test"))), "", "(account-disabled)"},
		{"Cyrillic a", ptr(x.root.leaf(addrs("аlice@acme.test"))), "", "(not-authorized)"},
		{"Cyrillic a, the Latin one said", ptr(x.root.leaf(addrs("аlice@acme.test"))), me, "(invalid-authzid)"},
		{"only a CN", ptr(x.root.leaf(nil, named(me))), "", off},
		{"only a CN that is a user name", ptr(x.root.leaf(nil, named("alice"))), "", off},
		{"CN in an OU", ptr(x.root.leaf(nil, func(c *x509.Certificate) { c.Subject = pkix.Name{OrganizationalUnit: []string{"CN=" + me}} })), "", off},
		{"CN of another, named as bob", ptr(x.root.leaf(addrs("bob@acme.test"), named(me))), "", "bob@acme.test"},
		{"CN of another, said", ptr(x.root.leaf(addrs("bob@acme.test"), named(me))), me, "(invalid-authzid)"},
		{"mail address in the subject", ptr(x.root.leaf(nil, func(c *x509.Certificate) {
			c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: me}}}
		})), "", off},
		{"mail address", ptr(x.root.leaf([]asn1.RawValue{mail})), "", off},
		{"URI", ptr(x.root.leaf([]asn1.RawValue{uri})), "", off},
		{"host name", ptr(x.root.leaf([]asn1.RawValue{dns})), "", off},
		{"mail and URI as Go writes them", ptr(x.root.leaf(nil, func(c *x509.Certificate) {
			c.EmailAddresses, c.URIs = []string{me}, []*url.URL{{Scheme: "xmpp", Opaque: me}}
		})), "", off},
		{"UPN", ptr(x.root.leaf([]asn1.RawValue{other(upnID, utf8String(me))})), "", off},
		{"no names", ptr(x.root.leaf([]asn1.RawValue{})), "", off},
		{"another domain", ptr(x.root.leaf(addrs("alice@other.test"))), "", off},
		{"a domain beneath", ptr(x.root.leaf(addrs("alice@x.acme.test"))), "", off},
		{"ours as the beginning of another", ptr(x.root.leaf(addrs("alice@acme.test.evil.test"))), "", off},
		{"only the domain", ptr(x.root.leaf(addrs("acme.test"))), "", off},
		{"with a resource", ptr(x.root.leaf(addrs(me + "/phone"))), "", off},
		{"wildcard person", ptr(x.root.leaf(addrs("*@acme.test"))), "", "(not-authorized)"},
		{"wildcard domain", ptr(x.root.leaf(addrs("alice@*.test"))), "", off},
		{"NUL behind", ptr(x.root.leaf(addrs(me + "\x00"))), "", off},
		{"NUL between", ptr(x.root.leaf(addrs("alice@acme.test\x00.evil.test"))), "", off},
		{"empty", ptr(x.root.leaf(addrs(""))), "", off},
		{"space", ptr(x.root.leaf(addrs("alice @acme.test"))), "", off},
		{"two at signs", ptr(x.root.leaf(addrs("alice@acme.test@evil.test"))), "", off},
		{"not UTF-8", ptr(x.root.leaf(addrs("alic\xff@acme.test"))), "", off},
		{"good and malformed", ptr(x.root.leaf(addrs(me, "@"))), "", off},
		{"IA5String", ptr(x.root.leaf([]asn1.RawValue{other(xmppAddrID, append([]byte{asn1.TagIA5String, byte(len(me))}, me...))})), "", off},
		{"OCTET STRING", ptr(x.root.leaf([]asn1.RawValue{other(xmppAddrID, append([]byte{asn1.TagOctetString, byte(len(me))}, me...))})), "", off},
		{"two strings in one", ptr(x.root.leaf([]asn1.RawValue{other(xmppAddrID, append(utf8String(me), utf8String("bob@acme.test")...))})), "", off},
		{"length beyond the end", ptr(x.root.leaf([]asn1.RawValue{other(xmppAddrID, []byte{asn1.TagUTF8String, 99, 'a'})})), "", off},
		{"no value", ptr(x.root.leaf([]asn1.RawValue{other(xmppAddrID, nil)})), "", off},
		{"junk behind the names", ptr(x.root.leaf(nil, func(c *x509.Certificate) {
			e := sanExt(t, good, false)
			e.Value = append(e.Value, 5, 0)
			c.ExtraExtensions = []pkix.Extension{e}
		})), "", off},
		{"for servers", ptr(x.root.leaf(good, usage(x509.ExtKeyUsageServerAuth))), "", off},
		{"for signing code", ptr(x.root.leaf(good, usage(x509.ExtKeyUsageCodeSigning))), "", off},
		{"for mail", ptr(x.root.leaf(good, usage(x509.ExtKeyUsageEmailProtection))), "", off},
		{"no extended usage, encryption alone", ptr(x.root.leaf(good, usage(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })), "", off},
		{"over", ptr(x.root.leaf(good, lives(-2*time.Hour, -time.Hour))), "", off},
		{"not yet", ptr(x.root.leaf(good, lives(time.Hour, 2*time.Hour))), "", off},
		{"revoked", &revoked, "", off},
		{"self-signed", ptr(selfSigned(t, good)), "", off},
		{"by another authority of the same name", ptr(x.strange.leaf(good)), "", off},
		{"by a stranger's authority between", ptr(stranger.leaf(good)), "", off},
		{"by an authority for servers", ptr(noClient.leaf(good)), "", off},
		{"by an authority that is over", ptr(old.leaf(good)), "", off},
		{"by somebody who is no authority", ptr(noCA.leaf(good)), "", off},
		{"an authority itself", ptr(x.root.leaf(good, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })), "", off},
		{"an unknown critical extension", ptr(x.root.leaf(good, func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		})), "", off},
	}
	if len(rows) < 60 {
		t.Errorf("%d rows, want 60", len(rows))
	}
	for _, r := range rows {
		if got := x.enter(t, r.cert, r.authzid); got != r.want {
			t.Errorf("%s: %s, want %s", r.name, got, r.want)
		}
	}
}

func ptr(c tls.Certificate) *tls.Certificate { return &c }

func selfSigned(t *testing.T, san []asn1.RawValue) tls.Certificate {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, ExtraExtensions: []pkix.Extension{sanExt(t, san, false)}}
	c := parsed(t, tmpl, tmpl, key, key)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

// enter is login over both profiles, which must agree.
func (x *external) enter(t *testing.T, cert *tls.Certificate, authzid string) string {
	t.Helper()
	c := x.connect(t, cert)
	offered := slices.Contains(c.Mechanisms2(), "EXTERNAL")
	if offered != slices.Contains(c.Mechanisms(), "EXTERNAL") {
		t.Error("the profiles differ")
	}
	if err := c.Send(client.Authenticate("EXTERNAL", authzid, "")); err != nil {
		t.Fatal(err)
	}
	got := outcome(next(t, c))
	c.Close()
	c = x.connect(t, cert)
	text := "="
	if authzid != "" {
		text = base64.StdEncoding.EncodeToString([]byte(authzid))
	}
	send(t, c, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>"+text+"</auth>")
	if n := next(t, c); n.Name.Local == "success" {
		if err := c.OpenStream(); err != nil || c.Header.Get("to") != got {
			t.Errorf("%v %q by one profile, %q by the other", err, c.Header.Get("to"), got)
		}
	} else if outcome(n) != got {
		t.Errorf("%s by one profile, %s by the other", outcome(n), got)
	}
	c.Close() // so many may not wait at the gate
	if !offered {
		if got != "(invalid-mechanism)" {
			t.Errorf("not offered, and then %s", got)
		}
		return "not offered"
	}
	return got
}

func outcome(n *client.Node) string {
	if n.Name.Local == "success" {
		return identity(n)
	}
	for _, k := range n.Kids {
		if k.Name.Local != "text" {
			return "(" + k.Name.Local + ")"
		}
	}
	return n.String()
}

// The list is read again when it changes, and without one nobody is let in.
func TestA13_revocationList(t *testing.T) {
	x := startExternal(t)
	cert := x.root.leaf(addrs("alice@acme.test"))
	want := func(what, got string) {
		t.Helper()
		if w := x.enter(t, &cert, ""); w != got {
			t.Errorf("%s: %s, want %s", what, w, got)
		}
	}
	want("before", "alice@acme.test")
	x.revoke(t, time.Now().Add(time.Minute), cert)
	want("revoked", "not offered")
	x.revoke(t, time.Now().Add(2*time.Minute))
	want("another list", "alice@acme.test")
	if err := os.WriteFile(x.crl, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	want("junk", "not offered")
	if err := os.Remove(x.crl); err != nil {
		t.Fatal(err)
	}
	want("gone", "not offered")
	if _, err := edge.NewAuthorities(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), ""); err == nil || !strings.Contains(err.Error(), "no authority") {
		t.Errorf("a person's certificate as an authority: %v", err)
	}
	if _, err := edge.NewAuthorities(bytes.Repeat([]byte("x"), 100), ""); err == nil {
		t.Error("junk as an authority")
	}
}

// Whoever has a certificate that won't do logs in with the password.
func TestExternal_passwordBesideIt(t *testing.T) {
	x := startExternal(t)
	for _, cert := range []*tls.Certificate{nil, ptr(x.strange.leaf(addrs("alice@acme.test"))), ptr(x.root.leaf(addrs("bob@acme.test")))} {
		c := x.connect(t, cert)
		n, err := c.Auth2("SCRAM-SHA-512", "alice", edgetest.Password, bind2)
		authenticated(t, n, err)
	}
}
