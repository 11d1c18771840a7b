package room

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// ExportSpace is the namespace of <room/> and <rooms/> in an export: XEP-0227 §2
// leaves rooms out. What is in <room/> is in the forms of XEP-0045.
const ExportSpace = "https://parlance.im/protocol/export"

const (
	sqlSaved    = `SELECT jid FROM room WHERE jid > $1 ORDER BY jid LIMIT $2`
	sqlRooms    = `SELECT count(*) FROM room WHERE substr(jid, length(jid) - length($1)) = '@' || $1`
	sqlSecretTo = `INSERT INTO room_secret (service, secret) VALUES ($1, $2) ON CONFLICT (service) DO UPDATE SET secret = excluded.secret`
)

// Saved is a room without its archive.
type Saved struct {
	At    jid.JID
	Since session.Pos // where its archive begins, exclusive
	Room  *elem.Element
}

// Save reads rooms behind an address, in order, for an export.
func Save(ctx context.Context, db *store.DB, after string, n int) (out []Saved, err error) {
	var at []jid.JID
	err = db.Read(ctx, func(tx *store.Tx) error {
		at = nil
		return tx.Each(func(r store.RowScanner) error {
			var text string
			if err := r.Scan(&text); err != nil {
				return err
			}
			j, err := jid.Parse(text)
			at = append(at, j)
			return err
		}, sqlSaved, after, n)
	})
	if err != nil {
		return nil, fmt.Errorf("room: save: %w", err)
	}
	for _, j := range at {
		s, err := readRoom(ctx, db, j)
		if err != nil {
			return nil, err
		}
		if s == nil {
			continue
		}
		e, err := s.element(j)
		if err != nil {
			return nil, fmt.Errorf("room: save %s: %w", j, err)
		}
		out = append(out, Saved{j, s.since, e})
	}
	return out, nil
}

// element is a room as it is exported: its configuration as a submitted form
// (XEP-0045 §10.2), its affiliations as a list of admins' items (XEP-0045 §9.5),
// the message that set its subject, its card.
func (s *stored) element(at jid.JID) (*elem.Element, error) {
	e := elem.New(ExportSpace, "room", "name", at.Local(), "created", strconv.FormatInt(s.created.UnixMicro(), 10))
	x := s.config.form(at, nil, nil)
	x.Set("type", "submit")
	x.Children = slices.DeleteFunc(x.Children, func(f *elem.Element) bool {
		v := f.Attr("var") // owners and admins are among the affiliations
		return v == "muc#roomconfig_roomadmins" || v == "muc#roomconfig_roomowners"
	})
	e.Add(x)
	list := elem.New("http://jabber.org/protocol/muc#admin", "query")
	for who, g := range s.grants {
		item := elem.New(list.Space, "item", "jid", who.String(), "affiliation", g.affiliation.String())
		if g.nick != "" {
			item.Set("nick", g.nick)
		}
		if g.reason != "" {
			item.Add(elem.New(list.Space, "reason").SetText(g.reason))
		}
		list.Add(item)
	}
	slices.SortFunc(list.Children, func(a, b *elem.Element) int { return strings.Compare(a.Attr("jid"), b.Attr("jid")) })
	e.Add(list)
	if s.subject.content != nil {
		m, err := elem.ParseIn([]byte("<message>"+string(s.subject.content)+"</message>"), stanza.Space, nil)
		if err != nil {
			return nil, err
		}
		m.Set("from", s.subject.by).Set("type", "groupchat").Set("stamp", strconv.FormatInt(s.subject.at.UnixMicro(), 10))
		e.Add(elem.New(ExportSpace, "subject").Add(m))
	}
	if s.vcard != nil {
		card, err := elem.Parse(s.vcard)
		if err != nil {
			return nil, err
		}
		e.Add(card)
	}
	return e, nil
}

// Restore adds a room that Save gave, whose archive begins behind a position.
// One that is there stays as it is, and added is false.
func Restore(ctx context.Context, db *store.DB, at jid.JID, e *elem.Element, since session.Pos, history int) (added bool, err error) {
	s := &stored{since: since, created: time.Now().UTC(), grants: map[jid.JID]grant{}}
	if us, err := strconv.ParseInt(e.Attr("created"), 10, 64); err == nil {
		s.created = time.UnixMicro(us).UTC()
	}
	if err := s.read(e, history); err != nil {
		return false, fmt.Errorf("room: restore %s: %w", at, err)
	}
	err = db.Write(ctx, func(tx *store.Tx) error {
		var one int64
		added = false
		switch err := tx.Row(`SELECT 1 FROM room WHERE jid = $1`, at.String()).Scan(&one); {
		case err == nil:
			return nil
		case !errors.Is(err, store.ErrNoRows):
			return err
		}
		added = true
		return writeRoom(tx, at, s)
	})
	if err != nil {
		return false, fmt.Errorf("room: restore %s: %w", at, err)
	}
	return added, nil
}

// read takes a <room/> apart. What can't be read of it is an error: a room whose
// bans or password are lost would be another room.
func (s *stored) read(e *elem.Element, history int) error {
	for _, k := range e.Children {
		switch {
		case k.Space == form.Space && k.Local == "x":
			c, _, err := s.config.submitted(form.Read(k), history)
			if err != nil {
				return err
			}
			s.config = c
		case k.Local == "query":
			if err := s.readGrants(k); err != nil {
				return err
			}
		case k.Space == ExportSpace && k.Local == "subject" && len(k.Children) == 1:
			m := k.Children[0]
			us, err := strconv.ParseInt(m.Attr("stamp"), 10, 64)
			if err != nil {
				return err
			}
			s.subject = subject{content: []byte{}, by: m.Attr("from"), at: time.UnixMicro(us).UTC()}
			for _, c := range m.Children {
				s.subject.content = c.AppendTo(s.subject.content, stanza.Space)
			}
		case k.Space == "vcard-temp" && k.Local == "vCard":
			s.vcard = k.AppendTo(nil, "")
		}
	}
	return nil
}

func (s *stored) readGrants(query *elem.Element) error {
	for _, c := range query.Children {
		who, err := jid.Parse(c.Attr("jid"))
		if err != nil {
			return err
		}
		a, ok := parseAffiliation(c.Attr("affiliation"))
		if !ok {
			return fmt.Errorf("%q is no affiliation", c.Attr("affiliation"))
		}
		s.grants[who] = grant{a, c.Attr("nick"), c.ChildText("reason")}
	}
	return nil
}

// Secret is what the service's occupant ids are made with, for an export.
func Secret(rs *Rooms) string { return base64.StdEncoding.EncodeToString(rs.key) }

// SetSecret makes occupant ids what they were elsewhere (XEP-0421 §4.1), if there
// is no room yet whose ids would change.
func SetSecret(ctx context.Context, rs *Rooms, text string) error {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) < 16 {
		return errors.New("room: the secret of the service can't be read")
	}
	err = rs.DB.Write(ctx, func(tx *store.Tx) error {
		var n int64
		if err := tx.Row(sqlRooms, rs.Service.Domain()).Scan(&n); err != nil || n > 0 {
			return err
		}
		_, err := tx.Exec(sqlSecretTo, rs.Service.String(), key)
		return err
	})
	if err != nil {
		return fmt.Errorf("room: secret: %w", err)
	}
	return nil
}
