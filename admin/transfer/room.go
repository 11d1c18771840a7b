package transfer

import (
	"fmt"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// nodes writes an account's personal nodes: XEP-0227 §4.10, first what they are
// (§4.10.1), then what is in them (§4.10.2), a page at a time.
func (e *exporter) nodes(w *writer, owner jid.JID) {
	root, limits, err := e.src.Nodes(e.ctx, owner)
	w.fail(err)
	if err != nil || len(root.Nodes()) == 0 {
		return
	}
	mine := string(elem.AppendAttr(nil, "xmlns", spaceOwner))
	w.text("<pubsub" + mine + ">\n")
	for _, n := range root.Nodes() {
		for _, part := range n.Save(limits) {
			w.text(string(part.AppendTo(nil, spaceOwner)) + "\n")
		}
		e.sum.Nodes++
	}
	w.text("</pubsub>\n<pubsub" + string(elem.AppendAttr(nil, "xmlns", spaceNode)) + ">\n")
	for _, n := range root.Nodes() {
		w.text("<items" + string(elem.AppendAttr(nil, "node", n.Name)) + ">\n")
		e.items(w, n)
		w.text("</items>\n")
	}
	w.text("</pubsub>\n")
}

func (e *exporter) items(w *writer, n *pubsub.Node) {
	for q := (pubsub.Query{Max: page, Bytes: 1 << 20}); w.err == nil; {
		p, err := e.src.Items(e.ctx, n, q)
		w.fail(err)
		for i := range p.Items {
			w.text(string(p.Items[i].Save().AppendTo(nil, spaceNode)) + "\n")
			e.sum.Items++
		}
		if err != nil || p.Complete || len(p.Items) == 0 {
			return
		}
		q.After = p.Items[len(p.Items)-1].ID
	}
}

// rooms writes the service's file and one for each room. XEP-0227 §2 leaves them
// out of its scope; they are in elements of SpaceExport, beside the host.
func (e *exporter) rooms() error {
	service, secret := e.src.Rooms()
	if service.IsZero() {
		return nil
	}
	about := elem.New(SpaceExport, "rooms", "secret", secret)
	if e.o.Flat {
		w := &writer{}
		e.eachRoom(w, service, about)
		return w.err
	}
	return e.file(service.String()+".xml", func(w *writer) {
		w.text(open("host").attr("xmlns:xi", spaceInclude).attr("jid", service.String()).end())
		w.element(about)
		e.eachRoom(w, service, about)
		w.text("</host>\n")
	})
}

// whole writes a document with one host.
func (e *exporter) whole(w *writer, host jid.JID, f func()) {
	w.text(open("server-data").end() + exported().String() + "\n<host" + string(elem.AppendAttr(nil, "jid", host.String())) + ">\n")
	f()
	w.text("</host></server-data>\n")
}

func (e *exporter) eachRoom(w *writer, service jid.JID, about *elem.Element) {
	for after := ""; w.err == nil; {
		list, err := e.src.SaveRooms(e.ctx, after, page)
		w.fail(err)
		if len(list) == 0 {
			return
		}
		for i := range list {
			r := &list[i]
			if after = r.At.String(); r.At.Domain() != service.Domain() {
				continue
			}
			name := service.String() + "/" + fileName(r.At.Local()) + ".xml"
			if e.o.Flat {
				name = fileName(r.At.Local()) + "@" + service.String() + ".xml"
			}
			w.fail(e.file(name, func(w *writer) {
				if e.o.Flat {
					e.whole(w, service, func() { w.element(about); e.room(w, r) })
					return
				}
				w.text("<?xml version='1.0' encoding='UTF-8'?>\n")
				e.room(w, r)
			}))
			if !e.o.Flat {
				w.text(include(name))
			}
			e.sum.Rooms++
			e.o.tell(e.sum)
		}
	}
}

// room writes a room and what was said in it, with who said it.
func (e *exporter) room(w *writer, r *room.Saved) {
	start := append([]byte("<room"), elem.AppendAttr(nil, "xmlns", SpaceExport)...)
	for _, a := range r.Room.Attrs {
		start = elem.AppendAttr(start, a.Local, a.Value)
	}
	w.text(string(start) + ">\n")
	for _, k := range r.Room.Children {
		w.text(string(k.AppendTo(nil, SpaceExport)) + "\n")
	}
	w.text("<archive" + string(elem.AppendAttr(nil, "xmlns", spaceMAM)) + ">\n")
	for after := session.Pos(0); w.err == nil; {
		list, err := e.src.RoomArchive(e.ctx, r, after, page)
		w.fail(err)
		for i := range list {
			k := &list[i]
			if after = k.Pos; k.Damaged() {
				e.sum.leave("unreadable records")
				continue
			}
			by := elem.New(SpaceExport, "sender", "jid", k.Sender.String())
			w.text(string(append(result(&k.Kept, by), "</forwarded></result>\n"...)))
			e.sum.Messages++
		}
		if len(list) < page {
			break
		}
	}
	w.text("</archive>\n</room>\n")
}

// result begins an archived message (XEP-0313 §4.2), up to the end of <forwarded/>,
// with what is to be known before it.
func result(k *archive.Kept, first ...*elem.Element) []byte {
	b := append([]byte("<result"), elem.AppendAttr(elem.AppendAttr(nil, "xmlns", spaceResult), "id", k.Pos.String())...)
	b = append(b, '>')
	for _, e := range first {
		b = e.AppendTo(b, spaceResult)
	}
	b = append(b, "<forwarded xmlns='"+spaceForward+"'>"...)
	b = elem.New(spaceDelay, "delay", "stamp", stamp(k)).AppendTo(b, spaceForward)
	return k.AppendIn(b, nil)
}

// bufferedPieces is how many bytes of an account's nodes are read before they are written.
const bufferedPieces = 1 << 20

// piece takes part of a node. Small nodes are written with their account, large
// ones as they are read.
func (im *importer) piece(node string, u *unit) error {
	if im.skip {
		return nil
	}
	e, err := u.element()
	if err != nil || node == "" {
		im.leave("unreadable parts of nodes")
		return nil
	}
	im.pieces = append(im.pieces, pubsub.Piece{Node: node, Part: e})
	if im.pieceBytes += len(u.raw); im.pieceBytes < bufferedPieces {
		return nil
	}
	pieces := im.pieces
	im.pieces, im.pieceBytes = nil, 0
	return im.write(im.who, pieces, im.fresh)
}

// write keeps pieces of an account's nodes.
func (im *importer) write(who jid.JID, pieces []pubsub.Piece, fresh map[string]bool) error {
	if len(pieces) == 0 {
		return nil
	}
	left, err := im.to.SetNodes(im.failed, who, pieces, fresh)
	if err != nil {
		return err
	}
	im.count(func(s *Sum) {
		for _, l := range left {
			s.leave(l)
		}
		for i := range pieces {
			switch pieces[i].Part.Local {
			case "configure":
				s.Nodes++
			case "item":
				s.Items++
			}
		}
	})
	return nil
}

// room begins a room.
func (im *importer) room(name, created string) error {
	at, err := jid.New(name, im.service.Domain(), "")
	if im.skip = !im.rooms; im.skip {
		return nil
	}
	if err != nil || at.Local() == "" {
		im.skip = true
		im.leave("rooms whose names can't be used")
		return nil
	}
	im.who, im.place = at, elem.New(SpaceExport, "room", "name", name, "created", created)
	return nil
}

func (im *importer) roomPart(u *unit) error {
	if im.skip {
		return nil
	}
	e, err := u.element()
	if err != nil {
		return fmt.Errorf("room %s: %w", im.who, err)
	}
	im.place.Add(e)
	return nil
}

// endRoom adds the room before the messages of its archive, which come last.
func (im *importer) endRoom() error {
	if im.skip {
		return nil
	}
	if _, err := im.to.AddRoom(im.ctx, im.who, im.place); err != nil {
		return err
	}
	im.count(func(s *Sum) { s.Rooms++ })
	return nil
}

func (im *importer) secret(text string) error {
	if !im.rooms || text == "" {
		return nil
	}
	return im.to.SetSecret(im.ctx, text)
}

// said takes a message of a room's archive.
func (im *importer) said(u *unit, id, stamp, sender string) error {
	if im.skip {
		return nil
	}
	p, err := readMessage(u, im.who)
	from, bad := jid.Parse(sender)
	at, late := time.Parse(time.RFC3339Nano, stamp)
	if err != nil || bad != nil || late != nil {
		im.leave("unreadable messages of rooms")
		return nil
	}
	p.st.To = jid.JID{} // XEP-0313 §6.1.2
	return im.sorted(&item{at: at.UnixMicro(), owner: im.who.String(), sender: from.String(), text: p.st.AppendTo(nil)}, id)
}
