package transfer

import (
	"context"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/room"
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
	// Nodes are an account's personal nodes (XEP-0163), Items a page of one's.
	Nodes(ctx context.Context, owner jid.JID) (*pubsub.Root, pubsub.Limits, error)
	Items(ctx context.Context, n *pubsub.Node, q pubsub.Query) (pubsub.Page, error)
	RoomSource
}

// RoomSource is what an export reads of rooms.
type RoomSource interface {
	// Rooms is the service's address, zero if there is none, and what its occupant
	// ids are made with.
	Rooms() (service jid.JID, secret string)
	SaveRooms(ctx context.Context, after string, n int) ([]room.Saved, error)
	RoomArchive(ctx context.Context, r *room.Saved, after session.Pos, n int) ([]archive.RoomKept, error)
}

// Target is what an import writes.
type Target interface {
	Host() jid.JID
	// AddAccount says false for an account that is there, and changes nothing of it.
	AddAccount(ctx context.Context, r account.Restored) (added bool, err error)
	SetRoster(ctx context.Context, owner jid.JID, items []roster.Item, pending []roster.Waiting) error
	// SetPart takes another element of a <user/>; known is false if nobody here has a use for it.
	SetPart(ctx context.Context, owner jid.JID, part *elem.Element) (known bool, err error)
	// SetNodes takes pieces of an account's nodes (pubsub.Store.Restore); those it makes it notes in fresh.
	SetNodes(ctx context.Context, owner jid.JID, pieces []pubsub.Piece, fresh map[string]bool) (left []string, err error)
	// DeriveNodes follows when all pieces of another server's export are there.
	DeriveNodes(ctx context.Context, owner jid.JID, fresh map[string]bool) error
	// Keep takes messages in the order of the archive to be.
	Keep(ctx context.Context, list []deliver.Restored) error
	RoomTarget
}

// RoomTarget is what an import writes of rooms.
type RoomTarget interface {
	Rooms() (service jid.JID, secret string)
	SetSecret(ctx context.Context, secret string) error
	// AddRoom says false for a room that is there, and changes nothing of it.
	AddRoom(ctx context.Context, at jid.JID, e *elem.Element) (added bool, err error)
}

// Data is both.
type Data interface {
	Source
	Target
}

// Sum is what was carried.
type Sum struct {
	Accounts, Contacts, Messages, Waiting int
	Nodes, Items, Rooms                   int
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
