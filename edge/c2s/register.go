package c2s

import (
	"context"
	"errors"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// registerFeatures announces registration (XEP-0077 §8, XEP-0445 §3).
func registerFeatures(n *negotiation, dst []byte) []byte {
	r := n.s.host.Register
	if r == nil || !safe(n) {
		return dst
	}
	open, invited := r.Offers()
	if invited {
		dst = append(dst, "<register xmlns='"+stream.InviteSpace+"'/>"...)
	}
	if open || invited {
		dst = append(dst, "<register xmlns='"+stream.RegSpace+"'/>"...)
	}
	return dst
}

// safe says that a password may be sent on this connection.
func safe(n *negotiation) bool { return n.secure || n.plaintext() }

// registers says that an element is a request of registration, the only stanza
// there is before a login.
func registers(n *negotiation, raw *elem.Raw) bool {
	if n.s.host.Register == nil || !safe(n) || string(raw.Space) != stream.Client || string(raw.Local) != "iq" || raw.Prefixed || len(raw.Kids) != 1 {
		return false
	}
	_, invited := n.s.host.Register.Offers()
	to, typ, kid := attr(raw, "to"), string(attr(raw, "type")), string(raw.Kids[0].Space)
	return invited && len(attr(raw, "id")) > 0 && (typ == "get" || typ == "set") && (kid == "jabber:iq:register" || kid == "urn:xmpp:pars:0") &&
		(len(to) == 0 || string(to) == n.s.host.Domain.String())
}

// register answers it. Another account is not made on the same connection.
func register(ctx context.Context, n *negotiation, raw *elem.Raw) error {
	id, set := string(attr(raw, "id")), string(attr(raw, "type")) == "set"
	q, err := raw.KidElement(0)
	if err != nil {
		return syntax(err)
	}
	if n.registered {
		return n.s.iqError(id, stanza.Fail("not-acceptable", "You have an account now: log in.")) // XEP-0077 §3.1.1
	}
	result, token, err := n.s.host.Register.Answer(ctx, n.remote, n.invite, set, q)
	n.invite = token
	if e, ok := errors.AsType[*stanza.Error](err); ok {
		return n.s.iqError(id, e)
	}
	if err != nil {
		return n.s.internal(err)
	}
	n.registered = set && q.Local == "query"
	iq := elem.New(stream.Client, "iq", "type", "result", "id", id, "from", n.s.host.Domain.String())
	if result != nil {
		iq.Add(result)
	}
	return n.s.iq(iq)
}
