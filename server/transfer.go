package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/parlance-im/parlance/admin/api"
	"github.com/parlance-im/parlance/admin/command"
	"github.com/parlance-im/parlance/admin/transfer"
	"github.com/parlance-im/parlance/feature/bookmark"
	"github.com/parlance-im/parlance/feature/private"
	"github.com/parlance-im/parlance/feature/vcard"
	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// portable is XEP-0227, which is files and no protocol.
func portable() im.Feature {
	return im.Feature{Name: "transfer", Specs: []im.Spec{{ID: "XEP-0227", Version: "1.1", Status: "complete",
		Note: "parlance export and import: accounts, rosters, requests, cards, block lists, private XML, personal nodes, archives, offline messages; rooms in elements of our own; XEP-0016 is not implemented"}}}
}

// OpenData opens the data set of a stopped server for `parlance export` and `parlance import`.
func OpenData(ctx context.Context, p command.Place) (transfer.Data, command.Closer, error) {
	cfg, err := Load(p.Config)
	if err != nil {
		return nil, nil, err
	}
	if p.Data != "" {
		cfg.Data = p.Data
	}
	if client, err := api.Dial(ctx, cfg.AdminSocket()); err == nil {
		client.Close()
		return nil, nil, fmt.Errorf("a server runs on %s: stop it first", cfg.Data)
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, nil, fmt.Errorf("server: data folder: %w", err)
	}
	c, err := openCore(ctx, cfg, Options{Log: slog.New(slog.DiscardHandler)}, accountConfig(cfg))
	if err == nil && p.Domain != "" && c.hosts.of(p.Domain) == nil {
		// Not one of the hosts: the data set is looked at as if it were the configured domain.
		cfg.Domain = p.Domain
		if err = c.close(); err == nil {
			c, err = openCore(ctx, cfg, Options{Log: slog.New(slog.DiscardHandler)}, accountConfig(cfg))
		}
	}
	if err != nil {
		return nil, nil, err
	}
	at := c.domain
	if v := c.hosts.of(p.Domain); v != nil {
		at = v.at
	}
	return carried{c, at}, c.run(ctx), nil
}

// carried is a core as an export and an import see it.
type carried struct {
	c  *core
	at jid.JID // the host whose people are carried: no other's (HARDENING I10)
}

func (d carried) Host() jid.JID { return d.at }

func (d carried) Accounts(ctx context.Context, after string, n int) ([]account.Account, error) {
	return d.c.accounts.List(ctx, after, n)
}

func (d carried) Keys(ctx context.Context, who jid.JID) (map[sasl.Hash]sasl.Keys, error) {
	return account.Keys(ctx, d.c.accounts, who)
}

func (d carried) Roster(ctx context.Context, owner jid.JID) ([]roster.Item, []roster.Waiting, error) {
	items, _, err := d.c.rosters.Roster(ctx, owner)
	if err != nil {
		return nil, nil, err
	}
	pending, err := d.c.rosters.Pending(ctx, owner)
	return items, pending, err
}

// Parts are vCard, block list and private XML.
func (d carried) Parts(ctx context.Context, owner jid.JID) (out []*elem.Element, err error) {
	card, err := vcard.Card(ctx, d.c.db, owner)
	if err != nil {
		return nil, err
	}
	if card != nil {
		e, err := elem.Parse(card)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	blocked, err := d.c.blocks.List(ctx, owner)
	if err != nil {
		return nil, err
	}
	if len(blocked) > 0 {
		list := elem.New(block.Space, "blocklist")
		for _, j := range blocked {
			list.Add(elem.New(block.Space, "item", "jid", j.String()))
		}
		out = append(out, list)
	}
	own, err := private.Save(ctx, d.c.db, owner)
	if own != nil {
		out = append(out, own)
	}
	return out, err
}

func (d carried) Archive(ctx context.Context, owner jid.JID, after session.Pos, n int) ([]archive.Kept, error) {
	p, err := d.c.archive.Read(ctx, archive.Query{Owner: owner, After: after, Max: n})
	return p.Messages, err
}

func (d carried) Waiting(ctx context.Context, owner jid.JID, after session.Pos, n int) ([]archive.Kept, error) {
	return d.c.archive.Waiting(ctx, owner, after, d.c.archive.Last(), n)
}

func (d carried) AddAccount(ctx context.Context, r account.Restored) (bool, error) {
	return account.Restore(ctx, d.c.accounts, r)
}

func (d carried) SetRoster(ctx context.Context, owner jid.JID, items []roster.Item, pending []roster.Waiting) error {
	return d.c.rosters.Restore(ctx, owner, items, pending)
}

func (d carried) SetPart(ctx context.Context, owner jid.JID, part *elem.Element) (known bool, err error) {
	switch {
	case part.Space == "vcard-temp" && part.Local == "vCard":
		return true, vcard.SetCard(ctx, d.c.db, owner, part)
	case part.Space == "jabber:iq:private" && part.Local == "query":
		return true, d.private(ctx, owner, part)
	case part.Space == block.Space && part.Local == "blocklist":
		var list []jid.JID
		for _, c := range part.Children {
			if j, err := jid.Parse(c.Attr("jid")); err == nil && c.Local == "item" && j.Bare() != owner {
				list = append(list, j)
			}
		}
		err := d.c.blocks.Block(ctx, owner, list, nil)
		if full, ok := errors.AsType[*stanza.Error](err); ok {
			return true, fmt.Errorf("block list of %s: %w", owner, full)
		}
		return true, err
	}
	return false, nil
}

func (d carried) Nodes(ctx context.Context, owner jid.JID) (*pubsub.Root, pubsub.Limits, error) {
	root, err := d.c.personal.Nodes().Root(ctx, owner)
	return root, d.c.personal.Nodes().Limits(), err
}

func (d carried) Items(ctx context.Context, n *pubsub.Node, q pubsub.Query) (pubsub.Page, error) {
	return d.c.personal.Nodes().Items(ctx, n, q)
}

func (d carried) SetNodes(ctx context.Context, owner jid.JID, pieces []pubsub.Piece, fresh map[string]bool) ([]string, error) {
	return d.c.personal.Nodes().Restore(ctx, owner, pieces, fresh)
}

// DeriveNodes makes bookmarks of another server's export in the form it has not
// (XEP-0402 §5.3): its own if it has both.
func (d carried) DeriveNodes(ctx context.Context, owner jid.JID, fresh map[string]bool) error {
	for _, n := range []string{bookmark.Native, bookmark.Legacy} {
		if fresh[n] {
			return d.c.personal.Nodes().Derive(ctx, owner, n)
		}
	}
	return nil
}

func (d carried) Rooms() (jid.JID, string) {
	rs := d.rooms()
	if rs == nil {
		return jid.JID{}, ""
	}
	return rs.Service, room.Secret(rs)
}

// rooms is the host's service of rooms; nil if it has none.
func (d carried) rooms() *room.Rooms {
	if v := d.c.hosts.of(d.at.Domain()); v != nil {
		return v.rooms
	}
	return nil
}

func (d carried) SaveRooms(ctx context.Context, after string, n int) ([]room.Saved, error) {
	return room.Save(ctx, d.c.db, after, n)
}

func (d carried) RoomArchive(ctx context.Context, r *room.Saved, after session.Pos, n int) ([]archive.RoomKept, error) {
	p, err := d.c.archive.ReadRoom(ctx, archive.Query{Owner: r.At, Floor: r.Since, After: after, Max: n})
	return p.Messages, err
}

func (d carried) SetSecret(ctx context.Context, secret string) error {
	return room.SetSecret(ctx, d.rooms(), secret)
}

func (d carried) AddRoom(ctx context.Context, at jid.JID, e *elem.Element) (bool, error) {
	return room.Restore(ctx, d.c.db, at, e, d.c.archive.Last(), d.c.hosts.config(d.at.Domain()).Rooms.History)
}

// private takes what is kept for an account alone (XEP-0049); bookmarks in their
// old place are put where they are now, if there are none.
func (d carried) private(ctx context.Context, owner jid.JID, query *elem.Element) error {
	rest := elem.New(query.Space, query.Local)
	for _, k := range query.Children {
		if k.Name != bookmark.Storage() {
			rest.Add(k)
			continue
		}
		v, err := d.c.personal.Nodes().Root(ctx, owner)
		if err != nil {
			return err
		}
		if v.Node(bookmark.Legacy) != nil {
			continue
		}
		if err := (bookmark.Private{Personal: d.c.personal}).Write(ctx, owner, owner, k); err != nil {
			return fmt.Errorf("bookmarks of %s: %w", owner, err)
		}
	}
	_, err := private.Restore(ctx, d.c.db, owner, rest)
	return err
}

func (d carried) Keep(ctx context.Context, list []deliver.Restored) error {
	return d.c.path.Restore(ctx, list)
}
