package server

import (
	"context"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// guestStage keeps people without an account to talking (XEP-0175 §3): they
// change nothing that outlives them, and nothing of anybody else's.
type guestStage struct{ guests *account.Guests }

// asks are the requests a guest may make: what others are and can do, the time, and
// the guest's own empty roster and archive.
func asks(space string) bool {
	switch space {
	case "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "urn:xmpp:ping",
		"jabber:iq:version", "urn:xmpp:time", "jabber:iq:roster", "urn:xmpp:mam:2":
		return true
	}
	return false
}

func (s guestStage) Judge(_ context.Context, st *stanza.Stanza) deliver.Verdict {
	from, to := s.guests.Is(st.From), s.guests.Is(st.To)
	if !from && !to {
		return deliver.Verdict{Action: deliver.Allow}
	}
	switch st.Type {
	case stanza.Subscribe, stanza.Subscribed, stanza.Unsubscribe, stanza.Unsubscribed:
		if st.Kind == stanza.Presence {
			return notForGuests("guests are in nobody's contact list")
		}
	case stanza.Set, stanza.Get:
		if st.Kind != stanza.IQ || !from || len(st.Kids) == 0 {
			break
		}
		space := st.Kids[0].Space
		if !asks(space) || st.Type == stanza.Set && space != "urn:xmpp:mam:2" {
			return notForGuests("guests can't do this")
		}
	}
	return deliver.Verdict{Action: deliver.Allow}
}

func notForGuests(why string) deliver.Verdict {
	return deliver.Verdict{Action: deliver.Refuse, Stage: "guest", Reason: why, Error: stanza.Fail("forbidden", why).WithType("auth")}
}
