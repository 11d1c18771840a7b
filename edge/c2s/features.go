package c2s

import (
	"strconv"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// features writes what may be negotiated now (RFC 6120 §4.3.2).
func (n *negotiation) features(dst []byte) (out []byte, nameEnd int) {
	dst = append(dst, "<stream:features"...)
	nameEnd = len(dst)
	dst = append(dst, '>')
	switch {
	case n.s.who.IsZero():
		dst = n.loginFeatures(dst)
	case n.s.sess == nil:
		dst = append(dst, "<bind xmlns='"+stream.BindSpace+"'/>"+ // RFC 6120 §7.4
			"<session xmlns='"+stream.OldSession+"'><optional/></session>"...) // for clients of RFC 3921; nothing to do
		dst = n.sessionFeatures(dst)
	default: // XEP-0386: bound already
		dst = n.sessionFeatures(dst)
	}
	dst = n.limitFeature(dst)
	return append(dst, "</stream:features>"...), nameEnd
}

func (n *negotiation) sessionFeatures(dst []byte) []byte {
	dst = append(dst, "<sm xmlns='"+stream.SMSpace+"'/>"+ // XEP-0198 §2
		"<csi xmlns='"+stream.CSISpace+"'/>"...) // XEP-0352 §3
	return append(dst, n.s.host.extra...)
}

func (n *negotiation) loginFeatures(dst []byte) []byte {
	if !n.secure && n.canTLS() {
		dst = append(dst, "<starttls xmlns='"+stream.TLSSpace+"'>"...)
		if !n.plaintext() {
			dst = append(dst, "<required/>"...) // RFC 6120 §5.4.1
		}
		dst = append(dst, "</starttls>"...)
	}
	dst = registerFeatures(n, dst)
	n.said = sasl.Announced{Mechanisms: n.sasl().Mechanisms(n.binding), Bindings: n.binding.Types()}
	if len(n.said.Mechanisms) == 0 {
		return dst
	}
	dst = append(dst, "<mechanisms xmlns='"+stream.SASLSpace+"'>"...)
	dst = append(mechanisms(dst, n.said.Mechanisms), "</mechanisms>"...)
	if n.secure {
		dst = n.authentication(dst)
	}
	if kinds := n.said.Bindings; len(kinds) > 0 {
		// XEP-0440 §3
		dst = append(dst, "<sasl-channel-binding xmlns='"+stream.CBSpace+"'>"...)
		for _, k := range kinds {
			dst = append(dst, "<channel-binding"...)
			dst = append(elem.AppendAttr(dst, "type", k), "/>"...)
		}
		dst = append(dst, "</sasl-channel-binding>"...)
	}
	return dst
}

func mechanisms(dst []byte, names []string) []byte {
	for _, m := range names {
		dst = append(dst, "<mechanism>"...)
		dst = elem.AppendText(dst, m)
		dst = append(dst, "</mechanism>"...)
	}
	return dst
}

// authentication is the feature of XEP-0388 §2.1, with what can be had in the
// same step: resumption (XEP-0198 §9.2), a resource (XEP-0386 §3.1), a token
// (XEP-0484 §3.1), keys of more hash functions (XEP-0480 §2.1).
func (n *negotiation) authentication(dst []byte) []byte {
	dst = append(dst, "<authentication xmlns='"+stream.SASL2Space+"'>"...)
	dst = mechanisms(dst, n.said.Mechanisms)
	dst = append(dst, "<inline><sm xmlns='"+stream.SMSpace+"'/><bind xmlns='"+stream.Bind2Space+"'><inline>"+
		"<feature var='"+stream.CarbonSpace+"'/><feature var='"+stream.CSISpace+"'/><feature var='"+stream.SMSpace+"'/>"+
		"</inline></bind>"...)
	if tokens := n.tokens(); len(tokens) > 0 {
		dst = append(dst, "<fast xmlns='"+stream.FASTSpace+"'>"...)
		dst = append(mechanisms(dst, tokens), "</fast>"...)
	}
	dst = append(dst, "</inline>"...)
	for _, h := range n.upgrades() {
		dst = append(dst, "<upgrade xmlns='"+stream.UpgrSpace+"'>"+upgradePrefix...)
		dst = append(append(dst, h...), "</upgrade>"...)
	}
	return append(dst, "</authentication>"...)
}

// limitFeature announces what holds on this stream (XEP-0478 §3).
func (n *negotiation) limitFeature(dst []byte) []byte {
	lim := n.s.srv.conf.Limits
	most, idle := lim.PreAuth.Bytes, lim.Negotiation
	if !n.s.who.IsZero() {
		most, idle = stanzaLimits(n.s).Bytes, lim.Idle+lim.Grace
	}
	dst = append(dst, "<limits xmlns='"+stream.LimitsSpace+"'><max-bytes>"...)
	dst = strconv.AppendInt(dst, int64(most), 10)
	dst = append(dst, "</max-bytes><idle-seconds>"...)
	dst = strconv.AppendInt(dst, int64(max(idle/time.Second, 1)), 10)
	return append(dst, "</idle-seconds></limits>"...)
}

// canTLS says that STARTTLS makes sense on this connection.
func (n *negotiation) canTLS() bool { return n.s.srv.conf.TLS != nil && !n.s.out.frames.Framed() }

// plaintext says that login without TLS is permitted: by configuration, and on
// a loopback connection alone (HARDENING A2).
func (n *negotiation) plaintext() bool {
	return n.s.srv.conf.Plaintext && n.remote.IsLoopback()
}
