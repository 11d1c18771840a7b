package transfer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Import reads all accounts of the target's host from the files in dir. It can be
// run again after it broke off: what is there is not added twice.
func Import(ctx context.Context, to Target, dir string, o Options) (sum Sum, err error) {
	if o.Memory == 0 {
		o.Memory = 32 << 20
	}
	scratch, err := os.MkdirTemp(o.Scratch, "import-")
	if err != nil {
		return sum, fmt.Errorf("transfer: import: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	im := &importer{ctx: ctx, to: to, o: o, sort: sorter{dir: scratch, memory: o.Memory}}
	im.service, _ = to.Rooms()
	im.writing, im.failed = errgroup.WithContext(ctx)
	im.writing.SetLimit(abreast)
	if err := readFolder(dir, im); err != nil {
		_ = im.writing.Wait() // what failed first is told
		return im.sum, fmt.Errorf("transfer: import: %w", err)
	}
	if err := im.writing.Wait(); err != nil {
		return im.sum, fmt.Errorf("transfer: import: %w", err)
	}
	if err := im.messages(); err != nil {
		return im.sum, fmt.Errorf("transfer: import: messages: %w", err)
	}
	return im.sum, nil
}

// importer is the handler of a reader.
type importer struct {
	ctx  context.Context
	to   Target
	o    Options
	sort sorter

	writing *errgroup.Group
	failed  context.Context // ends when an account can't be written
	mu      sync.Mutex
	sum     Sum // owner: mu while accounts are written

	documents, kept int   // whole documents; those of them whose ids are positions
	places          *bool // archive ids are places in one order: the files are all of one server; nil: not known yet
	here            bool
	skip            bool // the present user is left out

	who     jid.JID
	r       account.Restored
	items   []roster.Item
	pending []roster.Waiting
	parts   []*elem.Element

	pieces     []pubsub.Piece
	pieceBytes int
	fresh      map[string]bool // nodes this import has made, of the present user; then his writer's

	service jid.JID // of rooms, zero if there is none
	rooms   bool    // the present host is it
	place   *elem.Element
}

func (im *importer) document() { im.documents++ }

func (im *importer) export(positions bool) {
	if positions {
		im.kept++
	}
}

func (im *importer) unknown(what string) { im.leave(what) }

func (im *importer) leave(what string) { im.count(func(s *Sum) { s.leave(what) }) }

func (im *importer) host(name string) error {
	j, err := jid.Parse(name)
	if im.rooms = err == nil && !im.service.IsZero() && j == im.service; im.rooms {
		im.here = false
		return nil
	}
	// XEP-0227 §4.1: hosts that are not ours are told of.
	if im.here = err == nil && j == im.to.Host(); !im.here {
		im.leave("host " + name)
	}
	return nil
}

func (im *importer) user(name, password string) error {
	if err := im.ctx.Err(); err != nil {
		return err
	}
	im.skip, im.items, im.pending, im.parts = !im.here, nil, nil, nil
	im.pieces, im.pieceBytes, im.fresh = nil, 0, map[string]bool{}
	if im.skip {
		return nil
	}
	who, err := jid.New(name, im.to.Host().Domain(), "")
	if err != nil || who.Local() == "" {
		im.skip = true
		im.leave("accounts whose names can't be used")
		return nil
	}
	im.who = who
	im.r = account.Restored{Account: account.Account{JID: who}, Password: password}
	return nil
}

// part takes a child of a <user/>.
func (im *importer) part(u *unit) error {
	if im.skip {
		return nil
	}
	e, err := u.element()
	if err != nil {
		im.leave("unreadable <" + u.name.Local + "/>")
		return nil
	}
	switch {
	case e.Space == spaceSCRAM && e.Local == "scram-credentials":
		im.keys(e)
	case e.Space == SpaceExport && e.Local == "account":
		im.about(e)
	case e.Space == spaceRoster && e.Local == "query":
		im.roster(e)
	case e.Local == "presence" && e.Attr("type") == "subscribe" && (e.Space == spaceClient || e.Space == space): // prosody leaves its namespace out
		im.request(e)
	default:
		im.parts = append(im.parts, e)
	}
	return nil
}

// keys is XEP-0227 §4.3.
func (im *importer) keys(e *elem.Element) {
	h := sasl.Hash(strings.TrimPrefix(e.Attr("mechanism"), "SCRAM-"))
	k := sasl.Keys{Known: true}
	var errs [4]error
	k.Iterations, errs[0] = strconv.Atoi(strings.TrimSpace(e.ChildText("iter-count")))
	for i, f := range []struct {
		name string
		to   *[]byte
	}{{"salt", &k.Salt}, {"stored-key", &k.StoredKey}, {"server-key", &k.ServerKey}} {
		*f.to, errs[i+1] = base64.StdEncoding.DecodeString(strings.TrimSpace(e.ChildText(f.name)))
	}
	if errors.Join(errs[:]...) != nil || !account.KnownHash(h) {
		im.leave("keys of " + e.Attr("mechanism"))
		return
	}
	if im.r.Keys == nil {
		im.r.Keys = map[sasl.Hash]sasl.Keys{}
	}
	im.r.Keys[h] = k
}

func (im *importer) about(e *elem.Element) {
	im.r.Name, im.r.Admin, im.r.Disabled = e.Attr("name"), e.Attr("admin") == "true", e.Attr("disabled") == "true"
	if us, err := strconv.ParseInt(e.Attr("created"), 10, 64); err == nil {
		im.r.Created = time.UnixMicro(us).UTC()
	}
}

// roster is XEP-0227 §4.4.
func (im *importer) roster(e *elem.Element) {
	for _, c := range e.Children {
		if c.Local != "item" || c.Space != spaceRoster {
			continue
		}
		j, err := jid.Parse(c.Attr("jid"))
		if err != nil || !j.IsBare() || j == im.who {
			im.leave("contacts whose addresses can't be used")
			continue
		}
		it := roster.Item{JID: j, Name: c.Attr("name"), Subscription: c.Attr("subscription"), Ask: c.Attr("ask") == "subscribe",
			Approved: c.Attr("approved") == "true" || c.Attr("approved") == "1"}
		for _, g := range c.Children {
			if g.Local == "group" && g.Space == spaceRoster {
				it.Groups = append(it.Groups, g.Text)
			}
		}
		im.items = append(im.items, it)
	}
}

// request is XEP-0227 §4.9.
func (im *importer) request(e *elem.Element) {
	from, err := jid.Parse(e.Attr("from"))
	if err != nil {
		im.leave("requests whose addresses can't be used")
		return
	}
	e.Space = stanza.Space
	e.Set("from", from.Bare().String()).Set("to", im.who.String())
	im.pending = append(im.pending, roster.Waiting{From: from.Bare(), Stanza: e.AppendTo(nil, stanza.Space)})
}

// message takes a copy of a message; the account it belongs to comes to its end later.
func (im *importer) message(u *unit, id, stamp string, waits bool) error {
	if im.skip {
		return nil
	}
	p, err := readMessage(u, im.who)
	if err != nil {
		im.leave("unreadable messages")
		return nil
	}
	if waits {
		id, stamp = p.id, p.delay
	}
	at, err := time.Parse(time.RFC3339Nano, stamp) // XEP-0082 §3.2
	if err != nil {
		im.leave("messages without a time")
		return nil
	}
	return im.sorted(&item{at: at.UnixMicro(), owner: im.who.String(), waits: waits, text: p.st.AppendTo(nil)}, id)
}

// sorted brings a message to its place in the common order.
func (im *importer) sorted(i *item, id string) error {
	if pos, ok := session.ParsePos(id); ok {
		i.pos = int64(pos)
	}
	i.key = i.at
	if im.places == nil {
		places := im.kept == im.documents
		im.places = &places
	}
	if *im.places && im.kept < im.documents {
		return errors.New("these files are of different servers; import one folder after the other")
	}
	if *im.places && i.pos != 0 {
		i.key = i.pos
	}
	return im.sort.add(i)
}

// abreast is how many accounts are written at a time: they share flushes.
const abreast = 32

// endUser writes an account, beside others.
func (im *importer) endUser() error {
	if im.skip {
		return nil
	}
	if im.failed.Err() != nil {
		return context.Cause(im.failed)
	}
	if im.r.Password == "" && len(im.r.Keys) == 0 {
		im.leave("passwords (set new ones)")
	}
	who, r, items, pending, parts, pieces, fresh := im.who, im.r, im.items, im.pending, im.parts, im.pieces, im.fresh
	ours := im.kept == im.documents
	im.writing.Go(func() error {
		if err := im.account(who, r, items, pending, parts); err != nil {
			return err
		}
		return im.nodes(who, pieces, fresh, parts, ours)
	})
	return nil
}

func (im *importer) account(who jid.JID, r account.Restored, items []roster.Item, pending []roster.Waiting, parts []*elem.Element) error {
	added, err := im.to.AddAccount(im.failed, r)
	if why, refused := account.IsRefused(err); refused {
		im.count(func(s *Sum) { s.leave("account " + who.String() + ": " + why) })
		return nil
	}
	if err != nil {
		return err
	}
	if err := im.to.SetRoster(im.failed, who, items, pending); err != nil {
		return fmt.Errorf("roster of %s: %w", who, err)
	}
	for _, p := range parts {
		if isPrivate(p) {
			continue
		}
		if err := other(im, who, p); err != nil {
			return err
		}
	}
	im.count(func(s *Sum) {
		s.Accounts++
		s.Contacts += len(items)
		if !added {
			s.There++
		}
		im.o.tell(*s)
	})
	return nil
}

// nodes writes what is left of an account's nodes, and then what may be kept in
// nodes (XEP-0049, bookmarks), so that what is there already is seen.
func (im *importer) nodes(who jid.JID, pieces []pubsub.Piece, fresh map[string]bool, parts []*elem.Element, ours bool) error {
	if err := im.write(who, pieces, fresh); err != nil {
		return err
	}
	if len(fresh) > 0 && !ours {
		if err := im.to.DeriveNodes(im.failed, who, fresh); err != nil {
			return err
		}
	}
	for _, p := range parts {
		if !isPrivate(p) {
			continue
		}
		if err := other(im, who, p); err != nil {
			return err
		}
	}
	return nil
}

// other keeps an element that the target knows.
func other(im *importer, who jid.JID, p *elem.Element) error {
	known, err := im.to.SetPart(im.failed, who, p)
	if err == nil && !known {
		im.leave("<" + p.Local + "/> of " + p.Space)
	}
	return err
}

func isPrivate(e *elem.Element) bool { return e.Space == "jabber:iq:private" && e.Local == "query" }

func (im *importer) count(f func(*Sum)) {
	im.mu.Lock()
	defer im.mu.Unlock()
	f(&im.sum)
}

// messages brings all archives into one order and keeps them.
func (im *importer) messages() error {
	m := &merger{ctx: im.ctx, to: im.to, positions: im.places != nil && *im.places, sum: &im.sum, byKey: map[identity][]*joined{},
		tell: func() { im.o.tell(im.sum) }}
	err := im.sort.each(func(i *item) error {
		if err := im.ctx.Err(); err != nil {
			return err
		}
		return m.add(i)
	})
	if err != nil {
		return err
	}
	return m.end()
}
