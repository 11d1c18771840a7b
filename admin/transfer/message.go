package transfer

import (
	"errors"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// parsed is a message and what the server that archived it had put into it.
type parsed struct {
	st    *stanza.Stanza
	delay string // when it was held back, by the server
	id    string // the owner's archive id
}

var errMessage = errors.New("this is no message")

// readMessage reads a message as strictly as one from a client, byte for byte,
// without what the server that kept it has added for the owner: its delay and its
// ids (XEP-0359 §5).
func readMessage(u *unit, owner jid.JID) (p parsed, err error) {
	s := elem.NewScanner(elem.DefaultLimits())
	head := elem.AppendAttr([]byte("<stream:stream xmlns:stream='http://etherx.jabber.org/streams'"), "xmlns", spaceClient)
	for _, d := range u.decls {
		if string(d.Prefix) != "stream" {
			head = elem.AppendAttr(head, "xmlns:"+string(d.Prefix), string(d.Space))
		}
	}
	if _, _, err := s.Next(append(head, '>')); err != nil {
		return p, err
	}
	ev, n, err := s.Next(u.raw)
	if err != nil {
		return p, err
	}
	if ev != elem.Stanza || n != len(u.raw) {
		return p, errMessage
	}
	raw := s.Raw()
	if raw.Prefixed || string(raw.Space) != spaceClient {
		return p, errMessage
	}
	from := ""
	for i := range raw.Attrs {
		if a := &raw.Attrs[i]; len(a.Prefix) == 0 && string(a.Local) == "from" {
			from = string(a.Value)
		}
	}
	p.st, err = stanza.Read(raw, func(raw *elem.Raw, i int) bool { return p.added(raw, i, owner) })
	if err != nil {
		return p, err
	}
	if p.st == nil || p.st.Kind != stanza.Message {
		return p, errMessage
	}
	if p.st.From, err = jid.Parse(from); err != nil {
		return p, err
	}
	if p.st.To.IsZero() {
		p.st.To = owner // RFC 6120 §10.3.1
	}
	if p.st.Type == "" {
		p.st.Type = stanza.Normal // RFC 6121 §5.2.2
	}
	return p, nil
}

// added says whether a child is one the old server has put there, and reads it.
func (p *parsed) added(raw *elem.Raw, i int, owner jid.JID) bool {
	attr := func(name string) string { v, _ := raw.KidAttr(i, name); return string(v) }
	switch k := &raw.Kids[i]; {
	case string(k.Local) == "stanza-id" && string(k.Space) == spaceSID:
		by, err := jid.Parse(attr("by"))
		if err != nil || by.Domain() != owner.Domain() || by.Bare() != owner && by != owner.DomainJID() && by.Local() == "" {
			return false
		}
		if by == owner {
			p.id = attr("id")
		}
		return true
	case string(k.Local) == "delay" && string(k.Space) == spaceDelay:
		if from := attr("from"); from == owner.Domain() || from == owner.String() {
			p.delay = attr("stamp")
			return true
		}
	}
	return false
}
