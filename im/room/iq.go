package room

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/xmpp/disco"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// inRoom runs fn for a request to a room there is. One that is locked is there
// for its owner only (XEP-0045 §7.2.10).
func (rs desk) inRoom(ctx context.Context, q *im.IQ, fn func(*room) error) error {
	return rs.with(ctx, q.To, func(r *room) error {
		if err := rs.exists(r, q); err != nil {
			return err
		}
		return fn(r)
	})
}

// changing is inRoom for a durable change.
func (rs desk) changing(ctx context.Context, q *im.IQ, prepare func(*room) (*plan, error)) error {
	return rs.change(ctx, q.To, func(r *room) (*plan, error) {
		if err := rs.exists(r, q); err != nil {
			return nil, err
		}
		return prepare(r)
	})
}

func (rs desk) exists(r *room, q *im.IQ) error {
	if r.state == void || r.state == locked && rs.person(r, q).affiliation != Owner {
		return errNoRoom()
	}
	return nil
}

// IQ answers a request to the service or to a room.
func (rs *Rooms) IQ(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	if q.To.IsDomain() {
		return desk{rs, false}.serviceIQ(ctx, q)
	}
	boss, err := clerk{rs}.administers(ctx, q)
	if err != nil {
		return nil, err
	}
	return desk{rs, boss}.roomIQ(ctx, q)
}

// administers says whether a request that takes an affiliation is of somebody
// who administers the service.
func (rs clerk) administers(ctx context.Context, q *im.IQ) (bool, error) {
	if rs.Admin == nil {
		return false, nil
	}
	switch q.Payload.Space {
	case spaceAdmin, spaceOwner, spaceModerate, spaceCommands:
	case spaceVCard:
		if q.Type == stanza.Get {
			return false, nil
		}
	default:
		return false, nil
	}
	return rs.Admin(ctx, q.From.Bare())
}

// person is what somebody may as who he is in the room; whoever administers the
// service may what an owner may.
func (rs desk) person(r *room, q *im.IQ) who {
	if rs.boss {
		return who{Moderator, Owner}
	}
	return r.person(q.From.Bare())
}

func (rs desk) roomIQ(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	get := q.Type == stanza.Get
	switch q.Payload.Name {
	case elem.Name{Space: disco.InfoSpace, Local: "query"}:
		if get {
			return rs.roomInfo(ctx, q)
		}
	case elem.Name{Space: disco.ItemsSpace, Local: "query"}:
		if get {
			return rs.roomItems(ctx, q)
		}
	case elem.Name{Space: spaceAdmin, Local: "query"}:
		if get {
			return rs.adminGet(ctx, q)
		}
		return rs.adminSet(ctx, q)
	case elem.Name{Space: spaceOwner, Local: "query"}:
		if get {
			return rs.ownerGet(ctx, q)
		}
		return rs.ownerSet(ctx, q)
	case elem.Name{Space: spaceRegister, Local: "query"}:
		if get {
			return rs.registerGet(ctx, q)
		}
		return rs.registerSet(ctx, q)
	case elem.Name{Space: archive.Space, Local: "query"}, elem.Name{Space: archive.Space, Local: "metadata"}:
		return rs.archive(ctx, q)
	case elem.Name{Space: spaceCommands, Local: "command"}:
		if !get {
			return rs.command(ctx, q)
		}
	case elem.Name{Space: spaceModerate, Local: "moderate"}:
		if !get {
			return nil, rs.moderate(ctx, q)
		}
	case elem.Name{Space: spaceVCard, Local: "vCard"}:
		if get {
			return rs.avatarGet(ctx, q)
		}
		return nil, rs.avatarSet(ctx, q)
	case elem.Name{Space: spacePing, Local: "ping"}:
		if get {
			return nil, rs.inRoom(ctx, q, func(*room) error { return nil })
		}
	}
	return nil, fail("service-unavailable", "a room does not answer this request")
}

func (rs desk) serviceIQ(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	if q.Type != stanza.Get {
		return nil, fail("service-unavailable", "nobody here answers this request")
	}
	switch q.Payload.Name {
	case elem.Name{Space: disco.InfoSpace, Local: "query"}:
		return rs.serviceInfo(q)
	case elem.Name{Space: disco.ItemsSpace, Local: "query"}:
		return rs.serviceItems(ctx, q)
	case elem.Name{Space: spaceSearch, Local: "search"}:
		return rs.search(ctx, q)
	case elem.Name{Space: spaceUnique, Local: "unique"}:
		return clerk{rs.Rooms}.name(ctx, q)
	case elem.Name{Space: spacePing, Local: "ping"}:
		return nil, nil
	}
	return nil, fail("service-unavailable", "nobody here answers this request")
}
