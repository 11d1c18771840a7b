package stanza

import (
	"bytes"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// names are stanza types, namespaces and element names seen in ordinary traffic, so that
// indexing a message allocates no string for them.
var names = internTable(
	"chat", "groupchat", "headline", "normal", "get", "set", "unavailable", "subscribe", "subscribed", "unsubscribe",
	"unsubscribed", "probe", Space, "body", "subject", "thread", "active", "composing", "paused", "inactive", "gone", "request", "received",
	"displayed", "markable", "origin-id", "stanza-id", "show", "status", "priority", "c", "x", "delay", "store",
	"no-store", "no-copy", "no-permanent-store", "private", "nick", "query", "error", "event", "html", "replace",
	"retract", "reply", "reactions", "fallback", "sent", "forwarded", "result", "occupant-id",
	"http://jabber.org/protocol/chatstates", "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "urn:xmpp:sid:0",
	"urn:xmpp:hints", "urn:xmpp:delay", "http://jabber.org/protocol/caps", "urn:xmpp:carbons:2",
	"urn:xmpp:forward:0", "urn:xmpp:message-correct:0", "urn:xmpp:reply:0", "urn:xmpp:reactions:0",
	"urn:xmpp:fallback:0", "vcard-temp:x:update", "http://jabber.org/protocol/nick", "jabber:x:oob",
	"http://jabber.org/protocol/muc#user", "urn:xmpp:mam:2", "urn:xmpp:occupant-id:0",
)

func internTable(s ...string) map[string]string {
	m := make(map[string]string, len(s))
	for _, v := range s {
		m[v] = v
	}
	return m
}

func intern(b []byte) string {
	if s, ok := names[string(b)]; ok {
		return s
	}
	return string(b)
}

// Read makes a stanza from a scanned element. It copies the content, leaving
// out the children for which drop answers true. "from" is left for accept to
// stamp. An unknown element name gives nil.
func Read(raw *elem.Raw, drop func(raw *elem.Raw, i int) bool) (*Stanza, error) {
	s := &Stanza{}
	switch string(raw.Local) {
	case "message":
		s.Kind = Message
	case "presence":
		s.Kind = Presence
	case "iq":
		s.Kind = IQ
	default:
		return nil, nil
	}
	if err := s.readAttrs(raw); err != nil {
		return s, err
	}
	for _, d := range raw.Decls {
		s.declare(d)
	}
	for _, d := range raw.Outer {
		if !declared(raw.Decls, d.Prefix) {
			s.declare(d)
		}
	}
	s.copyContent(raw, drop)
	return s, nil
}

func declared(decls []elem.Decl, prefix []byte) bool {
	for _, d := range decls {
		if bytes.Equal(d.Prefix, prefix) {
			return true
		}
	}
	return false
}

// declare keeps a prefix declaration; the default namespace is jabber:client anyway.
func (s *Stanza) declare(d elem.Decl) {
	if len(d.Prefix) == 0 || string(d.Prefix) == "xml" {
		return
	}
	s.Decls = append(s.Decls, elem.Decl{Prefix: bytes.Clone(d.Prefix), Space: bytes.Clone(d.Space)})
}

// readAttrs reads all that a reply needs, also when the address is malformed.
func (s *Stanza) readAttrs(raw *elem.Raw) (bad error) {
	for i := range raw.Attrs {
		a := &raw.Attrs[i]
		if len(a.Prefix) > 0 {
			if string(a.Space) == elem.XMLSpace && string(a.Local) == "lang" {
				s.Lang = string(a.Value)
				s.NoLang = s.Lang == ""
			}
			continue
		}
		switch string(a.Local) {
		case "id":
			s.ID = string(a.Value)
		case "type":
			s.Type = Type(intern(a.Value))
		case "to":
			to, err := jid.Parse(string(a.Value))
			if err != nil {
				bad = Fail("jid-malformed", "the address in \"to\" is not a valid JID")
				continue
			}
			s.To = to
		}
	}
	return bad
}

// copyContent copies the kept children and what is between them.
func (s *Stanza) copyContent(raw *elem.Raw, drop func(*elem.Raw, int) bool) {
	if raw.Inner.End <= raw.Inner.Start {
		return
	}
	s.Content = make([]byte, 0, raw.Inner.End-raw.Inner.Start)
	if len(raw.Kids) > 0 {
		s.Kids = make([]Kid, 0, len(raw.Kids))
	}
	from := raw.Inner.Start
	for i := range raw.Kids {
		k := &raw.Kids[i]
		if drop != nil && drop(raw, i) {
			s.Content = append(s.Content, raw.Buf[from:k.Outer.Start]...)
			from = k.Outer.End
			if n := len(s.Content); n > 0 && s.Content[n-1] == ']' {
				// XML 1.0 §2.4: "]]" before and ">" behind the child must not meet.
				s.Content = append(s.Content, ' ')
			}
			continue
		}
		// Everything from `from` on moves by the same distance.
		shift := len(s.Content) - from
		s.Kids = append(s.Kids, Kid{
			Space: intern(k.Space), Local: intern(k.Local),
			Outer: elem.Span{Start: k.Outer.Start + shift, End: k.Outer.End + shift},
			Inner: elem.Span{Start: k.Inner.Start + shift, End: k.Inner.End + shift},
		})
	}
	s.Content = append(s.Content, raw.Buf[from:raw.Inner.End]...)
}
