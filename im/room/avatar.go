package room

import (
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
	card := q.Raw
	if len(q.Payload.Children) == 0 {
		card = nil
	}
	if len(card) > maxVCard {
		return fail("not-acceptable", "this card is too large")
	}
	return rs.changing(ctx, q, func(r *room) (*plan, error) {
		if err := (rule{r}).ownerOnly(q); err != nil {
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

// avatarHash is that of XEP-0153 §4.1; empty without a picture.
func avatarHash(card []byte) string {
	if card == nil {
		return ""
	}
	e, err := elem.Parse(card)
	if err != nil {
		return ""
	}
	text := e.Child("", "PHOTO").Child(spaceVCard, "BINVAL")
	if text == nil {
		return ""
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text.Text), ""))
	if err != nil || len(b) == 0 {
		return ""
	}
	sum := sha1.Sum(b)
	return hex.EncodeToString(sum[:])
}
