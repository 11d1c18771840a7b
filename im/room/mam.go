package room

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// mayRead is XEP-0313 §6.1.2: who may enter the room now may read its archive.
func (r *room) mayRead(from jid.JID) error {
	bare := from.Bare()
	w := r.person(bare)
	switch {
	case w.affiliation == Outcast:
		return errForbidden("you are banned from this room")
	case w.affiliation >= Member:
		return nil
	case r.cfg.MembersOnly:
		return errForbidden("only members read what was said in this room")
	case r.cfg.PasswordRequired && w.role == NoRole:
		return errForbidden("enter this room to read what was said in it")
	}
	return nil
}

// archive answers XEP-0313 requests to a room.
func (rs desk) archive(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	of := archive.RoomArchive{Archive: rs.Archive, Routes: rs.Routes, Owner: q.To}
	err := rs.inRoom(ctx, q, func(r *room) error {
		of.Floor, of.Real = r.since, r.sees(r.person(q.From.Bare()).role)
		return r.mayRead(q.From)
	})
	if err != nil {
		return nil, err
	}
	return of.Answer(ctx, q)
}
