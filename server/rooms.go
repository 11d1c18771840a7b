package server

import (
	"context"
	"fmt"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// openRooms makes the rooms' service, unless it is switched off.
func (c *core) openRooms(ctx context.Context) error {
	domain := c.cfg.RoomsDomain()
	if domain == "" {
		return nil
	}
	at, err := jid.Parse(domain)
	if err != nil || !at.IsDomain() {
		return fmt.Errorf("server: rooms: %q is not a domain", domain)
	}
	r := c.cfg.Rooms
	c.rooms, err = room.New(ctx, room.Setup{
		DB: c.db, Archive: c.archive, Routes: c.routes, Service: at, Now: time.Now, Guest: c.guests.Is, Blocked: c.blocks.Under, Admin: account.Of(c.accounts, c.domain.Domain()).IsAdmin, Log: c.log,
		// The path is made after the rooms it carries messages to.
		Submit: func(ctx context.Context, m *room.Message) error { return c.path.Submit(ctx, m) },
		Settings: room.Settings{Name: r.Name, Create: r.Create, Most: r.Occupants, History: r.History,
			Default: room.Config{Persistent: r.Persistent, NonAnonymous: r.Known, History: min(20, r.History)}},
	})
	return err
}

// services are the domain's other addresses (XEP-0030 §4).
func services(c *core) (out []jid.JID) {
	if c.rooms != nil {
		out = append(out, c.rooms.Service)
	}
	return out
}

// hiding is presence with rooms, for the block list.
type hiding struct{ *core }

func (h hiding) Hide(owner jid.JID, who func(jid.JID) bool) {
	h.presence.Hide(owner, who)
	h.rooms.Deaf(owner, who)
}

func (h hiding) Show(owner jid.JID, who func(jid.JID) bool) {
	h.presence.Show(owner, who)
	h.rooms.Hears(owner)
}
