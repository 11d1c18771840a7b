package sasl

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Object identifiers of RFC 5280 §4.2.1.6 and RFC 6120 §13.7.1.4.
func oidSAN() asn1.ObjectIdentifier      { return asn1.ObjectIdentifier{2, 5, 29, 17} }
func oidXMPPAddr() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5} }

// Addresses are the XMPP addresses a certificate's subjectAltName names as
// otherName of type xmppAddr, read from its ASN.1 (HARDENING A13): no other
// name is looked at, the subject's never. A certificate with one that is
// malformed names nobody. It does not check who signed the certificate.
func Addresses(cert *x509.Certificate) ([]jid.JID, error) {
	var out []jid.JID
	seen := false
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oidSAN()) {
			continue
		}
		if seen {
			return nil, errors.New("sasl: certificate: two subjectAltName extensions")
		}
		seen = true
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(ext.Value, &names); err != nil || len(rest) > 0 {
			return nil, errors.New("sasl: certificate: malformed subjectAltName")
		}
		for _, n := range names {
			j, ok, err := xmppAddr(n)
			if err != nil {
				return nil, err
			}
			if ok && !slices.Contains(out, j) {
				out = append(out, j)
			}
		}
	}
	return out, nil
}

// xmppAddr reads `otherName [0] { type-id, [0] EXPLICIT UTF8String }`.
func xmppAddr(n asn1.RawValue) (j jid.JID, ok bool, err error) {
	if n.Class != asn1.ClassContextSpecific || n.Tag != 0 {
		return j, false, nil
	}
	bad := errors.New("sasl: certificate: malformed xmppAddr")
	var id asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(n.Bytes, &id)
	if err != nil {
		return j, false, bad
	}
	if !id.Equal(oidXMPPAddr()) {
		return j, false, nil
	}
	var outer, text asn1.RawValue
	if rest, err = asn1.Unmarshal(rest, &outer); err != nil || len(rest) > 0 || outer.Class != asn1.ClassContextSpecific || outer.Tag != 0 || !outer.IsCompound {
		return j, false, bad
	}
	if rest, err = asn1.Unmarshal(outer.Bytes, &text); err != nil || len(rest) > 0 || text.Class != asn1.ClassUniversal || text.Tag != asn1.TagUTF8String {
		return j, false, bad
	}
	if j, err = jid.Parse(string(text.Bytes)); err != nil {
		return j, false, bad
	}
	return j, true, nil
}

// external runs EXTERNAL (RFC 4422, its appendix A; XEP-0178 §2): the client's
// certificate says who it is.
type external struct {
	conf  Config
	names []jid.JID
	creds Credentials
	who   jid.JID
	end   bool
}

func (x *external) JID() jid.JID { return x.who }

func (x *external) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if x.end {
		return nil, false, Fail(MalformedRequest, "The exchange is over.")
	}
	if response == nil {
		return []byte{}, false, nil
	}
	x.end = true
	who, f := x.choose(string(response))
	if f != nil {
		return nil, false, f
	}
	if err := x.creds.Certificate(ctx, who); err != nil {
		return nil, false, failure(err)
	}
	x.who = who
	return nil, true, nil
}

// choose finds whom the client means: the one the certificate names, or the
// one of several it says.
func (x *external) choose(authzid string) (jid.JID, *Failure) {
	if authzid == "" {
		if len(x.names) == 1 {
			return x.names[0], nil
		}
		return jid.JID{}, Fail(InvalidAuthzid, "Your certificate names several people: say which one you are (XEP-0178 §2).")
	}
	for _, n := range x.names {
		if authorize(authzid, n) == nil {
			return n, nil
		}
	}
	return jid.JID{}, Fail(InvalidAuthzid, "Your certificate does not name this person.")
}

// certified are the people of our domain a connection's certificate names.
func (c Config) certified(b Binding) (out []jid.JID) {
	for _, j := range b.Certified {
		if b.TLS && j.IsBare() && j.Local() != "" && j.Domain() == c.host() {
			out = append(out, j)
		}
	}
	return out
}
