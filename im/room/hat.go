package room

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// spaceHats is XEP-0317.
const spaceHats = "urn:xmpp:hats:0"

// hat is one hat of a room, by its URI.
type hat struct{ title, hue string }

// hats are those of a room, and who wears which. The maps are replaced, not
// changed: a change under way may be reading the old ones.
type hats struct {
	all  map[string]hat
	worn map[jid.JID][]string // sorted URIs
}

// Bounds of a room's hats.
const (
	maxHats  = 100
	maxWorn  = 20 // by one account
	maxTitle = 100
	maxURI   = 500
)

const (
	sqlHats      = `SELECT uri, title, hue FROM room_hat WHERE room = $1`
	sqlHat       = `INSERT INTO room_hat (room, uri, title, hue) VALUES ($1, $2, $3, $4) ON CONFLICT (room, uri) DO UPDATE SET title = excluded.title, hue = excluded.hue`
	sqlUnhat     = `DELETE FROM room_hat WHERE room = $1 AND uri = $2`
	sqlWorn      = `SELECT jid, uri FROM room_hat_worn WHERE room = $1 ORDER BY jid, uri`
	sqlWear      = `INSERT INTO room_hat_worn (room, jid, uri) VALUES ($1, $2, $3) ON CONFLICT (room, jid, uri) DO NOTHING`
	sqlUnwear    = `DELETE FROM room_hat_worn WHERE room = $1 AND jid = $2 AND uri = $3`
	sqlUnwearAll = `DELETE FROM room_hat_worn WHERE room = $1 AND uri = $2`
	sqlNoHats    = `DELETE FROM room_hat WHERE room = $1`
	sqlNoWorn    = `DELETE FROM room_hat_worn WHERE room = $1`
	sqlForgetHat = `DELETE FROM room_hat_worn WHERE jid = $1`
)

func readHats(tx *store.Tx, room jid.JID) (h hats, err error) {
	h = hats{map[string]hat{}, map[jid.JID][]string{}}
	err = tx.Each(func(r store.RowScanner) error {
		var uri string
		var one hat
		if err := r.Scan(&uri, &one.title, &one.hue); err != nil {
			return err
		}
		h.all[uri] = one
		return nil
	}, sqlHats, room.String())
	if err != nil {
		return h, err
	}
	return h, tx.Each(func(r store.RowScanner) error {
		var who, uri string
		if err := r.Scan(&who, &uri); err != nil {
			return err
		}
		j, err := jid.Parse(who)
		if err != nil {
			return fmt.Errorf("room: who wears a hat in %s can't be read: %q", room, who)
		}
		h.worn[j] = append(h.worn[j], uri)
		return nil
	}, sqlWorn, room.String())
}

// writeHats writes all hats of a room that was only in memory.
func writeHats(tx *store.Tx, room jid.JID, h hats) error {
	for uri, one := range h.all {
		if _, err := tx.Exec(sqlHat, room.String(), uri, one.title, one.hue); err != nil {
			return err
		}
	}
	for who, uris := range h.worn {
		for _, uri := range uris {
			if _, err := tx.Exec(sqlWear, room.String(), who.String(), uri); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendHats writes what an account wears into a presence (XEP-0317 §3.1).
func (h hats) appendHats(dst []byte, bare jid.JID) []byte {
	uris := h.worn[bare]
	if len(uris) == 0 {
		return dst
	}
	e := elem.New(spaceHats, "hats")
	for _, uri := range uris {
		one, ok := h.all[uri]
		if !ok {
			continue
		}
		k := elem.New(spaceHats, "hat", "title", one.title, "uri", uri)
		if one.hue != "" {
			k.Set("hue", one.hue)
		}
		e.Add(k)
	}
	return e.AppendTo(dst, "jabber:client")
}

// hash tells one list of hats from another (XEP-0317 §2); empty without hats.
func (h hats) hash() string {
	if len(h.all) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, uri := range slices.Sorted(maps.Keys(h.all)) {
		fmt.Fprintf(sum, "%q%q%q", uri, h.all[uri].title, h.all[uri].hue)
	}
	return hex.EncodeToString(sum.Sum(nil)[:20])
}

// with is the hats with one made or changed.
func (h hats) with(uri string, one hat) hats {
	all := maps.Clone(h.all)
	if all == nil {
		all = map[string]hat{}
	}
	all[uri] = one
	return hats{all, h.worn}
}

// without is the hats without one; nobody wears it any more.
func (h hats) without(uri string) hats {
	out := hats{maps.Clone(h.all), map[jid.JID][]string{}}
	delete(out.all, uri)
	for who, uris := range h.worn {
		if rest := slices.DeleteFunc(slices.Clone(uris), func(u string) bool { return u == uri }); len(rest) > 0 {
			out.worn[who] = rest
		}
	}
	return out
}

// put is the hats with one on an account's head, or off it.
func (h hats) put(who jid.JID, uri string, on bool) hats {
	worn := maps.Clone(h.worn)
	if worn == nil {
		worn = map[jid.JID][]string{}
	}
	mine := slices.DeleteFunc(slices.Clone(worn[who]), func(u string) bool { return u == uri })
	if on {
		mine = append(mine, uri)
		slices.Sort(mine)
	}
	if worn[who] = mine; len(mine) == 0 {
		delete(worn, who)
	}
	return hats{h.all, worn}
}

// wearers are who wears a hat.
func (h hats) wearers(uri string) (out []jid.JID) {
	for who, uris := range h.worn {
		if slices.Contains(uris, uri) {
			out = append(out, who)
		}
	}
	return out
}

// rehat plans other hats: written, then those whose presence changes are shown
// anew (XEP-0317 §3.2), and, if the list has changed, all are told.
func (r rule) rehat(next hats, changed []jid.JID, list bool, write func(*store.Tx) error) *plan {
	p := &plan{apply: func(r *room) {
		r.hats = next
		for _, o := range slices.Clone(r.people) {
			if slices.Contains(changed, o.bare) {
				r.announce(o, why{})
			}
		}
		if list {
			r.tellCodes(codeConfig)
		}
	}}
	if r.state == open {
		p.write = write
	}
	return p
}

// readHat checks what a form says of a hat.
func readHat(uri, title, hue string) (hat, error) {
	switch {
	case uri == "" || len(uri) > maxURI:
		return hat{}, fail("bad-request", "a hat needs a URI")
	case title == "" || len(title) > maxTitle:
		return hat{}, fail("bad-request", "a hat needs a short title")
	}
	if hue != "" {
		if v, err := strconv.ParseFloat(hue, 64); err != nil || !(v >= 0 && v <= 360) {
			return hat{}, fail("not-acceptable", "a hue is an angle between 0 and 360") // XEP-0392 §3
		}
	}
	return hat{title, hue}, nil
}
