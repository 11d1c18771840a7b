package archive

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const (
	// $1 to $6 as in query.go, $7 a sender's address, $8 what its devices' addresses are like.
	sqlBy = `SELECT r.pos, r.at, r.stanza FROM view v JOIN record r ON r.pos = v.pos
		WHERE v.owner = $1 AND v.pos > $2 AND v.pos < $3 AND v.flags IN (1, 3)
		AND r.at >= $4 AND r.at <= $5 AND r.stanza IS NOT NULL AND (r.sender = $7 OR r.sender LIKE $8 ESCAPE '\') ORDER BY v.pos `
	sqlBeside = `SELECT r.pos, r.sender, t.stanza FROM view v JOIN record r ON r.pos = v.pos
		LEFT JOIN tombstone t ON t.owner = v.owner AND t.pos = v.pos
		WHERE v.owner = $1 AND v.pos IN `
	sqlFind = `SELECT sender, stanza FROM record WHERE pos = $1 AND recipient = $2 AND state = 0 AND stanza IS NOT NULL`
	sqlBury = `INSERT INTO tombstone (owner, pos, stanza) VALUES ($1, $2, $3) ON CONFLICT (owner, pos) DO NOTHING`
)

// A page may lie far apart: it is what a search found, or ids.
var sqlBeside32 = besideText()

func besideText() string {
	var b strings.Builder
	b.WriteString(sqlBeside)
	list(&b, 1, atOnce)
	return b.String()
}

// RoomKept is a message of a room's archive: who wrote it, and whether it is a
// tombstone (XEP-0424 §4).
type RoomKept struct {
	Kept
	Sender    jid.JID
	Retracted bool
}

// RoomPage is part of a room's archive, oldest first.
type RoomPage struct {
	Messages []RoomKept
	Complete bool
	Unstable bool
}

// ReadRoom returns a page of a room's archive, with tombstones in place of what
// was retracted. With is who wrote.
func (a *Archive) ReadRoom(ctx context.Context, q Query) (out RoomPage, err error) {
	q.by, q.With = q.With, jid.JID{}
	for _, id := range append([]session.Pos{q.After, q.Before}, q.IDs...) {
		if id != 0 && id <= q.Floor {
			return out, ErrNotFound
		}
	}
	err = a.readOwner(ctx, q.Owner.String(), func(tx *store.Tx) error {
		var p Page
		var err error
		if len(q.IDs) > 0 {
			p, err = readIDs(tx, q)
		} else if err = q.check(tx); err == nil {
			p, err = q.read(tx)
		}
		if err != nil {
			return err
		}
		out = RoomPage{Messages: make([]RoomKept, len(p.Messages)), Complete: p.Complete, Unstable: p.Unstable}
		for i := range p.Messages {
			out.Messages[i].Kept = p.Messages[i]
		}
		return out.beside(tx, q.Owner)
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("archive: read room: %w", err)
	}
	return out, err
}

// beside adds what a personal archive has no need of.
func (p *RoomPage) beside(tx *store.Tx, owner jid.JID) error {
	n := len(p.Messages)
	if n == 0 {
		return nil
	}
	at := make(map[session.Pos]*RoomKept, n)
	for i := range p.Messages {
		at[p.Messages[i].Pos] = &p.Messages[i]
	}
	for rest := p.Messages; len(rest) > 0; rest = rest[min(atOnce, len(rest)):] {
		args := make([]any, 1+atOnce)
		args[0] = owner.String()
		for i := range atOnce {
			args[1+i] = int64(0) // no position
			if i < len(rest) {
				args[1+i] = int64(rest[i].Pos)
			}
		}
		if err := tx.Each(func(row store.RowScanner) error { return addBeside(at, row) }, sqlBeside32, args...); err != nil {
			return err
		}
	}
	return nil
}

func addBeside(at map[session.Pos]*RoomKept, row store.RowScanner) error {
	var pos int64
	var sender string
	var stone []byte
	if err := row.Scan(&pos, &sender, &stone); err != nil {
		return err
	}
	k := at[session.Pos(pos)]
	if k == nil {
		return nil
	}
	var err error
	if k.Sender, err = jid.Parse(sender); err != nil {
		return err
	}
	if stone != nil {
		k.Stanza, k.Retracted = stone, true
	}
	return nil
}

// byText is text for a room's archive.
func (q *Query) byText(args []any) (string, []any) {
	return sqlBy, append(args, q.by.String(), q.likeBy())
}

// likeBy is what the addresses of who wrote are like.
func (q *Query) likeBy() string {
	like := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(q.by.String())
	if !q.by.IsFull() {
		like += "/%"
	}
	return like
}

// FindRecord reads a record that was addressed to an owner, within a transaction.
func FindRecord(tx *store.Tx, owner jid.JID, pos session.Pos) (k RoomKept, err error) {
	var sender string
	err = tx.Row(sqlFind, int64(pos), owner.String()).Scan(&sender, &k.Stanza)
	if errors.Is(err, store.ErrNoRows) {
		return k, ErrNotFound
	}
	if err == nil {
		k.Pos = pos
		k.Sender, err = jid.Parse(sender)
	}
	return k, err
}

// HasRecord says whether there is such a record.
func (a *Archive) HasRecord(ctx context.Context, owner jid.JID, pos session.Pos) (bool, error) {
	err := a.db.Read(ctx, func(tx *store.Tx) error {
		_, err := FindRecord(tx, owner, pos)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("archive: record: %w", err)
	}
	return true, nil
}

// Bury makes an owner's archive show something else in place of a record, which
// stays as it is (HARDENING I7).
func Bury(tx *store.Tx, owner jid.JID, pos session.Pos, stone []byte) error {
	_, err := tx.Exec(sqlBury, owner.String(), int64(pos), stone)
	return err
}

// RoomArchive answers XEP-0313 requests to a room, whose caller has seen that
// they may be answered.
type RoomArchive struct {
	Archive *Archive
	Routes  *route.Table
	Owner   jid.JID
	Floor   session.Pos // it begins behind
	Real    bool        // real addresses are shown (XEP-0313 §6.1.2)
}

// Answer answers one request.
func (r *RoomArchive) Answer(ctx context.Context, iq *im.IQ) (*elem.Element, error) {
	m := mam{a: r.Archive, routes: r.Routes}
	switch {
	case iq.Payload.Local == "metadata":
		return r.metadata(ctx)
	case iq.Type == stanza.Get:
		return fieldForm(false), nil
	case iq.Session == nil:
		return nil, stanza.Fail("not-allowed", "an archive is read by a client")
	}
	q, countOnly, flip, err := m.parse(iq)
	if err != nil {
		return nil, err
	}
	q.Owner, q.Floor = r.Owner, r.Floor
	if !q.With.IsZero() && (!r.Real || q.With.Domain() == r.Owner.Domain()) {
		// XEP-0313 §4.1.2: by who wrote it, for those who may know that.
		return nil, stanza.Fail("feature-not-implemented", "this archive can't be searched by who wrote")
	}
	frames, bytes, _ := iq.Session.Room()
	q.Around = len(r.result(iq, &RoomKept{Kept: Kept{Stanza: []byte("<message></message>")}, Sender: iq.From}).Bytes)
	q.Max = min(q.Max, frames-8)
	q.MaxBytes = bytes / 4 * 3
	if countOnly {
		q.Max, q.MaxBytes = countMost, 0
	} else if q.Max < 1 || q.MaxBytes < q.Around {
		return nil, noRoom()
	}
	p, err := r.Archive.ReadRoom(ctx, q)
	if err != nil {
		return nil, refused(err)
	}
	if countOnly {
		return fin(Page{}, len(p.Messages)), nil
	}
	n := len(p.Messages)
	if n == 1 && len(p.Messages[0].Stanza)+q.Around > q.MaxBytes {
		return nil, noRoom()
	}
	done := Page{Complete: p.Complete, Unstable: p.Unstable, Messages: make([]Kept, n)}
	for i := range p.Messages {
		done.Messages[i] = p.Messages[i].Kept
		k := &p.Messages[i]
		if flip {
			k = &p.Messages[n-1-i]
		}
		r.Routes.Push(iq.Session, r.result(iq, k))
	}
	return fin(done, -1), nil
}

// countMost bounds how far a room's archive is counted.
const countMost = 10_000

func (r *RoomArchive) result(iq *im.IQ, k *RoomKept) *session.Frame {
	kept := k.Kept
	if r.Real {
		x := elem.New("http://jabber.org/protocol/muc#user", "x").
			Add(elem.New("http://jabber.org/protocol/muc#user", "item", "jid", k.Sender.String()))
		kept.Stanza = kept.AppendWith(make([]byte, 0, len(kept.Stanza)+160), x.AppendTo(nil, stanza.Space))
	}
	return result(r.Owner, iq.From, iq.Payload.Attr("queryid"), &kept)
}

func (r *RoomArchive) metadata(ctx context.Context) (*elem.Element, error) {
	out := elem.New(Space, "metadata")
	for _, back := range []bool{false, true} {
		p, err := r.Archive.ReadRoom(ctx, Query{Owner: r.Owner, Floor: r.Floor, Backwards: back, Max: 1})
		if err != nil || len(p.Messages) == 0 {
			return out, err
		}
		name, k := "start", &p.Messages[0]
		if back {
			name = "end"
		}
		out.Add(elem.New(Space, name, "id", k.Pos.String(), "timestamp", Stamp(k.At)))
	}
	return out, nil
}
