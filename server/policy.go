package server

import (
	"context"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// stages is the judge: one ordered list, asked about every stanza.
//
//	guest        can't fail: it knows from memory who is one
//	block list   fails closed: a list that can't be read refuses
func stages(b *block.Store, guests *account.Guests) deliver.Judge {
	if guests == nil {
		return deliver.Stages{blockStage{b}}
	}
	return deliver.Stages{guestStage{guests}, blockStage{b}}
}

// blockStage is XEP-0191.
type blockStage struct{ lists *block.Store }

func (s blockStage) Judge(_ context.Context, st *stanza.Stanza) deliver.Verdict {
	if st.To.IsZero() {
		return deliver.Verdict{Action: deliver.Allow} // broadcasts are asked about per recipient (presencePolicy)
	}
	refusal, drop := s.lists.Verdict(st.From, st.To, st.Kind, st.Type)
	switch {
	case refusal != nil:
		return deliver.Verdict{Action: deliver.Refuse, Stage: "block", Reason: refusal.Text, Error: refusal}
	case drop:
		return deliver.Verdict{Action: deliver.Drop, Stage: "block", Reason: "blocked"}
	}
	return deliver.Verdict{Action: deliver.Allow}
}

// may is the judge's answer for presence from one account to another, asked
// when it is broadcast.
func may(j deliver.Judge) func(from, to jid.JID) bool {
	return func(from, to jid.JID) bool {
		st := stanza.Stanza{Kind: stanza.Presence, From: from, To: to}
		return j.Judge(context.Background(), &st).Action == deliver.Allow
	}
}
