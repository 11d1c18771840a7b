package avatar

import (
	"bytes"
	"context"
	"crypto/sha1" // XEP-0084 §4.2.1 and XEP-0153 §3.1 name it; nothing is protected by it
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/cache"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// The nodes of XEP-0084 §4.
const (
	Data     = "urn:xmpp:avatar:data"
	Metadata = "urn:xmpp:avatar:metadata"
)

// Personal is the personal services; im/pep meets it.
type Personal interface {
	Do(ctx context.Context, account, by jid.JID, fn func(*pubsub.Writing) error) error
	Nodes() *pubsub.Store
	Relation(ctx context.Context, owner, who jid.JID) (pubsub.Relation, error)
}

// Presence sends an account's present presence again, changed; im/presence meets it.
type Presence interface {
	Revise(ctx context.Context, account jid.JID, change func(*stanza.Stanza) *stanza.Stanza) error
}

// Avatars is everybody's.
type Avatars struct {
	service Personal
	cache   *cache.Cache[shown]
}

// shown is what presence says of an avatar (XEP-0153 §4.1).
type shown struct {
	known bool   // there is something to say
	hash  string // "" for no picture
}

// New makes it. inUse accounts stay in memory.
func New(s Personal, inUse func(account jid.JID) bool) *Avatars {
	a := &Avatars{service: s}
	a.cache = cache.New(cache.Config[shown]{Load: a.load, Weight: func(*shown) int { return 1 }, Max: 100_000, InUse: inUse})
	return a
}

// Drop forgets what is in memory about an account that was removed.
func (a *Avatars) Drop(account jid.JID) { a.cache.Drop(account) }

// Feature is avatars as data.
func Feature() im.Feature {
	return im.Feature{
		Name: "avatar",
		Specs: []im.Spec{
			{ID: "XEP-0084", Version: "1.1.4", Status: "complete"},
			{ID: "XEP-0153", Version: "1.1.1", Status: "complete"},
			{ID: "XEP-0398", Version: "1.0.0", Status: "complete"},
		},
		AccountFeatures: []string{"urn:xmpp:pep-vcard-conversion:0"}, // XEP-0398 §2
	}
}

// info is what the newest metadata say of the picture that is kept here.
type info struct{ id, typ string }

// current reads it; ok is false if there are no metadata that are known.
func (a *Avatars) current(ctx context.Context, v *pubsub.Root) (i info, ok bool, err error) {
	n := v.Node(Metadata)
	if n == nil {
		return i, false, nil
	}
	it, ok, err := a.service.Nodes().Last(ctx, n)
	if err != nil || !ok {
		return i, false, err
	}
	e, err := elem.Parse(it.Payload)
	if err != nil || e.Space != Metadata || e.Local != "metadata" {
		return i, false, nil
	}
	for _, c := range e.Children {
		// XEP-0398 §3.1: not one that lies elsewhere.
		if c.Local == "info" && c.Space == Metadata && c.Attr("url") == "" && c.Attr("id") != "" {
			return info{strings.ToLower(c.Attr("id")), c.Attr("type")}, true, nil
		}
	}
	return i, true, nil // XEP-0084 §3.5: switched off
}

// load is what presence says: only what those who get the presence may read.
func (a *Avatars) load(ctx context.Context, account jid.JID) (*shown, error) {
	v, err := a.service.Nodes().Root(ctx, account)
	if err != nil {
		return nil, err
	}
	n := v.Node(Metadata)
	if n == nil || n.Config.Access != pubsub.Open && n.Config.Access != pubsub.Presence {
		return &shown{}, nil
	}
	i, ok, err := a.current(ctx, v)
	if err != nil {
		return nil, err
	}
	if !ok || i.id == "" {
		return &shown{known: true}, nil
	}
	data := v.Node(Data)
	if data == nil {
		return &shown{known: true}, nil
	}
	if _, ok, err := a.service.Nodes().Item(ctx, data, i.id); err != nil || !ok {
		return &shown{known: true}, err
	}
	return &shown{known: true, hash: i.id}, nil
}

// Photo is an account's picture for a vCard: its type and base64, empty if there
// is none, or none that the asker may read (XEP-0398 §5.2, §7).
func (a *Avatars) Photo(ctx context.Context, owner, asker jid.JID) (typ, data string, err error) {
	v, err := a.service.Nodes().Root(ctx, owner)
	if err != nil || v.Node(Metadata) == nil || v.Node(Data) == nil {
		return "", "", err
	}
	r, err := a.service.Relation(ctx, owner, asker)
	if err != nil || v.Node(Metadata).Reads(asker, r) != nil || v.Node(Data).Reads(asker, r) != nil {
		return "", "", err
	}
	i, ok, err := a.current(ctx, v)
	if err != nil || !ok || i.id == "" {
		return "", "", err
	}
	it, ok, err := a.service.Nodes().Item(ctx, v.Node(Data), i.id)
	if err != nil || !ok {
		return "", "", err
	}
	e, err := elem.Parse(it.Payload)
	if err != nil || e.Space != Data || e.Local != "data" {
		return "", "", nil
	}
	text, sum, ok := decode(e.Text)
	if !ok || sum != i.id { // XEP-0398 §3.1: the picture is the one that was announced
		return "", "", nil
	}
	return i.typ, base64.StdEncoding.EncodeToString(text), nil
}

// decode reads base64 however it is broken into lines (XEP-0153 §4.5), and sums it.
func decode(s string) (b []byte, sum string, ok bool) {
	s = strings.Join(strings.Fields(s), "")
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) == 0 {
		return nil, "", false
	}
	h := sha1.Sum(b)
	return b, hex.EncodeToString(h[:]), true
}

// SetPhoto publishes the picture of a vCard (XEP-0398 §3.2); no data take the
// picture away. ok is false if the data are no picture.
func (a *Avatars) SetPhoto(ctx context.Context, owner, by jid.JID, data string) (ok bool, err error) {
	if data == "" {
		return true, a.clear(ctx, owner, by)
	}
	b, sum, ok := decode(data)
	typ := http.DetectContentType(b) // XEP-0153 §4.6: the picture itself says what it is
	if !ok || !strings.HasPrefix(typ, "image/") {
		return false, nil
	}
	v, err := a.service.Nodes().Root(ctx, owner)
	if err != nil {
		return true, err
	}
	if i, there, err := a.current(ctx, v); err != nil || there && i.id == sum {
		return true, err // XEP-0153 §4.2: the same again
	}
	return true, a.service.Do(ctx, owner, by, func(w *pubsub.Writing) error {
		payload := elem.New(Data, "data").SetText(base64.StdEncoding.EncodeToString(b)).AppendTo(nil, "")
		if err := put(w, Data, pubsub.Item{ID: sum, Payload: payload}); err != nil {
			return err
		}
		meta := elem.New(Metadata, "metadata").Add(elem.New(Metadata, "info", "bytes", strconv.Itoa(len(b)), "id", sum, "type", typ))
		return put(w, Metadata, pubsub.Item{ID: sum, Payload: meta.AppendTo(nil, "")})
	})
}

// put publishes to a node, which is made open to all if it is not there: so is a vCard.
func put(w *pubsub.Writing, node string, it pubsub.Item) error {
	n, err := w.Node(node)
	if err != nil {
		return err
	}
	if n == nil {
		c := pubsub.Default()
		c.Access = pubsub.Open
		if n, err = w.Create(node, c); err != nil {
			return err
		}
	}
	_, err = w.Put(n, it)
	return err
}

// clear is XEP-0084 §3.5.
func (a *Avatars) clear(ctx context.Context, owner, by jid.JID) error {
	v, err := a.service.Nodes().Root(ctx, owner)
	if err != nil || v.Node(Metadata) == nil {
		return err
	}
	if i, ok, err := a.current(ctx, v); err != nil || !ok || i.id == "" {
		return err
	}
	return a.service.Do(ctx, owner, by, func(w *pubsub.Writing) error {
		return put(w, Metadata, pubsub.Item{Payload: elem.New(Metadata, "metadata").AppendTo(nil, "")})
	})
}

const update = "vcard-temp:x:update"

// Stamp puts the hash into an available presence (XEP-0398 §4). It returns the
// stanza as it is where there is nothing to say, else a changed copy.
func (a *Avatars) Stamp(ctx context.Context, account jid.JID, st *stanza.Stanza) (*stanza.Stanza, error) {
	if st.Type != stanza.Available {
		return st, nil
	}
	s, err := a.cache.Get(ctx, account)
	if err != nil {
		return nil, err
	}
	return s.stamp(st), nil
}

func (s *shown) stamp(st *stanza.Stanza) *stanza.Stanza {
	if !s.known {
		return st
	}
	for _, k := range st.Kids {
		if k.Space != update || k.Local != "x" {
			continue
		}
		e, err := st.Element(k)
		if err != nil {
			return st
		}
		if p := e.Child(update, "photo"); p != nil && (p.Text == "" || p.Text == s.hash) {
			return st // XEP-0398 §4: said to have none, or the right one
		}
	}
	out := st.Without(update, "x")
	photo := elem.New(update, "photo").SetText(s.hash)
	return out.Add(elem.New(update, "x").Add(photo))
}

// Changed is told of changes to an account's nodes: contacts see the new picture's
// hash in its presence.
func (a *Avatars) Changed(ctx context.Context, account jid.JID, changes []pubsub.Change, p Presence) error {
	ours := false
	for i := range changes {
		if name := changes[i].Node.Name; name == Data || name == Metadata {
			ours = true
		}
	}
	if !ours {
		return nil
	}
	a.cache.Drop(account)
	s, err := a.cache.Get(ctx, account)
	if err != nil {
		return err
	}
	return p.Revise(ctx, account, func(st *stanza.Stanza) *stanza.Stanza {
		next := s.stamp(st)
		if next == st || bytes.Equal(next.Content, st.Content) {
			return nil
		}
		return next
	})
}
