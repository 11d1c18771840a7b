package server

import (
	"context"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// stages is the judge: one ordered list, asked about every stanza.
//
//	guest        from memory: it can't fail
//	wall         of the whole server, from memory: it can't fail
//	block list   fails closed: a list that can't be read refuses
//	invitations  counted in memory: can't fail
func stages(guests *account.Guests, w *block.Wall, b *block.Store) deliver.Judge {
	return deliver.Stages{guestStage{guests}, wallStage{w}, blockStage{b}, inviteStage{room.NewInvites()}}
}

// inviteStage is HARDENING M4.
type inviteStage struct{ invites *room.Invites }

func (s inviteStage) Judge(_ context.Context, st *stanza.Stanza) deliver.Verdict {
	return verdict("invitations", func() (*stanza.Error, bool) { return s.invites.Refuse(st, time.Now()), false })
}

// wallStage is the lists of XEP-0133 §4.11 and §4.12.
type wallStage struct{ wall *block.Wall }

func (s wallStage) Judge(_ context.Context, st *stanza.Stanza) deliver.Verdict {
	return verdict("wall", func() (*stanza.Error, bool) { return s.wall.Verdict(st.From, st.To, st.Kind, st.Type) })
}

// verdict is a list's answer as the judge's.
func verdict(stage string, ask func() (refusal *stanza.Error, drop bool)) deliver.Verdict {
	refusal, drop := ask()
	switch {
	case refusal != nil:
		return deliver.Verdict{Action: deliver.Refuse, Stage: stage, Reason: refusal.Text, Error: refusal}
	case drop:
		return deliver.Verdict{Action: deliver.Drop, Stage: stage, Reason: "blocked"}
	}
	return deliver.Verdict{Action: deliver.Allow}
}

// blockStage is XEP-0191.
type blockStage struct{ lists *block.Store }

func (s blockStage) Judge(_ context.Context, st *stanza.Stanza) deliver.Verdict {
	if st.To.IsZero() {
		return deliver.Verdict{Action: deliver.Allow} // broadcasts are asked about per recipient (presencePolicy)
	}
	return verdict("block", func() (*stanza.Error, bool) { return s.lists.Verdict(st.From, st.To, st.Kind, st.Type) })
}

// may is the judge's answer for presence from one account to another, asked
// when it is broadcast.
func may(j deliver.Judge) func(from, to jid.JID) bool {
	return func(from, to jid.JID) bool {
		st := stanza.Stanza{Kind: stanza.Presence, From: from, To: to}
		return j.Judge(context.Background(), &st).Action == deliver.Allow
	}
}
