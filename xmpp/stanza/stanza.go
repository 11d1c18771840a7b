package stanza

import (
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Space is the namespace of client stanzas (RFC 6120 §4.8.2).
const Space = "jabber:client"

// Kind is one of the three stanza kinds (RFC 6120 §8).
type Kind uint8

const (
	Message Kind = iota + 1
	Presence
	IQ
)

func (k Kind) String() string {
	switch k {
	case Message:
		return "message"
	case Presence:
		return "presence"
	case IQ:
		return "iq"
	}
	return "unknown"
}

// Type is the type attribute. The empty type is Normal for messages,
// Available for presence.
type Type string

const (
	Normal    Type = "normal"
	Chat      Type = "chat"
	Groupchat Type = "groupchat"
	Headline  Type = "headline"
	Error_    Type = "error"

	Available    Type = ""
	Unavailable  Type = "unavailable"
	Subscribe    Type = "subscribe"
	Subscribed   Type = "subscribed"
	Unsubscribe  Type = "unsubscribe"
	Unsubscribed Type = "unsubscribed"
	Probe        Type = "probe"

	Get    Type = "get"
	Set    Type = "set"
	Result Type = "result"
)

// Stanza is one stanza past accept: its five attributes typed, its content
// kept as the bytes the sender wrote.
type Stanza struct {
	Kind     Kind
	Type     Type
	From, To jid.JID
	ID       string
	Lang     string
	// NoLang says that an empty xml:lang was written: the content is in no
	// language that is known (XML 1.0 §2.12), which is not the same as nothing said.
	NoLang bool
	// Content is everything between the start and the end tag, in namespace
	// jabber:client where no other is declared.
	Content []byte
	// Kids indexes the direct child elements of Content.
	Kids []Kid
	// Decls are the prefix declarations the content relies on, repeated on the
	// start tag of whatever carries it.
	Decls []elem.Decl
}

// Default gives a stanza without xml:lang the language of its sender's stream
// (RFC 6120 §4.7.4).
func (s *Stanza) Default(lang string) {
	if s.Lang == "" && !s.NoLang {
		s.Lang = lang
	}
}

// Kid is a direct child element: name and place in Content.
type Kid struct {
	Space, Local string
	Outer, Inner elem.Span
}
