package transfer

import (
	"context"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Source is what an export reads.
type Source interface {
	Host() jid.JID
	Accounts(ctx context.Context, after string, n int) ([]account.Account, error)
	Keys(ctx context.Context, who jid.JID) (map[sasl.Hash]sasl.Keys, error)
	Roster(ctx context.Context, owner jid.JID) ([]roster.Item, []roster.Waiting, error)
	// Parts are the other elements of a <user/>, each with its own namespace.
	Parts(ctx context.Context, owner jid.JID) ([]*elem.Element, error)
	Archive(ctx context.Context, owner jid.JID, after session.Pos, n int) ([]archive.Kept, error)
	Waiting(ctx context.Context, owner jid.JID, after session.Pos, n int) ([]archive.Kept, error)
}

// Target is what an import writes.
type Target interface {
	Host() jid.JID
	// AddAccount says false for an account that is there, and changes nothing of it.
	AddAccount(ctx context.Context, r account.Restored) (added bool, err error)
	SetRoster(ctx context.Context, owner jid.JID, items []roster.Item, pending []roster.Waiting) error
	// SetPart takes another element of a <user/>; known is false if nobody here has a use for it.
	SetPart(ctx context.Context, owner jid.JID, part *elem.Element) (known bool, err error)
	// Keep takes messages in the order of the archive to be.
	Keep(ctx context.Context, list []deliver.Restored) error
}

// Data is both.
type Data interface {
	Source
	Target
}

// Sum is what was carried.
type Sum struct {
	Accounts, Contacts, Messages, Waiting int
	There                                 int            // accounts that were there before
	Left                                  map[string]int // what was left out, by what it is
}

func (s *Sum) leave(what string) {
	if s.Left == nil {
		s.Left = map[string]int{}
	}
	s.Left[what]++
}

// Options of both directions.
type Options struct {
	Flat     bool   // one whole document per account
	Scratch  string // folder for an import's sorted runs
	Memory   int    // bytes of messages that are sorted at a time; 0: 32 MiB
	Progress func(Sum)
}

func (o *Options) tell(s Sum) {
	if o.Progress != nil {
		o.Progress(s)
	}
}
