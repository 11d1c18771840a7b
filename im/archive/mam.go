package archive

import (
	"context"
	"errors"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/search"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/rsm"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Space is the namespace of message archive management (XEP-0313 §11).
const Space = "urn:xmpp:mam:2"

// SpaceText is the namespace of full text search (XEP-0431 §2.1), SpaceGroupchat says that the
// field include-groupchat is known (XEP-0313 §8).
const (
	SpaceText      = "urn:xmpp:fulltext:0"
	SpaceGroupchat = Space + "#groupchat-field"

	fieldText      = "{" + SpaceText + "}fulltext"
	fieldGroupchat = "include-groupchat"
	spaceValidate  = "http://jabber.org/protocol/xdata-validate"
)

// Pages: what a client gets if it does not say, and what it gets at most.
const (
	defaultPage = 50
	maxPage     = 250
)

// Feature is the archive as clients ask for it.
func Feature(a *Archive, routes *route.Table) im.Feature {
	m := mam{a: a, routes: routes}
	return im.Feature{
		Name: "archive",
		Specs: []im.Spec{
			{ID: "XEP-0313", Version: "1.1.3", Status: "complete", Note: "user and room archives, mam:2#extended"},
			{ID: "XEP-0431", Version: "0.2.0", Status: "complete", Note: "words, phrases in quotes, wor*; accents and case do not count"},
			{ID: "XEP-0059", Version: "1.0", Status: "complete", Note: "no page numbers, as §2.6 allows"},
			{ID: "XEP-0359", Version: "0.7.0", Status: "complete"},
		},
		AccountFeatures: []string{Space, Space + "#extended", SpaceGroupchat, SpaceText, "urn:xmpp:sid:0"},
		HostFeatures:    []string{rsm.Space},
		IQ: []im.Route{
			{Scope: im.ToSelf, Type: stanza.Set, Space: Space, Local: "query", Handle: m.query},
			{Scope: im.ToSelf, Type: stanza.Get, Space: Space, Local: "query", Handle: m.fields},
			{Scope: im.ToSelf, Type: stanza.Get, Space: Space, Local: "metadata", Handle: m.metadata},
		},
	}
}

type mam struct {
	a      *Archive
	routes *route.Table
}

// fields is XEP-0313 §4.1.1: what can be asked for.
func (m mam) fields(context.Context, *im.IQ) (*elem.Element, error) { return fieldForm(true), nil }

// fieldForm is the form; a room's archive has nothing but groupchat.
func fieldForm(groupchat bool) *elem.Element {
	f := form.New("form", Space).
		Add("jid-single", "with", "").Add("text-single", "start", "").Add("text-single", "end", "").
		Add("text-single", "before-id", "").Add("text-single", "after-id", "").Add("list-multi", "ids", "").
		Add("text-single", fieldText, "")
	if groupchat {
		f.Add("boolean", fieldGroupchat, "")
	}
	x := f.Element()
	for _, c := range x.Children {
		if c.Attr("var") == "ids" { // XEP-0313 §4.1.5: open to any value (XEP-0122 §3.2)
			c.Add(elem.New(spaceValidate, "validate", "datatype", "xs:string").Add(elem.New(spaceValidate, "open")))
		}
	}
	return elem.New(Space, "query").Add(x)
}

// metadata is XEP-0313 §6.1.
func (m mam) metadata(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	return Metadata(ctx, m.a, q.From.Bare())
}

// Metadata is <metadata/> of somebody's archive.
func Metadata(ctx context.Context, a *Archive, owner jid.JID) (*elem.Element, error) {
	first, last, err := a.Edges(ctx, owner)
	if err != nil {
		return nil, err
	}
	out := elem.New(Space, "metadata")
	if len(first) > 0 && len(last) > 0 {
		out.Add(elem.New(Space, "start", "id", first[0].Pos.String(), "timestamp", Stamp(first[0].At)),
			elem.New(Space, "end", "id", last[0].Pos.String(), "timestamp", Stamp(last[0].At)))
	}
	return out, nil
}

// query is XEP-0313 §4: the page goes to the session as messages, then the
// result of the IQ says how far it reached.
func (m mam) query(ctx context.Context, iq *im.IQ) (*elem.Element, error) {
	if iq.Session == nil {
		return nil, stanza.Fail("not-allowed", "an archive is read by its owner")
	}
	q, countOnly, flip, err := m.parse(iq)
	if err != nil {
		return nil, err
	}
	upto := m.routes.Fanned() // before the read: later ones the session gets as they come
	if countOnly {
		n, err := m.a.Count(ctx, q)
		if err != nil {
			return nil, refused(err)
		}
		return fin(Page{}, int(n)), nil
	}
	frames, bytes, _ := iq.Session.Room()
	q.Around = len(result(q.Owner, iq.From, iq.Payload.Attr("queryid"), &Kept{Stanza: []byte("<message></message>")}).Bytes)
	q.Max = min(q.Max, frames-8)
	q.MaxBytes = bytes / 4 * 3 // the rest of the queue stays for what else comes
	if q.Max < 1 || q.MaxBytes < q.Around {
		return nil, noRoom()
	}
	p, err := m.a.Read(ctx, q)
	if err != nil {
		return nil, refused(err)
	}
	if len(p.Messages) == 1 && len(p.Messages[0].Stanza)+q.Around > q.MaxBytes {
		return nil, noRoom()
	}
	m.send(iq, p, flip)
	iq.Session.Switch(func(f *session.Flags) { q.note(f, p, upto) })
	return fin(p, -1), nil
}

func noRoom() error {
	return stanza.Fail("resource-constraint", "acknowledge what was sent before asking for more of the archive").WithType("wait")
}

// refused is XEP-0313 §4.3.1: an id that is not in the archive.
func refused(err error) error {
	if errors.Is(err, ErrNotFound) {
		return stanza.Fail("item-not-found", "there is no message of that id in this archive")
	}
	return err
}

// note keeps in mind which part of the archive a client has read, if it is the
// one up to the end: what waits there need not be sent again.
func (q *Query) note(f *session.Flags, p Page, upto session.Pos) {
	if !q.With.IsZero() || !q.End.IsZero() || len(q.IDs) > 0 || q.Before != 0 || q.Text != nil {
		return
	}
	from := upto + 1 // nothing
	if len(p.Messages) > 0 {
		from = p.Messages[0].Pos
	}
	switch {
	case q.Backwards && !p.Complete: // the newest only
	case q.After != 0 && q.After == f.ArchiveLast: // the next page
		from = f.ArchiveFrom
	case q.After != 0 || q.Start.IsZero(): // it says that it has what came before
		from = 0
	}
	f.ArchiveFrom = from
	if f.Archive = q.Backwards || p.Complete; f.Archive {
		f.ArchivePos = upto
	}
	if n := len(p.Messages); n > 0 {
		f.ArchiveLast = p.Messages[n-1].Pos
	}
}

func (m mam) send(iq *im.IQ, p Page, flip bool) {
	id := iq.Payload.Attr("queryid")
	own := iq.From.Bare()
	n := len(p.Messages)
	page := make([]*session.Frame, 0, n)
	for i := range p.Messages {
		k := &p.Messages[i]
		if flip { // mam:2#extended §4.1.5: newest first within the page
			k = &p.Messages[n-1-i]
		}
		page = append(page, result(own, iq.From, id, k))
	}
	m.routes.PushAll(iq.Session, page)
}

// result wraps one message (XEP-0313 §4.2).
func result(own, to jid.JID, queryID string, k *Kept) *session.Frame {
	outer := stanza.Stanza{Kind: stanza.Message, From: own, To: to}
	dst, nameEnd := outer.AppendStart(make([]byte, 0, len(k.Stanza)+400))
	dst = append(dst, `<result xmlns="urn:xmpp:mam:2"`...)
	if queryID != "" {
		dst = elem.AppendAttr(dst, "queryid", queryID)
	}
	dst = elem.AppendAttr(dst, "id", k.Pos.String())
	dst = append(dst, `><forwarded xmlns="urn:xmpp:forward:0">`...)
	dst = appendDelay(dst, k.At, jid.JID{})
	dst = k.AppendIn(dst, nil)
	dst = append(dst, `</forwarded></result>`...)
	return &session.Frame{Bytes: outer.AppendEnd(dst), NameEnd: nameEnd, Kind: stanza.Message, Urgent: true}
}

// nameEnd is the offset behind "<message" in a stored stanza.
const nameEnd = len("<message")

// AppendIn writes the stored stanza with its namespace declared, and what is
// given before the end tag.
func (k *Kept) AppendIn(dst []byte, more []byte) []byte {
	st := k.content()
	dst = append(dst, st[:nameEnd]...)
	dst = append(dst, ` xmlns="jabber:client"`...)
	return appendRest(dst, st, more)
}

// AppendWith writes the stored stanza as it stands in a stream, and what is
// given before the end tag.
func (k *Kept) AppendWith(dst []byte, more []byte) []byte {
	st := k.content()
	dst = append(dst, st[:nameEnd]...)
	return appendRest(dst, st, more)
}

func appendRest(dst, st, more []byte) []byte {
	end := len(st) - len("</message>")
	dst = append(dst, st[nameEnd:end]...)
	dst = append(dst, more...)
	return append(dst, st[end:]...)
}

// appendDelay is XEP-0203 §2; from is left out if zero.
func appendDelay(dst []byte, at time.Time, from jid.JID) []byte {
	dst = append(dst, `<delay xmlns="urn:xmpp:delay"`...)
	if !from.IsZero() {
		dst = elem.AppendAttr(dst, "from", from.String())
	}
	dst = elem.AppendAttr(dst, "stamp", Stamp(at))
	return append(dst, '/', '>')
}

// Stamp is a time as XEP-0082 §3.2 writes it.
func Stamp(t time.Time) string { return stanza.Stamp(t) }

func fin(p Page, count int) *elem.Element {
	out := elem.New(Space, "fin")
	if p.Complete {
		out.Set("complete", "true")
	}
	if p.Unstable { // XEP-0313 §4.3.2
		out.Set("stable", "false")
	}
	r := rsm.Page{Count: count}
	if n := len(p.Messages); n > 0 {
		r.First, r.Last = p.Messages[0].Pos.String(), p.Messages[n-1].Pos.String()
	}
	return out.Add(r.Element())
}

// parse reads the form and the result set of a request (XEP-0313 §4.1).
func (m mam) parse(iq *im.IQ) (q Query, countOnly, flip bool, err error) {
	q = Query{Owner: iq.From.Bare(), Max: defaultPage}
	set, err := rsm.Read(iq.Payload.Child(rsm.Space, "set"))
	if err != nil {
		return q, false, false, err
	}
	if f := form.Read(iq.Payload.Child(form.Space, "x")); f != nil {
		if err := q.readForm(f); err != nil {
			return q, false, false, err
		}
	}
	if set.Max >= 0 {
		q.Max = min(set.Max, maxPage)
	}
	q.Backwards = set.Backwards
	if err := errors.Join(q.readAfter(set.After), q.readBefore(set.Before)); err != nil {
		return q, false, false, err
	}
	return q, set.Max == 0, iq.Payload.Child(Space, "flip-page") != nil, nil
}

// readAfter and readBefore take an archive id as a bound, if it is the tighter
// one: form and result set may both give one, and both hold (XEP-0313 §4.1.5).
func (q *Query) readAfter(s string) error {
	id, err := readID(s)
	q.After = max(q.After, id)
	return err
}

func (q *Query) readBefore(s string) error {
	id, err := readID(s)
	if id != 0 && (q.Before == 0 || id < q.Before) {
		q.Before = id
	}
	return err
}

// readID reads an archive id; an empty one is zero.
func readID(s string) (session.Pos, error) {
	if s == "" {
		return 0, nil
	}
	p, ok := session.ParsePos(s)
	if !ok {
		return 0, refused(ErrNotFound) // ids are ours to make, so this one names nothing
	}
	return p, nil
}

func (q *Query) readForm(f *form.Form) error {
	if f.Kind() != Space {
		return stanza.Fail("bad-request", "the form's FORM_TYPE must be "+Space)
	}
	for _, fd := range f.Fields {
		if len(fd.Values) == 0 {
			continue
		}
		var err error
		switch v := fd.Values[0]; fd.Var {
		case "FORM_TYPE":
		case "with":
			if q.With, err = jid.Parse(v); err != nil {
				return stanza.Fail("jid-malformed", "the field \"with\" is not a valid JID")
			}
		case "start":
			q.Start, err = parseTime(v)
		case "end":
			q.End, err = parseTime(v)
		case "after-id":
			err = q.readAfter(v)
		case "before-id":
			err = q.readBefore(v)
		case fieldText:
			err = q.readText(v)
		case fieldGroupchat:
			err = readBool(v)
		case "ids":
			for _, v := range fd.Values {
				id, err := readID(v)
				if err != nil {
					return err
				}
				q.IDs = append(q.IDs, id)
			}
			if len(q.IDs) > maxPage {
				return stanza.Fail("policy-violation", "too many ids in one request")
			}
		default:
			// XEP-0313 §4.1.2: a field the server does not know can't be ignored, the result would be wrong.
			return stanza.Fail("feature-not-implemented", "the archive can't be searched by "+fd.Var)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readText is XEP-0431 §3.1: an empty text is none.
func (q *Query) readText(s string) (err error) {
	if s == "" {
		return nil
	}
	if q.Text, err = search.Parse(s); err != nil {
		return stanza.Fail("policy-violation", "the text to search for is too long")
	}
	return nil
}

// readBool is a boolean of a form (XEP-0004 §3.3). There are no groupchat messages in a person's
// archive, so that both answers are the same page (XEP-0313 §4.1.4).
func readBool(s string) error {
	switch s {
	case "true", "1", "false", "0":
		return nil
	}
	return stanza.Fail("bad-request", "a boolean is true, 1, false or 0")
}

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, stanza.Fail("bad-request", "times are written as in XEP-0082: 2026-11-23T08:00:00Z")
	}
	return t, nil
}
