package server

import (
	"context"
	"time"

	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// stages is the judge: one ordered list, asked about every stanza.
//
//	block list   fails closed: a list that can't be read refuses
//	invitations  counted in memory: can't fail
func stages(b *block.Store) deliver.Judge {
	return deliver.Stages{blockStage{b}, inviteStage{room.NewInvites()}}
}

// inviteStage is HARDENING M4.
type inviteStage struct{ invites *room.Invites }

func (s inviteStage) Judge(_ context.Context, st *stanza.Stanza) deliver.Verdict {
	if refusal := s.invites.Refuse(st, time.Now()); refusal != nil {
		return deliver.Verdict{Action: deliver.Refuse, Stage: "invitations", Reason: refusal.Text, Error: refusal}
	}
	return deliver.Verdict{Action: deliver.Allow}
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
