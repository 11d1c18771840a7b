package server

import (
	"context"
	"fmt"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// openRooms makes a host's service of rooms.
func (c *core) openRooms(ctx context.Context, cfg *Config) (*room.Rooms, error) {
	at, err := jid.Parse(cfg.RoomsDomain())
	if err != nil || !at.IsDomain() {
		return nil, fmt.Errorf("server: rooms: %q is not a domain", cfg.RoomsDomain())
	}
	return room.New(ctx, room.Setup{
		DB: c.db, Archive: c.archive, Routes: c.routes, Service: at, Now: time.Now, Guest: c.guests.Is, Blocked: c.blocks.Under, Admin: account.Of(c.accounts, cfg.Domain).IsAdmin, Log: c.log,
		Makes: c.hosts.makesRooms(cfg.Domain),
		// The path is made after the rooms it carries messages to.
		Submit:   func(ctx context.Context, m *room.Message) error { return c.path.Submit(ctx, m) },
		Settings: roomSettings(cfg),
	})
}

func roomSettings(cfg *Config) room.Settings {
	r := cfg.Rooms
	return room.Settings{Name: r.Name, Create: r.Create, Most: r.Occupants, History: r.History,
		Default: room.Config{Persistent: r.Persistent, History: min(20, r.History)}}
}

// makesRooms says who may make rooms on a host: its people if it says so, its administrators in any case.
func (h *hosts) makesRooms(domain string) func(context.Context, jid.JID) (bool, error) {
	return func(ctx context.Context, who jid.JID) (bool, error) {
		if who.Domain() == domain && h.config(domain).Rooms.Create {
			return true, nil
		}
		return account.Of(h.c.accounts, domain).IsAdmin(ctx, who)
	}
}

// hiding is presence with rooms, for the block list.
type hiding struct{ *core }

func (h hiding) Hide(owner jid.JID, who func(jid.JID) bool) {
	h.presence.Hide(owner, who)
	h.rooms.Deaf(owner, who)
}

func (h hiding) Show(owner jid.JID, who func(jid.JID) bool) {
	h.presence.Show(owner, who)
	h.rooms.Deaf(owner, nil)
}
