package room

import (
	"bytes"
	"context"
	"crypto/sha1" // XEP-0153 §4.1 names it; nothing is protected by it here
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
)

// maxVCard bounds a room's card, which stays in memory with the room.
const maxVCard = 64 << 10

// avatarGet is XEP-0486 §3.4.
func (rs desk) avatarGet(ctx context.Context, q *im.IQ) (out *elem.Element, err error) {
	err = rs.inRoom(ctx, q, func(r *room) error {
		if r.affiliationOf(q.From.Bare()) == Outcast {
			return errForbidden("you are banned from this room")
		}
		if r.vcard == nil {
			out = elem.New(spaceVCard, "vCard")
			return nil
		}
		out, err = elem.Parse(r.vcard)
		return err
	})
	return out, err
}

// avatarSet is XEP-0486 §3.2: an empty card takes the avatar away.
func (rs desk) avatarSet(ctx context.Context, q *im.IQ) error {
	card := bytes.Clone(q.Raw) // it outlives the request
	if len(q.Payload.Children) == 0 {
		card = nil
	}
	if len(card) > maxVCard {
		return fail("not-acceptable", "this card is too large")
	}
	return rs.changing(ctx, q, func(r *room) (*plan, error) {
		if err := rs.ownerOnly(r, q); err != nil {
			return nil, err
		}
		p := &plan{apply: func(r *room) {
			r.vcard = card
			r.tellCodes(codeConfig)
		}}
		if r.state == open {
			p.write = func(tx *store.Tx) error {
				_, err := tx.Exec(sqlVCard, r.at.String(), card)
				return err
			}
		}
		return p, nil
	})
}

// avatarHashes are those of XEP-0153 §4.1, one for each picture of the card
// (XEP-0486 §5.1); none without a picture.
func avatarHashes(card []byte) (out []string) {
	if card == nil {
		return nil
	}
	e, err := elem.Parse(card)
	if err != nil {
		return nil
	}
	for _, photo := range e.Children {
		if photo.Space != spaceVCard || photo.Local != "PHOTO" {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(photo.ChildText("BINVAL")), ""))
		if err != nil || len(b) == 0 {
			continue
		}
		sum := sha1.Sum(b)
		out = append(out, hex.EncodeToString(sum[:]))
	}
	return out
}
