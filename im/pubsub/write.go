package pubsub

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parlance-im/parlance/im/cache"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Kind is what happened to a node.
type Kind uint8

const (
	Published Kind = iota + 1
	Retracted
	Purged
	Deleted
	Configured
	// Joined says that an entity has subscribed (XEP-0060 §6.1.7).
	Joined
	// Moved says that somebody else changed an entity's subscription (XEP-0060 §12.14).
	Moved
	// Left says that an entity has unsubscribed.
	Left
	// Asked says that a subscription waits for an owner's approval (XEP-0060 §8.6).
	Asked
	// Borrowed says that a subscription ends with its holder's presence (XEP-0060 §12.5).
	Borrowed
)

// Change is one thing a Writing did, for those who are to hear of it.
type Change struct {
	Kind Kind
	Node *Node // after the change; before it, if it was deleted
	Item Item  // Published, Retracted: its id
	// Whom it concerns (Joined, Moved) and the state it has now.
	Whom  jid.JID
	State State
	// Until is when a lease ends, 0 if it is none (Moved).
	Until int64
	// To is the one owner's session that is to hear of it (Asked), zero: all of them.
	To jid.JID
	// Redirect is where what was here is now (Deleted), "" if it is nowhere.
	Redirect string
	// Quiet changes are nobody's to hear of.
	Quiet bool
}

// Writing is one transaction of a service. It belongs to the goroutine of Do.
type Writing struct {
	// By is who writes, with a resource where there is one.
	By jid.JID

	tx      *store.Tx
	st      *Store
	service jid.JID
	now     int64
	changes []Change
	altered bool // nodes, not only items
	touched []string
}

// Do runs fn in one transaction and returns when what it did is on disk and
// Config.Changed has been told. An error from fn undoes all of it.
func (s *Store) Do(ctx context.Context, service, by jid.JID, fn func(*Writing) error) error {
	var turn cache.Turn
	var w *Writing
	err := s.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		w = &Writing{By: by, tx: tx, st: s, service: service, now: s.cfg.Now().UnixMicro()}
		if err := fn(w); err != nil {
			return err
		}
		for i := 0; i < len(w.touched); i++ { // what it derives may touch further nodes
			if err := s.cfg.Convert(w, w.touched[i]); err != nil {
				return err
			}
		}
		s.order.Join(&turn)
		return nil
	})
	if err != nil {
		s.order.Leave(&turn, nil)
		var se *stanza.Error
		if errors.As(err, &se) {
			return err
		}
		return fmt.Errorf("pubsub: write: %w", err)
	}
	s.order.Leave(&turn, func() {
		if w.altered {
			s.cache.Drop(service)
		}
		if len(w.touched) > 0 {
			s.lasts.Drop(service)
		}
		if len(w.changes) > 0 {
			s.cfg.Changed(service, w.changes)
		}
	})
	return nil
}

// Limits are those in force.
func (w *Writing) Limits() Limits { return w.st.cfg.Limits }

// Service is the account whose service it is.
func (w *Writing) Service() jid.JID { return w.service }

func (w *Writing) tell(c Change) { w.changes = append(w.changes, c) }

// touch notes that a node's items changed, once.
func (w *Writing) touch(node string) {
	for _, t := range w.touched {
		if t == node {
			return
		}
	}
	w.touched = append(w.touched, node)
}

// Node reads a node as it is now; nil if there is none.
func (w *Writing) Node(name string) (*Node, error) {
	n := &Node{Service: w.service, Name: name, now: w.st.cfg.Now}
	var config string
	err := w.tx.Row(sqlNode, w.service.String(), name).Scan(&config, &n.Created)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(config), &n.Config); err != nil {
		return nil, err
	}
	if err := readAffiliations(w, n); err != nil {
		return nil, err
	}
	if err := readSubs(w, n); err != nil {
		return nil, err
	}
	return n, lapse(w, n)
}

// lapse takes away subscriptions whose lease has ended, and says so (XEP-0060 §12.19).
func lapse(w *Writing, n *Node) error {
	for _, s := range n.subs {
		if !n.over(s) {
			continue
		}
		w.altered = true
		w.Move(n, s.JID, Unsubscribed)
		if _, err := w.tx.Exec(sqlDropSub, w.service.String(), n.Name, s.JID.String()); err != nil {
			return err
		}
	}
	n.subs = slices.DeleteFunc(n.subs, n.over)
	return nil
}

func readAffiliations(w *Writing, n *Node) error {
	rows, err := w.tx.Query(sqlAffiliations, w.service.String(), n.Name)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var who, a string
		if err := rows.Scan(&who, &a); err != nil {
			return err
		}
		j, err := jid.Parse(who)
		if err != nil {
			return err
		}
		n.affiliate(j, Affiliation(a))
	}
	return rows.Err()
}

func readSubs(w *Writing, n *Node) error {
	rows, err := w.tx.Query(sqlSubs, w.service.String(), n.Name)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var who, state, options string
		if err := rows.Scan(&who, &state, &options); err != nil {
			return err
		}
		j, err := jid.Parse(who)
		if err != nil {
			return err
		}
		o, err := decodeOptions(options)
		if err != nil {
			return err
		}
		n.subs = append(n.subs, Subscription{j, State(state), o})
	}
	return rows.Err()
}

// Create makes a node (XEP-0060 §8.1). It must not be there yet.
func (w *Writing) Create(name string, c Config) (*Node, error) {
	if err := w.st.cfg.Limits.name(name); err != nil {
		return nil, err
	}
	var count int
	if err := w.tx.Row(sqlCount, w.service.String()).Scan(&count); err != nil {
		return nil, err
	}
	if count >= w.st.cfg.Limits.Nodes {
		return nil, fail("resource-constraint", "", "this account has as many nodes as it may; delete one first")
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if _, err := w.tx.Exec(sqlAddNode, w.service.String(), name, string(text), w.now); err != nil {
		return nil, err
	}
	w.altered = true
	return &Node{Service: w.service, Name: name, Config: c, Created: w.now, now: w.st.cfg.Now}, nil
}

// Ensure is Node, made as the service configures one of that name if it is not there.
func (w *Writing) Ensure(name string) (*Node, error) {
	n, err := w.Node(name)
	if n != nil || err != nil {
		return n, err
	}
	return w.Create(name, w.st.cfg.Initial(name))
}

// name checks the name of a node or the id of an item.
func (l Limits) name(s string) *stanza.Error {
	if len(s) > l.Text {
		return fail("not-acceptable", "", "that name is too long")
	}
	return nil
}

// Configure gives a node another configuration (XEP-0060 §8.2.5).
func (w *Writing) Configure(n *Node, c Config) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if _, err := w.tx.Exec(sqlSetNode, w.service.String(), n.Name, string(text)); err != nil {
		return err
	}
	next := *n
	next.Config = c
	w.altered = true
	if !c.Persist {
		if _, err := w.tx.Exec(sqlDropItems, w.service.String(), n.Name); err != nil {
			return err
		}
		w.touch(n.Name)
	} else if c.MaxItems != n.Config.MaxItems {
		if err := trim(w, &next); err != nil {
			return err
		}
		w.touch(n.Name)
	}
	w.tell(Change{Kind: Configured, Node: &next, Quiet: !c.NotifyConfig})
	return nil
}

// Delete takes a node away with all that belongs to it (XEP-0060 §8.4).
func (w *Writing) Delete(n *Node) error { return w.Redirect(n, "") }

// Redirect is Delete that says where to look instead (XEP-0060 §8.4.1).
func (w *Writing) Redirect(n *Node, uri string) error {
	for _, q := range []string{sqlDropItems, sqlDropAffiliations, sqlDropAllSubs, sqlDropNode} {
		if _, err := w.tx.Exec(q, w.service.String(), n.Name); err != nil {
			return err
		}
	}
	w.altered = true
	w.touch(n.Name)
	w.tell(Change{Kind: Deleted, Node: n, Redirect: uri, Quiet: !n.Config.NotifyDelete})
	return nil
}

// Put publishes an item (XEP-0060 §7.1); one of the same id is replaced. It
// returns the item with its id.
func (w *Writing) Put(n *Node, it Item) (Item, error) {
	l := w.st.cfg.Limits
	if err := l.name(it.ID); err != nil {
		return it, err
	}
	if len(it.Payload) > l.Payload {
		return it, fail("not-acceptable", "payload-too-big", "the item is larger than this server keeps") // XEP-0060 §7.1.3.5
	}
	if it.ID == "" {
		it.ID = freshID()
	}
	it.At, it.Publisher = w.now, w.By
	if !n.Config.Persist {
		w.touch(n.Name)
		w.tell(Change{Kind: Published, Node: n, Item: it})
		return it, nil
	}
	if n.Config.Full == RejectNew {
		if err := reject(w, n, it.ID); err != nil {
			return it, err
		}
	}
	if err := keep(w, n, it); err != nil {
		return it, err
	}
	w.touch(n.Name)
	w.tell(Change{Kind: Published, Node: n, Item: it})
	return it, fit(w, n)
}

// keep writes an item and takes away what there is no more room for.
func keep(w *Writing, n *Node, it Item) error {
	service, l := w.service.String(), w.st.cfg.Limits
	if n.Config.Expire > 0 {
		if _, err := w.tx.Exec(sqlExpire, service, n.Name, w.st.since(&n.Config)); err != nil {
			return err
		}
	}
	if err := w.tx.Row(sqlNextSeq, service, n.Name).Scan(&it.seq); err != nil {
		return err
	}
	payload := it.Payload
	if payload == nil {
		payload = []byte{}
	}
	size := int64(len(payload) + len(it.ID))
	if _, err := w.tx.Exec(sqlPut, service, n.Name, it.ID, it.seq, it.Publisher.String(), it.At, size, payload); err != nil {
		return err
	}
	var all int64
	if err := w.tx.Row(sqlSize, service).Scan(&all); err != nil {
		return err
	}
	if all > l.Bytes {
		return fail("resource-constraint", "", "this account keeps as much as it may; delete something first")
	}
	return nil
}

// most is how many items a node holds.
func most(w *Writing, n *Node) int {
	if n.Config.MaxItems > 0 {
		return min(w.st.cfg.Limits.Items, n.Config.MaxItems)
	}
	return w.st.cfg.Limits.Items
}

// reject is XEP-0060 §7.1.3.4: a new item, and no room for it.
func reject(w *Writing, n *Node, id string) error {
	ids, err := itemIDs(w.tx, n, w.st.since(&n.Config))
	if err == nil && len(ids) >= most(w, n) && !slices.Contains(ids, id) {
		return fail("conflict", "node-full", "this node holds as many items as it may")
	}
	return err
}

// fit is XEP-0060 §7.1.2.5: the oldest go first, and are said to be gone, unless
// the node holds one item anyway (XEP-0060 §12.21): there the new one takes its place.
func fit(w *Writing, n *Node) error {
	most := most(w, n)
	if most > 1 && n.Config.Full != DiscardOldest {
		var ids []string
		err := w.tx.Each(func(r store.RowScanner) error {
			var id string
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		}, sqlSurplus, w.service.String(), n.Name, most)
		if err != nil {
			return err
		}
		for _, id := range ids {
			w.tell(Change{Kind: Retracted, Node: n, Item: Item{ID: id, Publisher: w.By, At: w.now}, Quiet: !n.Config.NotifyRetract})
		}
	}
	return trim(w, n)
}

func trim(w *Writing, n *Node) error {
	_, err := w.tx.Exec(sqlTrim, w.service.String(), n.Name, most(w, n))
	return err
}

// Retract deletes an item (XEP-0060 §7.2); ok is false if it was not there. loud
// notifies although the node is configured not to.
func (w *Writing) Retract(n *Node, id string, loud bool) (ok bool, err error) {
	gone, err := w.tx.Exec(sqlRetract, w.service.String(), n.Name, id)
	if err != nil || gone == 0 {
		return false, err
	}
	w.touch(n.Name)
	w.tell(Change{Kind: Retracted, Node: n, Item: Item{ID: id, Publisher: w.By, At: w.now}, Quiet: !loud && !n.Config.NotifyRetract})
	return true, nil
}

// Purge deletes all items (XEP-0060 §8.5).
func (w *Writing) Purge(n *Node) error {
	if _, err := w.tx.Exec(sqlDropItems, w.service.String(), n.Name); err != nil {
		return err
	}
	w.touch(n.Name)
	w.tell(Change{Kind: Purged, Node: n, Quiet: !n.Config.NotifyRetract})
	return nil
}

// Items are all items of a node, oldest first.
func (w *Writing) Items(n *Node) ([]Item, error) {
	p, err := w.st.page(w.tx, n, Query{})
	return p.Items, err
}

// Item is one of them.
func (w *Writing) Item(n *Node, id string) (Item, bool, error) { return w.st.item(w.tx, n, id) }

// Affiliate gives an entity an affiliation (XEP-0060 §8.9.2).
func (w *Writing) Affiliate(n *Node, who jid.JID, a Affiliation) error {
	bare := who.Bare()
	w.altered = true
	if a == NoneAtAll {
		delete(n.affiliations, bare)
		_, err := w.tx.Exec(sqlDisaffiliate, w.service.String(), n.Name, bare.String())
		return err
	}
	if _, listed := n.affiliations[bare]; !listed && len(n.affiliations) >= w.st.cfg.Limits.Affiliations {
		return fail("resource-constraint", "", "this node has as many affiliations as it may")
	}
	n.affiliate(bare, a)
	if _, err := w.tx.Exec(sqlAffiliate, w.service.String(), n.Name, bare.String(), string(a)); err != nil {
		return err
	}
	for _, s := range slices.Clone(n.subs) {
		if s.JID.Bare() != bare {
			continue
		}
		switch {
		case a == Outcast: // XEP-0060 §4.1: whoever is banned is no subscriber
			w.Move(n, s.JID, Unsubscribed)
		case s.State == Pending && a != PublishOnly: // XEP-0060 §8.7.4: what it waits for is granted
			if err := w.Approve(n, s.JID); err != nil {
				return err
			}
		}
	}
	if a == Outcast {
		return w.Unsubscribe(n, bare)
	}
	return nil
}

// Approve lets a subscription that waits begin (XEP-0060 §8.6).
func (w *Writing) Approve(n *Node, who jid.JID) error {
	if err := w.Subscribe(n, who, Subscribed); err != nil {
		return err
	}
	w.Move(n, who, Subscribed)
	w.join(n, who)
	return nil
}

// Subscribe sets an address's subscription (XEP-0060 §6.1, §8.8.2).
func (w *Writing) Subscribe(n *Node, who jid.JID, st State) error {
	if n.Subscription(who) == Unsubscribed && len(n.subs) >= w.st.cfg.Limits.Subscriptions {
		return fail("policy-violation", "too-many-subscriptions", "this node has as many subscribers as it may") // XEP-0060 §6.1.3.9
	}
	w.altered = true
	_, err := w.tx.Exec(sqlAddSub, w.service.String(), n.Name, who.String(), who.Bare().String(), string(st), w.now)
	if err != nil {
		return err
	}
	if s := n.find(who); s != nil {
		s.State = st
		return nil
	}
	n.subs = append(n.subs, Subscription{JID: who, State: st})
	if n.Config.TempSub {
		return w.SetOptions(n, who, Options{})
	}
	return nil
}

// Unsubscribe ends an address's subscription, with a bare one all of the entity's.
func (w *Writing) Unsubscribe(n *Node, who jid.JID) error {
	w.altered = true
	q := sqlDropSub
	if who.IsBare() {
		q = sqlDropSubs
	}
	_, err := w.tx.Exec(q, w.service.String(), n.Name, who.String())
	return err
}

// join says that somebody has subscribed.
func (w *Writing) join(n *Node, whom jid.JID) {
	w.tell(Change{Kind: Joined, Node: n, Whom: whom, State: Subscribed})
}

// Move tells a subscriber that its subscription has changed.
func (w *Writing) Move(n *Node, whom jid.JID, st State) {
	c := Change{Kind: Moved, Node: n, Whom: whom, State: st}
	if s := n.find(whom); s != nil && st == Subscribed {
		c.Until = s.Options.Until
	}
	w.tell(c)
}

// freshID is an item id nobody else has.
func freshID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}
