package deliver

import (
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// forged says whether a child is one that only servers write: stanza and
// occupant ids (XEP-0359 §5, XEP-0421 §3), carbon wrappers (XEP-0280 §12), archive
// results (XEP-0313 §10) and delays in somebody's name. All of them go, not just
// the first (HARDENING I4).
func forged(raw *elem.Raw, i int) bool {
	k := &raw.Kids[i]
	switch string(k.Local) {
	case "stanza-id":
		return string(k.Space) == "urn:xmpp:sid:0"
	case "occupant-id":
		return string(k.Space) == "urn:xmpp:occupant-id:0"
	case "sent", "received", "private": // XEP-0280 §9: private is for the server, which notes it
		return string(k.Space) == spaceCarbons
	case "result", "fin":
		return string(k.Space) == "urn:xmpp:mam:2"
	case "delay":
		// XEP-0203 §2: "from" says who held a stanza back. A client may say when
		// it wrote (no "from"), not that a server or another delayed it.
		_, named := raw.KidAttr(i, "from")
		return named && string(k.Space) == "urn:xmpp:delay"
	}
	return false
}

// dropped is forged for what somebody sends: that he held a stanza back himself he
// may say, when he puts an earlier talk into a room (XEP-0045 §7.9).
func dropped(raw *elem.Raw, from jid.JID) func(*elem.Raw, int) bool {
	for i := range raw.Kids {
		if string(raw.Kids[i].Local) != "delay" {
			continue
		}
		return func(raw *elem.Raw, i int) bool {
			if string(raw.Kids[i].Local) == "delay" {
				by, named := raw.KidAttr(i, "from")
				if named && (string(by) == from.String() || string(by) == from.Bare().String()) {
					return false
				}
			}
			return forged(raw, i)
		}
	}
	return forged
}

// private says whether the sender wants no carbons of a message (XEP-0280 §9).
func private(raw *elem.Raw) bool {
	for i := range raw.Kids {
		if string(raw.Kids[i].Local) == "private" && string(raw.Kids[i].Space) == spaceCarbons {
			return true
		}
	}
	return false
}

// accept makes a stanza of what an edge scanned from a stream in that language. A
// *stanza.Error goes back to the sender, a *stream.Error ends the stream.
func accept(raw *elem.Raw, from jid.JID, lang string) (*stanza.Stanza, error) {
	st, err := stanza.Read(raw, dropped(raw, from))
	if st == nil {
		return nil, &stream.Error{Condition: "unsupported-stanza-type",
			Text: "a stanza is a message, a presence or an iq"}
	}
	// RFC 6120 §8.1.2.1: whatever the client wrote there.
	st.From = from
	// RFC 6120 §4.7.4, §8.1.5: who is sent it, now or from the archive, can't know
	// what the sender's stream has said.
	st.Default(lang)
	if err != nil {
		return st, err
	}
	if err := wellTyped(st); err != nil {
		return st, err
	}
	if st.Kind == stanza.Message && st.To.IsZero() {
		st.To = from.Bare() // RFC 6120 §10.3.1
	}
	return st, nil
}

// wellTyped checks type, id and number of children against the stanza's kind.
func wellTyped(st *stanza.Stanza) error {
	switch st.Kind {
	case stanza.Message:
		switch st.Type {
		case "":
			st.Type = stanza.Normal // RFC 6121 §5.2.2
		case stanza.Chat, stanza.Normal, stanza.Groupchat, stanza.Headline, stanza.Error_:
		default:
			st.Type = stanza.Normal // RFC 6121 §5.2.2: unknown types are normal
		}
	case stanza.IQ:
		return wellTypedIQ(st)
	case stanza.Presence:
		switch st.Type {
		case stanza.Available, stanza.Unavailable, stanza.Subscribe, stanza.Subscribed, stanza.Unsubscribe,
			stanza.Unsubscribed, stanza.Probe, stanza.Error_:
		default:
			return stanza.Fail("bad-request", "there is no presence of this type")
		}
	}
	return nil
}

// wellTypedIQ is RFC 6120 §8.2.3.
func wellTypedIQ(st *stanza.Stanza) error {
	if st.ID == "" {
		return stanza.Fail("bad-request", "an iq needs an id")
	}
	switch st.Type {
	case stanza.Get, stanza.Set:
		if len(st.Kids) != 1 {
			return stanza.Fail("bad-request", "an iq of type get or set has exactly one child element")
		}
	case stanza.Result:
		if len(st.Kids) > 1 {
			return stanza.Fail("bad-request", "an iq of type result has at most one child element")
		}
	case stanza.Error_:
	default:
		return stanza.Fail("bad-request", "the type of an iq is get, set, result or error")
	}
	return nil
}
