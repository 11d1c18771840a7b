package route

import (
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Encode makes a frame of a stanza as it stands.
func Encode(st *stanza.Stanza) *session.Frame {
	dst, nameEnd := st.AppendStart(make([]byte, 0, st.Size()))
	dst = append(dst, st.Content...)
	return &session.Frame{Bytes: st.AppendEnd(dst), NameEnd: nameEnd, Kind: st.Kind,
		Urgent: st.Kind == stanza.IQ}
}

// EncodeElement makes a frame of a stanza the server has built.
func EncodeElement(kind stanza.Kind, e *elem.Element) *session.Frame {
	return &session.Frame{Bytes: e.AppendTo(nil, stanza.Space), NameEnd: 1 + len(kind.String()), Kind: kind,
		Urgent: kind != stanza.Presence}
}
