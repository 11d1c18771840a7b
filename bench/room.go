package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
)

const mucSpace = "http://jabber.org/protocol/muc"

// errNoRooms: the server has no service for them.
var errNoRooms = errors.New("bench: the server offers no rooms (no conference service among its disco items, XEP-0045 §6.1)")

// room lets people join one room and talk at a fixed rate. The unit is a
// message that reaches one occupant.
func room(ctx context.Context, b *run) (*Result, error) {
	cs, err := b.open(ctx, b.Sessions, func(c *Client) error { return c.say("<presence/>", 1) })
	if err != nil {
		return nil, err
	}
	defer cs.close()
	r := &Result{Unit: "delivery", Asked: b.Rate * b.Sessions, Server: b.version(ctx, cs[0])}
	if b.Room == "" {
		host, err := b.rooms(ctx, cs[0])
		if err != nil {
			return nil, err
		}
		b.Room = "bench-" + b.tag + "@" + host
	}
	joined, err := b.join(ctx, cs)
	if err != nil {
		return nil, err
	}
	r.Steps = append(r.Steps, joined)
	t := &talk{tag: b.tag}
	seqs := make([][]sequence, len(cs)) // per receiver and sender; owner: the receiver's reader
	for i, c := range cs {
		seqs[i] = make([]sequence, len(cs))
		c.handle(func(_ *Client, raw *elem.Raw) { t.hear(seqs[i], raw) })
	}
	s, err := b.span()
	if err != nil {
		return nil, err
	}
	total, start := b.due(), time.Now()
	if err := b.speak(ctx, cs, t, total, start); err != nil {
		return nil, err
	}
	r.Due = t.sent.Load() * int64(len(cs))
	if err := b.quiet(ctx, "receive", r.Due, 10*time.Second, t.received.Load); err != nil {
		return nil, err
	}
	r.Units, r.Latency = t.received.Load(), t.lat.Latency()
	if err := s.end(r); err != nil {
		return nil, err
	}
	cs.lost(r)
	cs.close()
	r.Lost = r.Due - r.Units
	for i := range seqs {
		for j := range seqs[i] {
			r.Doubled += seqs[i][j].doubled
			r.Reordered += seqs[i][j].reordered
		}
	}
	return r, nil
}

// rooms finds the service (XEP-0045 §6.1).
func (b *run) rooms(ctx context.Context, c *Client) (string, error) {
	e, err := c.Ask(ctx, "get", b.Domain, "<query xmlns='http://jabber.org/protocol/disco#items'/>")
	if err != nil {
		return "", err
	}
	q := e.Child("http://jabber.org/protocol/disco#items", "query")
	if q == nil {
		return "", errNoRooms
	}
	for _, item := range q.Children {
		host := item.Attr("jid")
		info, err := c.Ask(ctx, "get", host, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
		if err != nil {
			return "", err
		}
		iq := info.Child("http://jabber.org/protocol/disco#info", "query")
		if iq == nil {
			continue
		}
		for _, f := range iq.Children {
			if f.Local == "feature" && f.Attr("var") == mucSpace {
				return host, nil
			}
		}
	}
	return "", errNoRooms
}

// join lets everybody enter, the first alone: they make the room (XEP-0045 §10.1.2).
func (b *run) join(ctx context.Context, cs clients) (Step, error) {
	var in atomic.Int64
	var failed atomic.Pointer[string]
	for _, c := range cs {
		c.handle(func(_ *Client, raw *elem.Raw) {
			switch {
			case string(raw.Local) != "presence":
			case string(attrBytes(raw, "type")) == "error":
				text := string(raw.Buf)
				failed.Store(&text)
			case selfPresence(raw):
				in.Add(1)
			}
		})
	}
	s, err := b.span()
	if err != nil {
		return Step{}, err
	}
	enter := func(_ context.Context, i int) error {
		return cs[i].say(fmt.Sprintf("<presence to='%s/n%d'><x xmlns='%s'><history maxstanzas='0'/></x></presence>", b.Room, i, mucSpace), 1)
	}
	if err := enter(ctx, 0); err != nil {
		return Step{}, err
	}
	if err := b.quiet(ctx, "join", 1, 10*time.Second, in.Load); err != nil {
		return Step{}, err
	}
	// XEP-0045 §10.1.2: an instant room.
	if _, err := cs[0].Ask(ctx, "set", b.Room, "<query xmlns='"+mucSpace+"#owner'><x xmlns='jabber:x:data' type='submit'/></query>"); err != nil {
		return Step{}, err
	}
	if err := b.parallel(ctx, len(cs)-1, b.Workers, func(ctx context.Context, i int) error { return enter(ctx, i+1) }); err != nil {
		return Step{}, err
	}
	if err := b.quiet(ctx, "join", int64(len(cs)), 10*time.Second, in.Load); err != nil {
		return Step{}, err
	}
	if n := in.Load(); n < int64(len(cs)) {
		why := ""
		if p := failed.Load(); p != nil {
			why = ": " + *p
		}
		return Step{}, fmt.Errorf("bench: only %d of %d are in the room%s", n, len(cs), why)
	}
	return s.step("join", in.Load(), nil)
}

// selfPresence says whether a presence tells its receiver that they are in
// (status 110, XEP-0045 §7.2.2).
func selfPresence(raw *elem.Raw) bool {
	for i := range raw.Kids {
		k, err := raw.KidElement(i)
		if err != nil || k.Space != mucSpace+"#user" {
			continue
		}
		for _, s := range k.Children {
			if s.Local == "status" && s.Attr("code") == "110" {
				return true
			}
		}
	}
	return false
}

// speak sends total messages to the room, each occupant in turn.
func (b *run) speak(ctx context.Context, cs clients, t *talk, total int64, start time.Time) error {
	ctx, cancel := context.WithDeadlineCause(ctx, start.Add(2*b.Length+time.Second), errLate)
	defer cancel()
	next := make([]atomic.Int64, len(cs))
	return late(pace(ctx, 1, total, max(1, b.Rate), start, func(i int64, due time.Time) error {
		b.Progress.Tell("send", i, total)
		who := int(i) % len(cs)
		n := next[who].Add(1) - 1
		t.sent.Add(1)
		return cs[who].say("<message to='"+b.Room+"' type='groupchat' id='g"+strconv.FormatInt(i, 10)+"'><body>"+t.tag+" "+
			strconv.FormatInt(n, 10)+" "+strconv.FormatInt(due.UnixNano(), 10)+text+"</body></message>", 1)
	}))
}

// hear notes a message in the room; its sender's nick is nNUMBER.
func (t *talk) hear(from []sequence, raw *elem.Raw) {
	if string(raw.Local) != "message" {
		return
	}
	n, due, ok := parseBody(child(raw, "body"), t.tag)
	if !ok {
		return
	}
	who := nick(attrBytes(raw, "from"))
	if who < 0 || who >= len(from) || !from[who].take(n) {
		return
	}
	t.lat.Add(time.Since(due))
	t.received.Add(1)
}

// nick is the number in room@host/nNUMBER; -1 if there is none.
func nick(jid []byte) int {
	for i := len(jid) - 1; i > 0; i-- {
		if jid[i] == 'n' && jid[i-1] == '/' {
			n, err := strconv.Atoi(string(jid[i+1:]))
			if err == nil {
				return n
			}
		}
	}
	return -1
}
